//! A CA and a provider that fail for a while: each request of an issuance in turn, an order that turns invalid, answers
//! that come late, a clock that is wrong. The issuance ends in its certificate, or with a code of its own and in its
//! certificate at the next try; nothing is left.
use std::time::Duration;

use certkeep_core::certificate::{ApplyStatus, CertificateId};
use certkeep_core::failure::Code;
use certkeep_core::ports::Issuances;
use certkeep_core::time::Clock;
use certkeep_sandbox::{Fault, Options, Times};
use certkeep_testkit::wait::{PATIENCE, eventually};
use jiff::SignedDuration;

use super::house::{House, Running, server};

/// More requests than an application has; a test ends at the first one that is never made.
const MORE_THAN_ENOUGH: u32 = 60;

/// Moves the clock on to the next try and waits for its certificate.
async fn tried_again(house: &House, running: &Running, id: CertificateId) {
    house.clock.advance(SignedDuration::from_mins(12));
    // Anything that wakes the loop will do; the clock of the test does not.
    let waker = running.apply("waker.example.com", house.input()).await;
    running.issued(waker).await;
    eventually(PATIENCE, "the second try", || async {
        let entry = running.engine.certificate(id).await.unwrap();
        (entry.held.is_some() && server(&entry).status == ApplyStatus::IssuanceSuccess).then_some(())
    })
    .await;
}

async fn no_record_is_left(house: &House) {
    let gone = || async { house.sandbox.txt_records().is_empty().then_some(()) };
    eventually(PATIENCE, "the records to go", gone).await;
}

/// Lets each request of an application meet the fault, one application for each of them. Answers how many requests there
/// are, and with what the applications failed, by the number of the request.
async fn at_each_request(fault: Fault) -> (u32, Vec<(u32, Code)>) {
    let mut failed = Vec::new();
    for n in 1..MORE_THAN_ENOUGH {
        let house = House::new(Options::default()).await;
        house.sandbox.faults().set(fault, Times::Nth(n));
        let running = house.start().await;
        let id = running.apply("*.example.com,example.com", house.input()).await;
        let entry = running.settled(id).await;
        if house.sandbox.faults().fired(fault) == 0 {
            running.issued(id).await;
            running.stop().await;
            return (n - 1, failed);
        }
        let orders = match server(&entry).failure {
            None => 1,
            Some(code) => {
                assert_eq!(house.sandbox.issued(), 0, "{fault:?} at {n}: what was issued is not thrown away");
                failed.push((n, code));
                no_record_is_left(&house).await;
                // The next try and the waker.
                let orders = house.sandbox.orders() + 2;
                tried_again(&house, &running, id).await;
                orders
            }
        };
        let issued = house.sandbox.placed().iter().filter(|order| order.certified && order.names.len() == 2).count();
        assert_eq!((issued, house.sandbox.orders()), (1, orders), "{fault:?} at {n}");
        no_record_is_left(&house).await;
        running.stop().await;
    }
    panic!("an application has fewer requests");
}

