use certkeep_testkit::peers::{Bind, Knot, PowerDns, RecordType, Transport, Tsig, ask, http_client};

use crate::{process_exists, soa_records};

const ZONES: [&str; 2] = ["example.test", "example.net"];
const OWNER: &str = "_acme-challenge.example.net";

#[tokio::test]
async fn bind_serves_its_zones_and_takes_updates_by_either_key() {
    let bind = Bind::start(&ZONES).await;
    for zone in ZONES {
        assert_eq!(soa_records(bind.dns_addr(), zone).await, [1, 1], "{zone}");
    }
    for key in [bind.tsig(), bind.tsig_sha512()] {
        key.update(bind.dns_addr(), ZONES[1], &[&format!("add {OWNER} 60 TXT \"{}\"", key.algorithm)]).await.unwrap();
    }
    let mut values = bind.txt(OWNER).await;
    values.sort();
    assert_eq!(values, ["hmac-sha256", "hmac-sha512"]);
    bind.tsig().update(bind.dns_addr(), ZONES[1], &[&format!("delete {OWNER} TXT")]).await.unwrap();
    assert!(bind.txt(OWNER).await.is_empty());
}

#[tokio::test]
async fn knot_serves_its_zones_and_takes_updates_by_either_key() {
    let knot = Knot::start(&ZONES).await;
    for zone in ZONES {
        assert_eq!(soa_records(knot.dns_addr(), zone).await, [1, 1], "{zone}");
    }
    for key in [knot.tsig(), knot.tsig_sha512()] {
        key.update(knot.dns_addr(), ZONES[1], &[&format!("add {OWNER} 60 TXT \"{}\"", key.algorithm)]).await.unwrap();
    }
    let mut values = knot.txt(OWNER).await;
    values.sort();
    assert_eq!(values, ["hmac-sha256", "hmac-sha512"]);
    knot.tsig().update(knot.dns_addr(), ZONES[1], &[&format!("delete {OWNER} TXT")]).await.unwrap();
    assert!(knot.txt(OWNER).await.is_empty());
}

#[tokio::test]
async fn a_wrong_secret_changes_nothing() {
    let (bind, knot) = tokio::join!(Bind::start(&ZONES), Knot::start(&ZONES));
    let forged = Tsig { secret: bind.tsig().secret.clone(), ..knot.tsig().clone() };
    let said = forged.update(knot.dns_addr(), ZONES[0], &["add a.example.test 60 TXT forged"]).await.unwrap_err();
    assert!(said.contains("BADSIG"), "{said}");
    let forged = Tsig { secret: knot.tsig().secret.clone(), ..bind.tsig().clone() };
    let said = forged.update(bind.dns_addr(), ZONES[0], &["add a.example.test 60 TXT forged"]).await.unwrap_err();
    assert!(said.contains("BADSIG"), "{said}");
    assert!(knot.txt("a.example.test").await.is_empty());
    assert!(bind.txt("a.example.test").await.is_empty());
}

#[tokio::test]
async fn powerdns_serves_its_zones_and_what_its_api_is_told() {
    let mut powerdns = PowerDns::start(&ZONES).await;
    powerdns.add_zone("late.test").await;
    for zone in ["example.test", "example.net", "late.test"] {
        assert_eq!(soa_records(powerdns.dns_addr(), zone).await, [1, 1], "{zone}");
    }
    powerdns.set(OWNER, "TXT", &["\"one\"", "\"two\""]).await;
    let mut values = powerdns.txt(OWNER).await;
    values.sort();
    assert_eq!(values, ["one", "two"]);
    powerdns.set(OWNER, "TXT", &[]).await;
    assert!(powerdns.txt(OWNER).await.is_empty());

    powerdns.add_cname("_acme-challenge.www.late.test", "elsewhere.example.net").await;
    let answer = ask(powerdns.dns_addr(), "_acme-challenge.www.late.test", RecordType::CNAME, Transport::Udp).await.unwrap();
    assert_eq!(answer.answers[0].data.to_string(), "elsewhere.example.net.");
}

#[tokio::test]
async fn powerdns_lets_in_only_who_has_the_key() {
    let powerdns = PowerDns::start(&ZONES).await;
    let zones = format!("{}/api/v1/servers/localhost/zones", powerdns.api_url());
    let client = http_client("");
    let stranger = client.get(&zones).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
    let owner = client.get(&zones).header("X-API-Key", powerdns.api_key()).send().await.unwrap();
    assert_eq!(owner.status(), 200);
}

#[tokio::test]
async fn two_of_each_live_side_by_side() {
    // Tasks of their own: starting a peer holds nothing that is bound to a thread.
    let (first, second) = (tokio::spawn(Bind::start(&ZONES)), tokio::spawn(Bind::start(&ZONES)));
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    first.tsig().update(first.dns_addr(), ZONES[0], &["add a.example.test 60 TXT first"]).await.unwrap();
    assert_eq!(first.txt("a.example.test").await, ["first"]);
    assert!(second.txt("a.example.test").await.is_empty());

    let (first, second) = tokio::join!(Knot::start(&ZONES), Knot::start(&ZONES));
    first.tsig().update(first.dns_addr(), ZONES[0], &["add a.example.test 60 TXT first"]).await.unwrap();
    assert_eq!(first.txt("a.example.test").await, ["first"]);
    assert!(second.txt("a.example.test").await.is_empty());

    let (first, second) = tokio::join!(PowerDns::start(&ZONES), PowerDns::start(&ZONES));
    first.set("a.example.test", "TXT", &["\"first\""]).await;
    assert_eq!(first.txt("a.example.test").await, ["first"]);
    assert!(second.txt("a.example.test").await.is_empty());
}

#[tokio::test]
async fn each_is_gone_with_its_handle() {
    let (bind, knot, powerdns) = tokio::join!(Bind::start(&ZONES), Knot::start(&ZONES), PowerDns::start(&ZONES));
    let pids = [bind.pid(), knot.pid(), powerdns.pid()];
    assert!(pids.iter().all(|&pid| process_exists(pid)));
    drop((bind, knot, powerdns));
    assert!(!pids.iter().any(|&pid| process_exists(pid)));
}
