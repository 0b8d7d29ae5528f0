//! Dynamic updates at real servers.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test at once")]
use std::sync::Arc;

use certkeep_core::application::{AuthEntry, AuthValue};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;
use certkeep_core::ports::DnsProvider;
use certkeep_core::provider::{Descriptor, Parameter, ParameterKind, Parameters};
use certkeep_dns::rfc2136::{connect, connect_by};
use certkeep_testkit::clock::MovableClock;
use certkeep_testkit::peers::{Bind, Knot, Tsig, free_port};
use futures::future::join_all;
use jiff::SignedDuration;

const ZONES: [&str; 2] = ["example.test", "sub.example.test"];
const OWNER: &str = "_acme-challenge.www.example.test";

fn parameters(given: &[(&str, &str)], ttl: Option<i64>) -> Parameters {
    let keys = ["Nameserver", "TSIGKey", "TSIGSecret", "TSIGAlgorithm", "TSIGGSSRealm", "Zones", "TTL"];
    let parameter = |k: &&str| Parameter {
        k: (*k).into(),
        kind: if *k == "TTL" { ParameterKind::Integer } else { ParameterKind::String },
        required: false,
        secret: false,
        file: false,
        default: None,
        also: vec![],
        help: String::new(),
    };
    let descriptor = Descriptor {
        flag: "rfc2136".into(),
        name: "RFC2136".into(),
        docs: None,
        parameters: keys.iter().map(parameter).collect(),
        served: Ok(()),
    };
    let text = |(k, value): &(&str, &str)| AuthEntry { k: (*k).into(), value: AuthValue::Text((*value).into()) };
    let mut given: Vec<AuthEntry> = given.iter().map(text).collect();
    given.extend(ttl.map(|ttl| AuthEntry { k: "TTL".into(), value: AuthValue::Integer(ttl) }));
    descriptor.parameters(&given).unwrap()
}

fn signed(server: &str, key: &Tsig) -> Parameters {
    let Tsig { name, algorithm, secret } = key;
    parameters(&[("Nameserver", server), ("TSIGKey", name), ("TSIGSecret", secret), ("TSIGAlgorithm", algorithm)], Some(60))
}

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

fn record(value: &str) -> TxtRecord {
    TxtRecord { name: name(OWNER), value: value.into() }
}

fn zone(name: &str) -> Zone {
    Zone { name: name.into(), saved: serde_json::Value::Null }
}

/// Two values at one name beside a stranger's, taken down in both orders, each exactly.
async fn values_come_and_go(provider: Arc<dyn DnsProvider>, shown: impl AsyncFn() -> Vec<String>) {
    let sorted = async || {
        let mut values = shown().await;
        values.sort();
        values
    };
    let zone = provider.find_zone(&name(OWNER)).await.unwrap();
    assert_eq!(zone.name, ZONES[0]);
    for (first, second) in [("one", "two"), ("two", "one")] {
        provider.add(&zone, &record("one")).await.unwrap();
        provider.add(&zone, &record("two")).await.unwrap();
        provider.add(&zone, &record("two")).await.unwrap();
        assert_eq!(sorted().await, ["one", "stranger", "two"]);
        provider.remove(&zone, &record(first), None).await.unwrap();
        let mut left = vec!["stranger", second];
        left.sort_unstable();
        assert_eq!(sorted().await, left);
        provider.remove(&zone, &record(second), None).await.unwrap();
        provider.remove(&zone, &record(second), None).await.unwrap();
        assert_eq!(sorted().await, ["stranger"]);
    }
    let long = "long ".repeat(60);
    provider.add(&zone, &record(&long)).await.unwrap();
    assert_eq!(sorted().await, [long.as_str(), "stranger"]);
    provider.remove(&zone, &record(&long), None).await.unwrap();

    let many: Vec<TxtRecord> = (0..10).map(|n| record(&format!("many{n}"))).collect();
    for outcome in join_all(many.iter().map(|record| provider.add(&zone, record))).await {
        outcome.unwrap();
    }
    assert_eq!(sorted().await.len(), 11);
    for outcome in join_all(many.iter().map(|record| provider.remove(&zone, record, None))).await {
        outcome.unwrap();
    }
    assert_eq!(sorted().await, ["stranger"]);
}

