//! What the world sees, at real authorities behind a router, and at servers that misbehave on purpose.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "what goes wrong here fails the test at once")]
mod caa;
mod intercepted;
mod stage;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{Propagation, Resolver};
use certkeep_dns::resolver::{Authoritative, DnsResolver, ResolverOptions};
use certkeep_testkit::peers::{DnsRouter, Fault, PowerDns, RecordType, ResponseCode, Transport, free_port};
use serde_json::{Value, json};
use stage::{Answer, Server};

const OWNER: &str = "_acme-challenge.example.test";

fn resolver(servers: &[SocketAddr], authorities: &[SocketAddr]) -> DnsResolver {
    let authoritative = Authoritative::Fixed(authorities.to_vec());
    DnsResolver::new(ResolverOptions { servers: servers.to_vec(), authoritative, ..ResolverOptions::default() }).unwrap()
}

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

fn zone(name: &str, saved: Value) -> Zone {
    Zone { name: name.into(), saved }
}

fn record(owner: &str, value: &str) -> TxtRecord {
    TxtRecord { name: name(owner), value: value.into() }
}

fn within(timeout: u64) -> Propagation {
    Propagation { timeout: Duration::from_millis(timeout), interval: Duration::from_secs(2) }
}

fn dead() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

async fn followed(resolver: &DnsResolver, owner: &str) -> Result<String, Failure> {
    resolver.follow(&name(owner)).await.map(String::from)
}

#[tokio::test]
async fn a_delegation_is_followed_to_its_end() {
    let pdns = PowerDns::start(&["example.test", "acme.test"]).await;
    pdns.add_cname("_acme-challenge.one.example.test", "one.acme.test").await;
    pdns.add_cname("_acme-challenge.two.example.test", "Half.example.test").await;
    pdns.add_cname("half.example.test", "two.acme.test").await;
    pdns.set("_acme-challenge.txt.example.test", "TXT", &["\"old\""]).await;
    let router = DnsRouter::start([("example.test", pdns.dns_addr()), ("acme.test", pdns.dns_addr())]).await;
    let resolver = resolver(&[router.dns_addr()], &[router.dns_addr()]);
    for (owner, end) in [
        ("_acme-challenge.one.example.test", "one.acme.test"),
        ("_acme-challenge.two.example.test", "two.acme.test"),
        ("_acme-challenge.txt.example.test", "_acme-challenge.txt.example.test"),
        ("_acme-challenge.nothing.example.test", "_acme-challenge.nothing.example.test"),
        ("_acme-challenge.nobodys.test", "_acme-challenge.nobodys.test"),
    ] {
        assert_eq!(followed(&resolver, owner).await.unwrap(), end);
    }
}

#[tokio::test]
async fn a_wildcard_is_not_taken_for_a_delegation() {
    let pdns = PowerDns::start(&["example.test", "acme.test"]).await;
    pdns.add_cname("*.example.test", "parking.example.test").await;
    pdns.add_cname("_acme-challenge.example.test", "real.example.test").await;
    // A delegation that ends where a wildcard has an alias for whatever is not there yet.
    pdns.add_cname("_acme-challenge.far.example.test", "far.acme.test").await;
    pdns.add_cname("*.acme.test", "parking.example.test").await;
    for target in ["parking.example.test", "real.example.test"] {
        pdns.set(target, "A", &["127.0.0.1"]).await;
    }
    let router = DnsRouter::start([("example.test", pdns.dns_addr()), ("acme.test", pdns.dns_addr())]).await;
    let resolver = resolver(&[router.dns_addr()], &[router.dns_addr()]);
    let under = "_acme-challenge.www.example.test";
    assert_eq!(followed(&resolver, under).await.unwrap(), under);
    assert_eq!(followed(&resolver, "_acme-challenge.example.test").await.unwrap(), "real.example.test");
    assert_eq!(followed(&resolver, "_acme-challenge.far.example.test").await.unwrap(), "far.acme.test");
}

