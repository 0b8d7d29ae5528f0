//! Several CAs: the next one is asked when one cannot issue for reasons of its own, and what was seen is kept.
use certkeep_core::failure::Code;
use certkeep_core::issuance::Step;
use certkeep_core::ports::Issuances;
use certkeep_core::time::Clock;
use certkeep_engine::{Rule, Settings};
use certkeep_sandbox::{Fault, Options, RetryAfter, Sandbox, Times};
use jiff::SignedDuration;

use super::house::{House, settings};

/// A CA that is asked first, and never comes so far as to look at a name.
async fn another() -> Sandbox {
    Sandbox::start(Options::default()).await.expect("the sandbox starts")
}

/// First one, then the other.
fn both(first: &Sandbox, second: &Sandbox) -> Settings {
    let of = |sandbox: &Sandbox| settings(sandbox.directory_url(), sandbox.tls_root_pem());
    let mut both = of(first);
    both.cas.further.push(of(second).cas.first);
    both
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_ca_issues_when_the_first_is_at_its_limit() {
    let (house, first) = (House::new(Options::default()).await, another().await);
    first.faults().set(Fault::RateLimit, Times::Always);
    let running = house.start_with(|ports| ports, both(&first, &house.sandbox)).await;
    let id = running.apply("pbx.example.com", house.input()).await;
    running.issued(id).await;
    assert_eq!((first.issued(), house.sandbox.issued()), (0, 1));
    let summary = running.store.issuances(id).await.unwrap().remove(0);
    assert_eq!((summary.step, summary.directory.as_deref()), (Step::Done, Some(house.sandbox.directory_url())));
    let tried: Vec<_> = summary.tried.iter().map(|tried| (tried.directory.as_str(), tried.failure.code)).collect();
    assert_eq!(tried, [(first.directory_url(), Code::CaRateLimited)]);
    let acts: Vec<&str> = summary.trace.events.iter().map(|event| event.act.as_str()).collect();
    let asked = ["register the account", "place the order"];
    let proved = ["read the order", "find the zone", "put the record up", "wait until every name server shows the records"];
    assert_eq!(acts[..8], [&asked[..], &asked, &proved].concat());
    assert_eq!(acts[8], "have the names validated");
    assert!(acts[9..].contains(&"take the record down") && acts[9..].contains(&"have the certificate issued"), "{acts:?}");
    assert!(!format!("{:?}", summary.trace).contains(house.sandbox.dns_api_key()));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_no_ca_issues_all_are_told_and_the_first_that_allows_it_is_waited_for() {
    let (house, first) = (House::new(Options::default()).await, another().await);
    for (sandbox, seconds) in [(&first, 7200), (&house.sandbox, 86_400)] {
        sandbox.faults().set(Fault::RateLimit, Times::Always);
        sandbox.faults().set_retry_after(RetryAfter::Seconds(seconds));
    }
    let running = house.start_with(|ports| ports, both(&first, &house.sandbox)).await;
    let asked = house.clock.now();
    let id = running.apply("pbx.example.com", house.input()).await;
    let failure = running.failed(id).await;
    assert_eq!(failure.code, Code::CaRateLimited);
    assert!(failure.evidence.facts.iter().any(|fact| fact.starts_with("Asked before at 127.0.0.1")), "{failure}");
    let again = running.next_try(id).await;
    let wait = again.duration_since(asked);
    assert!(wait >= SignedDuration::from_hours(2) && wait < SignedDuration::from_hours(3), "{wait}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_ca_would_meet_as_well_asks_no_other() {
    let (house, second) = (House::new(Options::default()).await, another().await);
    house.sandbox.faults().set(Fault::HideTxt, Times::Always);
    let running = house.start_with(|ports| ports, both(&house.sandbox, &second)).await;
    let id = running.apply("pbx.example.com", house.input()).await;
    assert_eq!(running.failed(id).await.code, Code::RecordNotVisible);
    assert_eq!(second.orders(), 0);
    assert_eq!(running.store.issuances(id).await.unwrap()[0].tried, []);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_with_cas_of_their_own_are_applied_for_at_these_alone() {
    let (house, first) = (House::new(Options::default()).await, another().await);
    let mut settings = both(&first, &house.sandbox);
    let suffix = "lan.example.com".parse().unwrap();
    settings.cas.rules = vec![Rule { suffix, directories: vec![house.sandbox.directory_url().to_owned()] }];
    let running = house.start_with(|ports| ports, settings).await;
    let id = running.apply("pbx.lan.example.com,*.lan.example.com", house.input()).await;
    running.issued(id).await;
    house.sandbox.faults().set(Fault::RateLimit, Times::Always);
    let id = running.apply("other.lan.example.com", house.input()).await;
    assert_eq!(running.failed(id).await.code, Code::CaRateLimited);
    assert_eq!((first.orders(), house.sandbox.issued()), (0, 1));
    running.stop().await;
}