#[tokio::test]
async fn bind_keeps_other_values_and_loses_exactly_ours() {
    let bind = Bind::start(&ZONES).await;
    let server = bind.dns_addr();
    bind.tsig().update(server, ZONES[0], &[&format!("add {OWNER} 60 TXT stranger")]).await.unwrap();
    for key in [bind.tsig(), bind.tsig_sha512()] {
        let provider = connect(&signed(&server.to_string(), key)).unwrap();
        values_come_and_go(provider, || bind.txt(OWNER)).await;
    }
}

#[tokio::test]
async fn knot_keeps_other_values_and_loses_exactly_ours() {
    let knot = Knot::start(&ZONES).await;
    let server = knot.dns_addr();
    knot.tsig().update(server, ZONES[0], &[&format!("add {OWNER} 60 TXT stranger")]).await.unwrap();
    for key in [knot.tsig(), knot.tsig_sha512()] {
        let provider = connect(&signed(&server.to_string(), key)).unwrap();
        values_come_and_go(provider, || knot.txt(OWNER)).await;
    }
}

#[tokio::test]
async fn the_longest_zone_of_the_server_is_found() {
    let bind = Bind::start(&ZONES).await;
    // A host name as well as an address.
    let server = format!("localhost:{}", bind.dns_addr().port());
    let provider = connect(&signed(&server, bind.tsig())).unwrap();
    for (asked, expected) in [
        ("_acme-challenge.example.test", ZONES[0]),
        ("_acme-challenge.a.b.example.test", ZONES[0]),
        ("_acme-challenge.a.sub.example.test", ZONES[1]),
        ("sub.example.test", ZONES[1]),
    ] {
        assert_eq!(provider.find_zone(&name(asked)).await.unwrap().name, expected, "{asked}");
    }
}

#[tokio::test]
async fn zones_that_are_named_are_not_asked_for() {
    let server = format!("127.0.0.1:{}", free_port());
    let given = parameters(&[("Nameserver", &server), ("Zones", "Example.test., a.example.test")], None);
    let provider = connect(&given).unwrap();
    let found = async |text| provider.find_zone(&name(text)).await.map(|zone| zone.name);
    assert_eq!(found("_acme-challenge.example.test").await.unwrap(), "example.test");
    assert_eq!(found("_acme-challenge.x.a.example.test").await.unwrap(), "a.example.test");
    assert_eq!(found("_acme-challenge.b-example.test").await.unwrap_err().code, Code::ProviderUnreachable);
}

/// Every call of a provider that cannot get through, and what they end in.
async fn failures(provider: &dyn DnsProvider) -> [Failure; 3] {
    let (name, zone, forged, stranger) = (name(OWNER), zone(ZONES[0]), record("forged"), record("stranger"));
    let calls = tokio::join!(provider.find_zone(&name), provider.add(&zone, &forged), provider.remove(&zone, &stranger, None));
    [calls.0.unwrap_err(), calls.1.unwrap_err(), calls.2.unwrap_err()]
}

