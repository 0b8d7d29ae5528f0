//! Each failure has a code of its own, leaves no record behind, and takes nothing away that was there before.
use std::time::Duration;

use certkeep_core::certificate::CertificateId;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::ports::Certificates;
use certkeep_core::time::Clock;
use certkeep_engine::UseCaseError;
use certkeep_engine::inventory::{ApplicationInput, Update};
use certkeep_sandbox::{Fault, Options, RetryAfter, Times};
use certkeep_testkit::peers::Bind;
use certkeep_testkit::wait::{PATIENCE, eventually};
use jiff::SignedDuration;

use super::house::{House, Running, integer, server, text};

/// A house in which pbx.example.com holds a certificate.
async fn with_a_certificate() -> (House, Running, CertificateId) {
    let house = House::new(Options::default()).await;
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    running.issued(id).await;
    (house, running, id)
}

/// Applies anew with `input` in a world where something is wrong; expects this failure, the old certificate still
/// there, and no record left once the world is as before.
async fn expect(house: &House, running: &Running, id: CertificateId, input: ApplicationInput, code: Code) -> Failure {
    let before = running.store.current_version(id).await.unwrap().expect("a version");
    let command = Update { input, ..Update::default() };
    running.engine.update(id, command, None).await.expect("the change is accepted");
    let failure = running.failed(id).await;
    assert_eq!(failure.code, code, "{failure}");
    let after = running.store.current_version(id).await.unwrap().expect("still there");
    assert_eq!(before.chain, after.chain);
    assert!(failure.evidence.doing.is_some(), "{failure}");
    assert!(!format!("{failure} {failure:?}").contains(house.sandbox.dns_api_key()));
    failure
}

/// The parameters with one more that nothing depends on, so that the application differs from the last one.
pub(crate) fn other(house: &House, ttl: i64) -> ApplicationInput {
    let mut auth = house.auth();
    auth.push(integer("TTL", ttl));
    ApplicationInput { auth: Some(auth), ..house.input() }
}