#[tokio::test]
async fn loops_and_long_chains_end_with_their_names() {
    let pdns = PowerDns::start(&["example.test"]).await;
    for (owner, target) in [("a", "b"), ("b", "c"), ("c", "a")] {
        pdns.add_cname(&format!("{owner}.example.test"), &format!("{target}.example.test")).await;
    }
    for n in 0..11 {
        pdns.add_cname(&format!("n{n}.example.test"), &format!("n{}.example.test", n + 1)).await;
    }
    let router = DnsRouter::start([("example.test", pdns.dns_addr())]).await;
    let resolver = resolver(&[router.dns_addr()], &[router.dns_addr()]);
    assert_eq!(followed(&resolver, "n1.example.test").await.unwrap(), "n11.example.test");
    for (owner, fact) in [
        ("a.example.test", "in a circle: a.example.test → b.example.test → c.example.test → a.example.test"),
        ("n0.example.test", "more than 10 steps: n0.example.test → n1.example.test"),
    ] {
        let failure = followed(&resolver, owner).await.unwrap_err();
        assert_eq!(failure.code, Code::DelegationLoop);
        assert_eq!(failure.evidence.subject.as_deref(), Some(owner));
        assert!(failure.evidence.facts[0].starts_with(fact), "{failure}");
    }
}

#[tokio::test]
async fn resolvers_are_asked_in_turn() {
    let pdns = PowerDns::start(&["example.test"]).await;
    pdns.add_cname(OWNER, "x.example.test").await;
    let router = DnsRouter::start([("example.test", pdns.dns_addr())]).await;
    let refusing = Server::start(|_, _| Answer::code(ResponseCode::Refused)).await;
    let (dead, good) = (dead(), router.dns_addr());
    let some = resolver(&[dead, refusing.address(), good], &[good]);
    assert_eq!(followed(&some, OWNER).await.unwrap(), "x.example.test");
    // The one that answered is asked first from then on.
    let asked = refusing.asked();
    assert_eq!(followed(&some, OWNER).await.unwrap(), "x.example.test");
    assert_eq!(refusing.asked(), asked);

    let none = resolver(&[dead, refusing.address()], &[good]);
    let failure = followed(&none, OWNER).await.unwrap_err();
    assert_eq!(failure.code, Code::ResolversUnreachable);
    assert_eq!(failure.evidence.facts.len(), 2);
    assert!(failure.evidence.facts[0].starts_with(&dead.to_string()), "{failure}");
    assert!(failure.evidence.facts[1].contains("REFUSED"), "{failure}");
    let failure = none.confirm_zone(&zone("example.test", Value::Null), &name(OWNER)).await.unwrap_err();
    assert_eq!(failure.code, Code::ResolversUnreachable);
}

#[tokio::test]
async fn the_providers_zone_must_be_the_one_the_world_asks() {
    let zones = ["example.test", "child.example.test"];
    let pdns = PowerDns::start(&zones).await;
    let router = DnsRouter::start(zones.map(|zone| (zone, pdns.dns_addr()))).await;
    let resolver = resolver(&[router.dns_addr()], &[router.dns_addr()]);
    let confirm = async |listed: &str, owner: &str| resolver.confirm_zone(&zone(listed, Value::Null), &name(owner)).await;
    confirm("example.test", "_acme-challenge.example.test").await.unwrap();
    confirm("Example.test.", "_acme-challenge.a.b.example.test").await.unwrap();
    confirm("child.example.test", "_acme-challenge.child.example.test").await.unwrap();

    let failure = confirm("example.test", "_acme-challenge.www.child.example.test").await.unwrap_err();
    assert_eq!(failure.code, Code::ZoneElsewhere);
    let facts = failure.evidence.facts.join("\n");
    assert!(facts.contains("account has the zone example.test") && facts.contains("zone child.example.test"), "{facts}");

    let failure = confirm("hidden.example.test", "_acme-challenge.hidden.example.test").await.unwrap_err();
    assert_eq!(failure.code, Code::ZoneElsewhere);
    let facts = failure.evidence.facts.join("\n");
    assert!(facts.contains("hidden.example.test is not delegated from example.test"), "{facts}");

    let failure = confirm("nobodys.test", "_acme-challenge.nobodys.test").await.unwrap_err();
    assert_eq!(failure.code, Code::NameServersUnknown);
    router.inject(Fault::at("example.test").code(ResponseCode::ServFail));
    let failure = confirm("example.test", "_acme-challenge.example.test").await.unwrap_err();
    assert_eq!(failure.code, Code::NameServersUnknown);
}