/// Each request of an issuance to the CA meets the fault. Only what comes before the order's URL is known may fail: the
/// directory, the account, and the order, number `new_order`. It is not sent again on a suspicion, since nobody knows
/// whether the CA has placed it.
async fn at_each_request_to_the_ca(fault: Fault, code: Code, new_order: u32) {
    let (requests, failed) = at_each_request(fault).await;
    assert!(failed.contains(&(new_order, code)), "{failed:?} of {requests}");
    assert!(failed.iter().all(|(n, met)| *n <= new_order && *met == code), "{failed:?} of {requests}");
    assert!(requests > 2 * new_order, "order, authorizations, challenges, finalization, certificate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_request_to_the_ca_may_be_lost() {
    at_each_request_to_the_ca(Fault::AcmeRequestLost, Code::CaUnreachable, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_answer_of_the_ca_may_be_lost() {
    at_each_request_to_the_ca(Fault::AcmeAnswerLost, Code::CaUnreachable, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_request_to_the_ca_may_meet_a_fault_of_it() {
    // This one meets the nonce's HEAD as well.
    at_each_request_to_the_ca(Fault::AcmeUnavailable, Code::CaError, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_request_to_the_provider_may_be_lost() {
    let (requests, failed) = at_each_request(Fault::ApiRequestLost).await;
    assert!(failed.is_empty(), "{failed:?} of {requests}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_answer_of_the_provider_may_be_lost() {
    let (requests, failed) = at_each_request(Fault::ApiAnswerLost).await;
    assert!(failed.is_empty(), "{failed:?} of {requests}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_that_fails_for_a_minute_while_it_validates_is_asked_again_after_it() {
    let house = House::new(Options::default()).await;
    house.sandbox.faults().set_validation_delay(Duration::from_secs(2));
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    let up = || async { (!house.sandbox.txt_records().is_empty()).then_some(()) };
    eventually(PATIENCE, "the record to stand", up).await;
    house.sandbox.faults().set(Fault::AcmeError, Times::Always);
    let began = house.clock.now();
    let failure = running.failed(id).await;
    assert_eq!(failure.code, Code::CaError, "{failure}");
    let due = running.next_try(id).await;
    assert!(due.duration_since(began) >= SignedDuration::from_mins(1), "{due}: not within the minute");
    no_record_is_left(&house).await;
    house.sandbox.faults().clear();
    tried_again(&house, &running, id).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_turns_invalid_is_followed_by_another() {
    let house = House::new(Options::default()).await;
    house.sandbox.faults().set(Fault::InvalidAtFinalize, Times::Next(1));
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    let failure = running.failed(id).await;
    assert_eq!(failure.code, Code::CaError, "what the order says of itself: {failure}");
    assert_eq!((house.sandbox.orders(), house.sandbox.issued()), (1, 0));
    no_record_is_left(&house).await;
    tried_again(&house, &running, id).await;
    assert_eq!((house.sandbox.orders(), house.sandbox.issued()), (3, 2), "with the waker's");
    no_record_is_left(&house).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authorization_that_is_pending_for_long_and_a_certificate_that_comes_late_are_waited_for() {
    let house = House::new(Options::default()).await;
    house.sandbox.faults().set_validation_delay(Duration::from_secs(7));
    house.sandbox.faults().set_issuance_delay(Duration::from_secs(7));
    let running = house.start().await;
    let id = running.apply("*.example.com,example.com", house.input()).await;
    eventually(3 * PATIENCE, "the end of the issuance", || async {
        let entry = running.engine.certificate(id).await.unwrap();
        (server(&entry).status != ApplyStatus::Issuing).then_some(())
    })
    .await;
    running.issued(id).await;
    assert_eq!((house.sandbox.orders(), house.sandbox.issued()), (1, 1));
    no_record_is_left(&house).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_whose_clock_is_an_hour_behind_issues() {
    let house = House::new(Options::default()).await;
    house.clock.advance(SignedDuration::from_hours(1));
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    let entry = running.issued(id).await;
    let later = || async { running.store.next_due().await.unwrap().filter(|due| *due > house.clock.now()) };
    let due = eventually(PATIENCE, "nothing to be due now", later).await;
    assert!(due < entry.expiration().unwrap(), "{due}");
    assert_eq!((house.sandbox.orders(), house.sandbox.issued()), (1, 1), "nothing was renewed");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_begins_in_an_hour_is_no_certificate_yet_and_the_failure_names_both_clocks() {
    let house = House::new(Options::default()).await;
    house.clock.advance(-SignedDuration::from_hours(1));
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    let failure = running.failed(id).await;
    assert_eq!(failure.code, Code::CertificateChain, "{failure}");
    let said = failure.evidence.facts.join("\n");
    assert!(said.contains("It is valid from 20") && said.contains("; the clock here says 20"), "{said}");
    no_record_is_left(&house).await;
    // The clock is set.
    house.clock.advance(SignedDuration::from_hours(1));
    tried_again(&house, &running, id).await;
    running.stop().await;
}