async fn no_record_is_left(house: &House) {
    let gone = || async { house.sandbox.txt_records().is_empty().then_some(()) };
    eventually(PATIENCE, format!("{:?} to go", house.sandbox.txt_records()), gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_101_and_waits_for_a_human() {
    let (house, running, id) = with_a_certificate().await;
    let auth = vec![text("Host", house.sandbox.dns_api_url()), text("APIKey", "not-the-key-at-all")];
    let input = ApplicationInput { auth: Some(auth), ..house.input() };
    let failure = expect(&house, &running, id, input, Code::CredentialsRejected).await;
    assert!(!failure.is_retried() && !failure.to_string().contains("not-the-key-at-all"));
    no_record_is_left(&house).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_zone_is_201() {
    let house = House::new(Options::default()).await;
    let running = house.start().await;
    let id = running.apply("pbx.example.org", house.input()).await;
    let failure = running.failed(id).await;
    assert!(matches!(failure.code, Code::ZoneNotFound), "{failure}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_zone_that_is_delegated_to_another_provider_is_202() {
    let house = House::new(Options::default()).await;
    let elsewhere = Bind::start(&["child.example.com"]).await;
    house.router.route("child.example.com", elsewhere.dns_addr());
    let running = house.start().await;
    let id = running.apply("pbx.child.example.com", house.input()).await;
    let failure = running.failed(id).await;
    assert_eq!(failure.code, Code::ZoneElsewhere, "{failure}");
    let facts = failure.evidence.facts.join("\n");
    assert!(facts.contains("has the zone example.com") && facts.contains("in the zone child.example.com"), "{facts}");
    assert_eq!(house.sandbox.txt_records(), []);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_down_is_804_and_one_with_a_fault_805_and_one_that_answers_html_806() {
    let (house, running, id) = with_a_certificate().await;
    house.sandbox.shut_dns_api().await.unwrap();
    expect(&house, &running, id, other(&house, 60), Code::ProviderUnreachable).await;
    house.sandbox.open_dns_api().await.unwrap();
    for (fault, code, ttl) in [(Fault::ApiError, Code::ProviderError, 61), (Fault::ApiHtml, Code::ProviderUnreadable, 62)] {
        house.sandbox.faults().set(fault, Times::Always);
        expect(&house, &running, id, other(&house, ttl), code).await;
        house.sandbox.faults().clear();
    }
    no_record_is_left(&house).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dns_that_never_shows_the_record_is_302() {
    let (house, running, id) = with_a_certificate().await;
    house.sandbox.faults().set(Fault::HideTxt, Times::Always);
    let failure = expect(&house, &running, id, other(&house, 60), Code::RecordNotVisible).await;
    assert!(!failure.evidence.facts.is_empty(), "each server is told of: {failure}");
    no_record_is_left(&house).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_that_is_down_is_801_and_one_with_a_fault_803() {
    let (house, running, id) = with_a_certificate().await;
    house.sandbox.shut_ca().await.unwrap();
    expect(&house, &running, id, other(&house, 60), Code::CaUnreachable).await;
    house.sandbox.open_ca().await.unwrap();
    house.sandbox.faults().set(Fault::AcmeUnavailable, Times::Always);
    expect(&house, &running, id, other(&house, 61), Code::CaError).await;
    no_record_is_left(&house).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_the_ca_is_501_and_its_retry_after_is_heeded() {
    let (house, running, id) = with_a_certificate().await;
    house.sandbox.faults().set(Fault::RateLimit, Times::Always);
    let two_hours = [RetryAfter::Seconds(7200), RetryAfter::HttpDate(Duration::from_secs(7200))];
    for (retry_after, ttl) in two_hours.into_iter().zip(60..) {
        house.sandbox.faults().set_retry_after(retry_after);
        let asked = house.clock.now();
        let failure = expect(&house, &running, id, other(&house, ttl), Code::CaRateLimited).await;
        let earliest = failure.not_before.expect("when to come back");
        let wait = earliest.duration_since(asked).as_secs();
        assert!((7198..7260).contains(&wait), "{retry_after:?}: {wait} s");
        let due = running.next_try(id).await;
        assert!(due.as_microsecond() >= earliest.as_microsecond(), "{due} {earliest}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_the_ca_refuses_is_402() {
    let house = House::new(Options::default()).await;
    house.sandbox.faults().refuse_name("bank.example.com");
    let running = house.start().await;
    let id = running.apply("bank.example.com", house.input()).await;
    let failure = running.failed(id).await;
    assert_eq!(failure.code, Code::NameRefused, "{failure}");
    assert!(!failure.is_retried());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_the_ca_reads_otherwise_is_602() {
    let (house, running, id) = with_a_certificate().await;
    house.sandbox.faults().set(Fault::WrongTxtView, Times::Always);
    let failure = expect(&house, &running, id, other(&house, 60), Code::ValidationFailed).await;
    assert!(failure.evidence.their_message.is_some(), "the CA's own words: {failure}");
    no_record_is_left(&house).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_ca_issues_wrongly_is_not_stored() {
    let (house, running, id) = with_a_certificate().await;
    let faults = [
        (Fault::WrongChain, Code::CertificateChain, 60),
        (Fault::WrongKey, Code::CertificateKey, 61),
        (Fault::WrongName, Code::CertificateNames, 62),
    ];
    for (fault, code, ttl) in faults {
        house.sandbox.faults().set(fault, Times::Always);
        expect(&house, &running, id, other(&house, ttl), code).await;
        house.sandbox.faults().clear();
    }
    no_record_is_left(&house).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_application_succeeds_by_itself_once_the_cause_is_gone() {
    let (house, running, id) = with_a_certificate().await;
    house.sandbox.faults().set(Fault::AcmeUnavailable, Times::Always);
    expect(&house, &running, id, other(&house, 60), Code::CaError).await;
    house.sandbox.faults().clear();
    house.clock.advance(SignedDuration::from_mins(12));
    // Anything that wakes the loop will do; the clock of the test does not.
    running.apply("waker.example.com", house.input()).await;
    let entry = eventually(PATIENCE, "the second try", || async {
        let entry = running.engine.certificate(id).await.unwrap();
        (server(&entry).failure.is_none() && entry.held.is_some()).then_some(entry)
    })
    .await;
    assert_eq!(server(&entry).failure, None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_removed_is_removed_later_even_after_its_certificate_was_deleted() {
    let (house, running, id) = with_a_certificate().await;
    house.sandbox.faults().set(Fault::WrongTxtView, Times::Always);
    house.sandbox.faults().set_validation_delay(Duration::from_secs(2));
    running.engine.update(id, Update { input: other(&house, 60), ..Update::default() }, None).await.unwrap();
    let up = || async { (!house.sandbox.txt_records().is_empty()).then_some(()) };
    eventually(PATIENCE, "the record to stand", up).await;
    // The record is up, and from now on the provider's API is gone.
    house.sandbox.shut_dns_api().await.unwrap();
    running.failed(id).await;
    assert_ne!(house.sandbox.txt_records(), []);
    running.engine.delete(id).await.unwrap();
    house.sandbox.open_dns_api().await.unwrap();
    house.clock.advance(SignedDuration::from_hours(2));
    running.apply("waker.example.com", house.input()).await;
    no_record_is_left(&house).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_changed_or_deleted_while_an_application_is_running() {
    let house = House::new(Options::default()).await;
    house.sandbox.faults().set_validation_delay(Duration::from_secs(1));
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    assert!(matches!(running.engine.delete(id).await, Err(UseCaseError::Busy)));
    let command = Update { input: house.input(), ..Update::default() };
    assert!(matches!(running.engine.update(id, command, None).await, Err(UseCaseError::Busy)));
    running.issued(id).await;
    running.engine.delete(id).await.unwrap();
    running.stop().await;
}