#[tokio::test]
async fn a_zone_whose_name_is_a_guess_needs_only_some_apex() {
    let pdns = PowerDns::start(&["example.test"]).await;
    let router = DnsRouter::start([("example.test", pdns.dns_addr())]).await;
    let resolver = resolver(&[router.dns_addr()], &[router.dns_addr()]);
    let guess = zone("www.example.test", json!({ "unlisted": true }));
    resolver.confirm_zone(&guess, &name("_acme-challenge.www.example.test")).await.unwrap();
    let failure = resolver.confirm_zone(&guess, &name("_acme-challenge.nobodys.test")).await.unwrap_err();
    assert_eq!(failure.code, Code::NameServersUnknown);

    pdns.set("_acme-challenge.www.example.test", "TXT", &["\"v\""]).await;
    let wanted = [record("_acme-challenge.www.example.test", "v")];
    resolver.await_visible(&guess, &wanted, within(5000)).await.unwrap();
}

#[tokio::test]
async fn what_is_visible_at_once_is_seen_at_once() {
    let pdns = PowerDns::start(&["example.test"]).await;
    pdns.set(OWNER, "TXT", &["\"neighbour\"", "\"one\"", "\"t\" \"wo\""]).await;
    pdns.set("_acme-challenge.www.example.test", "TXT", &["\"three\""]).await;
    let router = DnsRouter::start([("example.test", pdns.dns_addr())]).await;
    let resolver = resolver(&[router.dns_addr()], &[router.dns_addr()]);
    let wanted = [record(OWNER, "one"), record(OWNER, "two"), record("_acme-challenge.www.example.test", "three")];
    let started = Instant::now();
    resolver.await_visible(&zone("example.test", Value::Null), &wanted, within(10_000)).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // One look for each name.
    assert_eq!(router.asked().iter().filter(|asked| asked.qtype == RecordType::TXT).count(), 2);
}

#[tokio::test]
async fn what_becomes_visible_is_seen_soon() {
    let behind = Server::start(|_, asked| Answer::txt(if asked < 2 { &["old"] } else { &["old", "new"] })).await;
    let resolver = resolver(&[behind.address()], &[behind.address()]);
    let wanted = [record(OWNER, "new")];
    let started = Instant::now();
    resolver.await_visible(&zone("example.test", Value::Null), &wanted, within(10_000)).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(250 + 375), "{:?}", started.elapsed());
    assert_eq!(behind.asked(), 3);
}

#[tokio::test]
async fn one_server_that_is_behind_fails_with_a_fact_for_each() {
    let new = Server::start(|_, _| Answer::txt(&["new"])).await;
    let old = Server::start(|_, _| Answer::txt(&["old"])).await;
    let empty = Server::start(|_, _| Answer::code(ResponseCode::NXDomain)).await;
    let lame = Server::start(|_, _| Answer::code(ResponseCode::Refused)).await;
    let dead = dead();
    let servers = [new.address(), old.address(), empty.address(), lame.address(), dead];
    let resolver = resolver(&servers, &servers);
    let started = Instant::now();
    let wanted = [record(OWNER, "new")];
    let failure = resolver.await_visible(&zone("example.test", Value::Null), &wanted, within(600)).await.unwrap_err();
    let took = started.elapsed();
    assert!((Duration::from_millis(600)..Duration::from_secs(3)).contains(&took), "{took:?}");
    assert_eq!(failure.code, Code::RecordNotVisible);
    assert_eq!(failure.evidence.subject.as_deref(), Some(OWNER));
    let facts = &failure.evidence.facts;
    assert_eq!(facts.len(), 1 + servers.len(), "{failure}");
    for (fact, (server, seen)) in facts[1..].iter().zip(servers.iter().zip(["shows", "old", "no TXT", "REFUSED", "refused"])) {
        assert!(fact.starts_with(&server.to_string()) && fact.contains(OWNER) && fact.contains(seen), "{fact}");
        assert!(fact.contains(" ms"), "{fact}");
    }
    // What was seen is not asked again; what was not is asked until the end.
    assert_eq!(new.asked(), 1);
    assert!(old.asked() >= 2);
}