#[tokio::test]
async fn a_wrong_key_is_rejected_and_changes_nothing() {
    let (bind, knot) = tokio::join!(Bind::start(&ZONES), Knot::start(&ZONES));
    let peers = [(bind.dns_addr(), bind.tsig(), knot.tsig()), (knot.dns_addr(), knot.tsig(), bind.tsig())];
    for (server, key, other) in peers {
        key.update(server, ZONES[0], &[&format!("add {OWNER} 60 TXT stranger")]).await.unwrap();
        let wrong_secret = Tsig { secret: other.secret.clone(), ..key.clone() };
        let wrong_name = Tsig { name: "nobody.example".into(), ..key.clone() };
        for (key, word) in [(wrong_secret, "BADSIG"), (wrong_name, "BADKEY")] {
            let provider = connect(&signed(&server.to_string(), &key)).unwrap();
            for failure in failures(&*provider).await {
                assert_eq!(failure.code, Code::CredentialsRejected, "{failure}");
                assert_eq!(failure.evidence.their_code.as_deref(), Some(word), "{failure}");
                assert_eq!(failure.evidence.status.as_deref(), Some("NOTAUTH"), "{failure}");
                assert!(!failure.to_string().contains(&key.secret));
            }
        }
        // Reading needs no key at these servers, writing does.
        let unsigned = connect(&parameters(&[("Nameserver", &server.to_string())], None)).unwrap();
        assert_eq!(unsigned.find_zone(&name(OWNER)).await.unwrap().name, ZONES[0]);
        let failure = unsigned.add(&zone(ZONES[0]), &record("forged")).await.unwrap_err();
        assert_eq!(failure.code, Code::CredentialsForbidden, "{failure}");
    }
    assert_eq!(bind.txt(OWNER).await, ["stranger"]);
    assert_eq!(knot.txt(OWNER).await, ["stranger"]);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_named() {
    let bind = Bind::start(&ZONES).await;
    let clock = MovableClock::running();
    clock.advance(SignedDuration::from_hours(2));
    let provider = connect_by(&signed(&bind.dns_addr().to_string(), bind.tsig()), Arc::new(clock)).unwrap();
    for failure in failures(&*provider).await {
        assert_eq!(failure.code, Code::CredentialsRejected);
        assert_eq!(failure.evidence.their_code.as_deref(), Some("BADTIME"));
        assert!(failure.evidence.facts[0].starts_with("the server's clock is 7"), "{failure}");
    }
}

#[tokio::test]
async fn a_zone_that_is_not_the_servers_is_named() {
    let (bind, knot) = tokio::join!(Bind::start(&ZONES), Knot::start(&ZONES));
    for (server, key) in [(bind.dns_addr(), bind.tsig()), (knot.dns_addr(), knot.tsig())] {
        let provider = connect(&signed(&server.to_string(), key)).unwrap();
        let elsewhere = TxtRecord { name: name("_acme-challenge.example.net"), value: "v".into() };
        let failure = provider.find_zone(&elsewhere.name).await.unwrap_err();
        assert_eq!(failure.code, Code::ZoneNotFound, "{failure}");
        assert_eq!(failure.evidence.subject.as_deref(), Some("_acme-challenge.example.net"));
        let failure = provider.add(&zone("example.net"), &elsewhere).await.unwrap_err();
        assert_eq!(failure.code, Code::ZoneNotFound, "{failure}");
        let failure = provider.add(&zone(ZONES[0]), &elsewhere).await.unwrap_err();
        assert_eq!(failure.code, Code::ZoneNotFound, "{failure}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_unreachable() {
    for host in ["127.0.0.1", "[::1]"] {
        let server = format!("{host}:{}", free_port());
        let provider = connect(&parameters(&[("Nameserver", &server)], None)).unwrap();
        for failure in failures(&*provider).await {
            assert_eq!(failure.code, Code::ProviderUnreachable, "{failure}");
            assert!(failure.is_retried());
            assert_eq!(failure.evidence.facts.len(), 1, "{failure}");
        }
    }
}

#[test]
fn parameters_that_cannot_work_are_named() {
    let server = ("Nameserver", "192.0.2.1");
    let (key, secret) = (("TSIGKey", "key"), ("TSIGSecret", "c2VjcmV0"));
    let refused = |given: &[(&str, &str)], ttl, parameter: &str| {
        let Err(failure) = connect(&parameters(given, ttl)) else { panic!("{given:?} connects") };
        assert_eq!(failure.code, Code::ProviderParameter);
        assert_eq!(failure.evidence.subject.as_deref(), Some(parameter));
        assert!(!failure.to_string().contains("s3cret"));
    };
    refused(&[], None, "Nameserver");
    refused(&[("Nameserver", "https://192.0.2.1/")], None, "Nameserver");
    refused(&[server], Some(-1), "TTL");
    refused(&[server], Some(1 << 31), "TTL");
    refused(&[server, key], None, "TSIGSecret");
    refused(&[server, secret], None, "TSIGKey");
    refused(&[server, key, ("TSIGSecret", "%s3cret%")], None, "TSIGSecret");
    refused(&[server, key, secret, ("TSIGAlgorithm", "hmac-md5.sig-alg.reg.int.")], None, "TSIGAlgorithm");
    refused(&[server, ("TSIGKey", "a..b"), secret], None, "TSIGKey");
    refused(&[server, ("TSIGGSSRealm", "EXAMPLE.COM")], None, "TSIGGSSRealm");
    connect(&parameters(&[server, key, secret], None)).unwrap();
}
