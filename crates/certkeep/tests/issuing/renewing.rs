//! CAs that tell when to renew (RFC 9773), and what was spent at them.
use certkeep_core::failure::Code;
use certkeep_core::ports::{Certificates, Issuances, Ledger, Renewals};
use certkeep_core::time::Clock;
use certkeep_engine::inventory::Update;
use certkeep_sandbox::{Fault, Options, RetryAfter, Times};
use certkeep_testkit::wait::{PATIENCE, eventually};
use jiff::SignedDuration;

use super::failing::other;
use super::house::House;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_is_over_renews_at_once_and_tells_what_is_replaced() {
    let house = House::new(Options::default()).await;
    house.sandbox.faults().set(Fault::RenewalDue, Times::Next(1));
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    running.issued(id).await;
    let kept = || async { running.store.renewal_state(id).await.ok()?.choice };
    let choice = eventually(PATIENCE, "the CA's answer", kept).await;
    // Spread over ten minutes, since a CA that revokes moves the windows of all its certificates.
    let soon = choice.at.duration_since(house.clock.now());
    assert!(choice.window.end() <= house.clock.now() && soon <= SignedDuration::from_mins(10), "{choice:?}");
    house.clock.advance(soon.max(SignedDuration::ZERO) + SignedDuration::from_secs(1));
    house.leave_the_rush();
    running.apply("waker.example.com", house.input()).await;
    let renewed = || async { (running.store.issuances(id).await.ok()?.len() == 2).then_some(()) };
    eventually(PATIENCE, "the renewal", renewed).await;
    running.issued(id).await;
    assert_eq!(house.sandbox.replaced(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_told_to_wait_sends_nothing_before() {
    let house = House::new(Options::default()).await;
    house.sandbox.faults().set(Fault::RateLimit, Times::Next(1));
    house.sandbox.faults().set_retry_after(RetryAfter::Seconds(7200));
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    assert_eq!(running.failed(id).await.code, Code::CaRateLimited);
    let spent = running.store.spendings(house.sandbox.directory_url()).await.unwrap();
    assert_eq!(spent.len(), 1, "{spent:?}");
    // A person who asks again at once is told the same, and the CA hears nothing of it.
    running.engine.update(id, Update { input: other(&house, 60), ..Update::default() }, None).await.unwrap();
    let failure = running.failed(id).await;
    assert_eq!((failure.code, house.sandbox.orders()), (Code::CaRateLimited, 0), "{failure}");
    assert!(failure.not_before.unwrap() > house.clock.now());
    house.clock.advance(SignedDuration::from_hours(4));
    running.apply("waker.example.com", house.input()).await;
    let issued = || async { running.store.current_version(id).await.ok()?.map(drop) };
    eventually(PATIENCE, "the certificate", issued).await;
    running.stop().await;
}