#[tokio::test]
async fn servers_that_are_down_are_passed_over_after_half_of_the_time() {
    let good = Server::start(|_, _| Answer::txt(&["v"])).await;
    let silent = Server::start(|_, _| Answer::silence()).await;
    let wanted = [record(OWNER, "v")];
    for down in [dead(), silent.address()] {
        let servers = [good.address(), down];
        let resolver = resolver(&servers, &servers);
        let started = Instant::now();
        resolver.await_visible(&zone("example.test", Value::Null), &wanted, within(1000)).await.unwrap();
        assert!(started.elapsed() >= Duration::from_millis(500), "{:?}", started.elapsed());
    }
    let alone = resolver(&[dead()], &[dead()]);
    let failure = alone.await_visible(&zone("example.test", Value::Null), &wanted, within(400)).await.unwrap_err();
    assert_eq!(failure.code, Code::RecordNotVisible);
}

#[tokio::test]
async fn what_does_not_fit_a_datagram_comes_by_tcp() {
    let pdns = PowerDns::start(&["example.test"]).await;
    let values: Vec<String> = (0..20).map(|n| format!("\"{n:043}\"")).collect();
    pdns.set(OWNER, "TXT", &values.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let router = DnsRouter::start([("example.test", pdns.dns_addr())]).await;
    let resolver = resolver(&[router.dns_addr()], &[router.dns_addr()]);
    let wanted = [record(OWNER, &format!("{:043}", 19))];
    resolver.await_visible(&zone("example.test", Value::Null), &wanted, within(5000)).await.unwrap();
    let txt = |transport| router.asked().iter().filter(|a| a.qtype == RecordType::TXT && a.transport == transport).count();
    assert_eq!((txt(Transport::Udp), txt(Transport::Tcp)), (1, 1));
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again() {
    let forgetful = Server::start(|_, asked| if asked == 0 { Answer::silence() } else { Answer::txt(&["v"]) }).await;
    let resolver = resolver(&[forgetful.address()], &[forgetful.address()]);
    let wanted = [record(OWNER, "v")];
    resolver.await_visible(&zone("example.test", Value::Null), &wanted, within(20_000)).await.unwrap();
    assert_eq!(forgetful.asked(), 2);
}

#[tokio::test]
async fn strangers_datagrams_are_no_answers() {
    let forger = Server::start(|_, _| Answer::txt(&["v"]).after_forgeries()).await;
    let resolver = resolver(&[forger.address()], &[forger.address()]);
    resolver.await_visible(&zone("example.test", Value::Null), &[record(OWNER, "v")], within(5000)).await.unwrap();
    assert_eq!(forger.asked(), 1);
}

#[tokio::test]
async fn a_zone_without_name_servers_is_named() {
    let pdns = PowerDns::start(&["example.test"]).await;
    // The name server has an address, but nobody answers at port 53 there: unreachable, not unknown.
    let options = ResolverOptions { servers: vec![pdns.dns_addr()], nowhere: vec![dead()], ..ResolverOptions::default() };
    let resolver = DnsResolver::new(options).unwrap();
    let wait = async |listed: &str| {
        resolver.await_visible(&zone(listed, Value::Null), &[record(OWNER, "v")], within(400)).await.unwrap_err()
    };
    let failure = wait("example.test").await;
    assert_eq!(failure.code, Code::RecordNotVisible);
    assert!(failure.evidence.facts[1].starts_with("ns1.example.test (127.0.0.1:53) "), "{failure}");
    let failure = wait("www.example.test").await;
    assert_eq!(failure.code, Code::NameServersUnknown);
    assert_eq!(failure.evidence.subject.as_deref(), Some("www.example.test"));
    pdns.set("example.test", "NS", &["ns.nowhere.example.test."]).await;
    let failure = wait("example.test").await;
    assert_eq!(failure.code, Code::NameServersUnknown);
    assert!(failure.evidence.facts[0].contains("no address is known of ns.nowhere.example.test"), "{failure}");
}

#[test]
fn somebody_to_ask_must_be_named() {
    let servers = vec![SocketAddr::from(([192, 0, 2, 1], 53))];
    let nobody =
        DnsResolver::new(ResolverOptions { servers, authoritative: Authoritative::Fixed(vec![]), ..ResolverOptions::default() });
    assert!(nobody.unwrap_err().to_string().contains("authoritative"));
}
