//! CAA records at real authorities, up the tree and along aliases (RFC 8659 §3).
use certkeep_core::caa::{Applicant, Judgement};
use certkeep_core::failure::Code;
use certkeep_core::ports::Resolver;
use certkeep_testkit::peers::{Bind, DnsRouter, Fault, Knot, PowerDns, RecordType, ResponseCode};

use super::{name, resolver};

#[tokio::test]
async fn the_nearest_level_that_has_records_rules() {
    let (bind, knot) = tokio::join!(Bind::start(&["example.test"]), Knot::start(&["other.test"]));
    let add =
        async |record: &str| bind.tsig().update(bind.dns_addr(), "example.test", &[&format!("add {record}")]).await.unwrap();
    add("example.test 60 CAA 0 issue \"ca.example; validationmethods=dns-01\"").await;
    add("example.test 60 CAA 0 issuewild \";\"").await;
    add("a.b.example.test 60 CAA 128 issue \"other.example\"").await;
    add("text.example.test 60 TXT \"there is no CAA here\"").await;
    // Aliases: to a name with records, to one without (whose parents do not count), out of the zone, and in a circle.
    add("to-b.example.test 60 CNAME a.b.example.test").await;
    add("to-none.example.test 60 CNAME x.y.other.test").await;
    add("to-other.example.test 60 CNAME www.other.test").await;
    add("circle.example.test 60 CNAME circle2.example.test").await;
    add("circle2.example.test 60 CNAME circle.example.test").await;
    let other = ["add other.test 60 CAA 0 issue \"ca9.example\"", "add www.other.test 60 CAA 0 issue \"www.example\""];
    knot.tsig().update(knot.dns_addr(), "other.test", &other).await.unwrap();
    let router = DnsRouter::start([("example.test", bind.dns_addr()), ("other.test", knot.dns_addr())]).await;
    let direct = resolver(&[bind.dns_addr()], &[bind.dns_addr()]);
    let resolver = resolver(&[router.dns_addr()], &[router.dns_addr()]);

    let first = async |owner: &str| {
        let set = resolver.caa(&name(owner)).await.unwrap();
        let first = set.properties.first().map(|property| property.to_string());
        (set.asked.join(" "), first.unwrap_or_default())
    };
    let base = "0 issue \"ca.example; validationmethods=dns-01\"";
    for (owner, asked, found) in [
        ("example.test", "example.test", base),
        ("text.example.test", "text.example.test example.test", base),
        ("*.www.example.test", "www.example.test example.test", base),
        ("a.b.example.test", "a.b.example.test", "128 issue \"other.example\""),
        ("c.a.b.example.test", "c.a.b.example.test a.b.example.test", "128 issue \"other.example\""),
        ("to-b.example.test", "to-b.example.test", "128 issue \"other.example\""),
        ("to-none.example.test", "to-none.example.test example.test", base),
        ("to-other.example.test", "to-other.example.test", "0 issue \"www.example\""),
        ("x.nobodys.test", "x.nobodys.test nobodys.test test", ""),
    ] {
        let (levels, property) = first(owner).await;
        assert_eq!(levels, asked, "{owner}");
        // The order within a set is the server's.
        let wild = owner == "*.www.example.test" || found == base;
        assert!(property == found || (wild && property == "0 issuewild \";\""), "{owner}: {property}");
    }
    for who in [&resolver, &direct] {
        let failure = who.caa(&name("circle.example.test")).await.unwrap_err();
        assert_eq!(failure.code, Code::NameServersUnknown, "{failure}");
        assert!(failure.evidence.facts[0].contains("SERVFAIL"), "{failure}");
    }
    // An authority alone does not follow an alias into another's zone, and refuses what is not its own.
    let failure = direct.caa(&name("to-other.example.test")).await.unwrap_err();
    assert_eq!(failure.code, Code::ResolversUnreachable, "{failure}");

    let ca = ["ca.example".to_owned()];
    let applicant = Applicant { identities: &ca, account: None };
    let set = resolver.caa(&name("*.www.example.test")).await.unwrap();
    assert_eq!(set.found_at(), Some("example.test"));
    assert!(matches!(set.judge(false, applicant), Judgement::Allowed(_)));
    assert!(matches!(set.judge(true, applicant), Judgement::Forbidden(_)));
}

#[tokio::test]
async fn a_level_that_cannot_be_asked_stops_the_search() {
    let pdns = PowerDns::start(&["example.test"]).await;
    pdns.set("example.test", "CAA", &["0 issue \"ca.example\""]).await;
    let router = DnsRouter::start([("example.test", pdns.dns_addr())]).await;
    router.inject(Fault::at("www.example.test").qtype(RecordType::CAA).code(ResponseCode::ServFail));
    let resolver = resolver(&[router.dns_addr()], &[router.dns_addr()]);
    // A CA that meets this does not issue, whatever stands above.
    let failure = resolver.caa(&name("www.example.test")).await.unwrap_err();
    assert_eq!((failure.code, failure.evidence.doing.as_deref()), (Code::NameServersUnknown, Some("read CAA")));
    assert!(resolver.caa(&name("example.test")).await.unwrap().found_at().is_some());
}
