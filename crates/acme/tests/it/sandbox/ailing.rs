//! A CA that is ill in every way, and what it offers beyond the certificate.
use std::time::Duration;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::material::{Chain, KeyType, PrivateKey, certificate_request, check_issued};
use certkeep_core::ports::{Issuer, OrderRequest, RevocationReason, Revoker};
use certkeep_core::renewal_info::RenewalId;
use certkeep_core::time::{Clock, SystemClock};
use certkeep_sandbox::{Fault, RetryAfter, Times};
use jiff::{SignedDuration, Timestamp};

use super::{House, names};

const NAMES: [&str; 1] = ["a.example.com"];

/// Asks once more where the connection broke, as the engine does after a failed step.
async fn once_more<T>(call: impl AsyncFn() -> Result<T, Failure>) -> T {
    match call().await {
        Err(failure) if failure.code == Code::CaUnreachable => call().await.unwrap(),
        outcome => outcome.unwrap(),
    }
}

impl House {
    /// As [`House::apply`], each call repeated where the connection broke.
    async fn apply_through_cuts(&self) -> (PrivateKey, Chain) {
        let order = once_more(async || self.place(&NAMES).await).await;
        once_more(async || self.validate(&order).await).await;
        let key = PrivateKey::generate(KeyType::P256).unwrap();
        let csr = certificate_request(&key, &names(&NAMES)).unwrap();
        let chain = once_more(async || self.issuer.issue(&self.ca, &self.account, &order.url, &csr, None).await).await;
        (key, chain)
    }

    async fn moved(&self, chain: &Chain) -> (Timestamp, Timestamp) {
        let info = self.issuer.renewal_info(&self.ca, chain).await.unwrap().unwrap();
        (info.window.start(), info.window.end())
    }
}

#[tokio::test]
async fn nine_of_ten_nonces_may_be_bad() {
    let house = House::build().await;
    house.sandbox.faults().set(Fault::BadNonce, Times::AllBut(10));
    house.apply(&NAMES).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_at_any_request_costs_no_certificate() {
    for fault in [Fault::AcmeRequestLost, Fault::AcmeAnswerLost] {
        let house = House::build().await;
        let mut broken = 0;
        for request in 1.. {
            let issued = house.sandbox.issued();
            let before = house.sandbox.faults().fired(fault);
            house.sandbox.faults().set(fault, Times::Nth(request));
            let (key, chain) = house.apply_through_cuts().await;
            check_issued(&chain, &key, &names(&NAMES), SystemClock.now()).unwrap();
            assert_eq!(house.sandbox.issued() - issued, 1, "{fault:?} at request {request}");
            if house.sandbox.faults().fired(fault) == before {
                break;
            }
            broken += 1;
        }
        assert!(broken >= 7, "{fault:?}: only {broken} requests");
    }
}

#[tokio::test]
async fn a_ca_that_is_down_for_a_moment_is_outlived_while_reading_and_told_otherwise() {
    let house = House::build().await;
    let order = house.place(&NAMES).await.unwrap();
    house.sandbox.faults().set(Fault::AcmeUnavailable, Times::Next(2));
    house.issuer.order(&house.ca, &house.account, &order.url).await.unwrap();
    house.sandbox.faults().set_retry_after(RetryAfter::HttpDate(Duration::from_secs(600)));
    house.sandbox.faults().set(Fault::AcmeUnavailable, Times::For(Duration::from_secs(3600)));
    let failure = house.issuer.order(&house.ca, &house.account, &order.url).await.unwrap_err();
    assert_eq!(failure.code, Code::CaError);
    assert!(failure.not_before.is_some_and(|instant| instant > SystemClock.now() + SignedDuration::from_mins(9)));
}

#[tokio::test]
async fn an_order_that_turns_invalid_while_it_waits_is_told() {
    let house = House::build().await;
    let order = house.place(&NAMES).await.unwrap();
    house.sandbox.faults().set(Fault::OrderInvalid, Times::Next(1));
    let failure = house.validate(&order).await.unwrap_err();
    assert_eq!(failure.evidence.their_code.as_deref(), Some("serverInternal"), "{failure}");
    house.apply(&NAMES).await.unwrap();
}

#[tokio::test]
async fn slow_validations_issuances_and_certificates_are_waited_for() {
    for dates in [false, true] {
        let house = House::build().await;
        let faults = house.sandbox.faults();
        faults.set_waits_as_dates(dates);
        faults.set_validation_delay(Duration::from_millis(1500));
        faults.set_issuance_delay(Duration::from_millis(1500));
        faults.set(Fault::CertificateLate, Times::Next(3));
        house.apply(&NAMES).await.unwrap();
        assert_eq!(faults.fired(Fault::CertificateLate), 3);
    }
}

#[tokio::test]
async fn an_authorization_that_stays_pending_is_given_up() {
    let mut house = House::build().await;
    house.sandbox.faults().set_validation_delay(Duration::from_secs(3600));
    house.issuer = certkeep_acme::AcmeIssuer::new(std::sync::Arc::new(SystemClock)).with_patience(Duration::from_millis(500));
    let order = house.place(&NAMES).await.unwrap();
    assert_eq!(house.validate(&order).await.unwrap_err().code, Code::ValidationTimeout);
}

#[tokio::test]
async fn the_certificate_of_a_ca_whose_clock_is_wrong_is_had() {
    let house = House::build().await;
    for hours in [1, -1] {
        house.sandbox.faults().set_clock_offset(SignedDuration::from_hours(hours));
        let (_, chain) = house.apply(&NAMES).await.unwrap();
        let begins = chain.facts().unwrap().held.validity.not_before.duration_since(SystemClock.now());
        assert!((begins - SignedDuration::from_hours(hours)).abs() < SignedDuration::from_mins(1), "{begins}");
    }
}

#[tokio::test]
async fn wrong_keys_and_names_are_seen() {
    let house = House::build().await;
    for fault in [Fault::WrongKey, Fault::WrongName] {
        house.sandbox.faults().set(fault, Times::Next(1));
        let (key, chain) = house.apply(&NAMES).await.unwrap();
        assert!(check_issued(&chain, &key, &names(&NAMES), SystemClock.now()).is_err(), "{fault:?}");
    }
}

#[tokio::test]
async fn windows_are_read_as_the_ca_moves_them() {
    let house = House::build().await;
    let (_, chain) = house.apply(&NAMES).await.unwrap();
    let validity = chain.facts().unwrap().held.validity;
    assert_eq!(house.moved(&chain).await, (validity.not_after - validity.life() / 3, validity.not_after));
    let window = ("2026-01-01T00:00:00Z".parse().unwrap(), "2026-01-02T00:00:00Z".parse().unwrap());
    house.sandbox.faults().set_renewal_window(Some(window));
    assert_eq!(house.moved(&chain).await, window);
    let info = house.issuer.renewal_info(&house.ca, &chain).await.unwrap().unwrap();
    assert!(info.explanation_url.is_some_and(|page| page.ends_with("/why-renew")));
    house.sandbox.faults().set_renewal_window(None);
    house.issuer.revoke(&house.ca, Revoker::Account(&house.account), &chain, RevocationReason::Superseded).await.unwrap();
    assert!(house.moved(&chain).await.1 <= SystemClock.now());
}

#[tokio::test]
async fn a_certificate_is_replaced_once_and_a_second_order_goes_without() {
    let house = House::build().await;
    let (_, chain) = house.apply(&NAMES).await.unwrap();
    let (id, wanted) = (RenewalId::of(&chain).unwrap(), names(&NAMES));
    let request = OrderRequest { replaces: Some(&id), ..OrderRequest::for_names(&wanted) };
    for orders in [2, 3] {
        house.issuer.new_order(&house.ca, &house.account, request).await.unwrap();
        assert_eq!(house.sandbox.orders(), orders);
    }
}

#[tokio::test]
async fn a_profile_shortens_the_life() {
    let house = House::build().await;
    let wanted = names(&NAMES);
    let request = OrderRequest { profile: Some("shortlived"), ..OrderRequest::for_names(&wanted) };
    let order = house.issuer.new_order(&house.ca, &house.account, request).await.unwrap();
    house.validate(&order).await.unwrap();
    let csr = certificate_request(&PrivateKey::generate(KeyType::P256).unwrap(), &wanted).unwrap();
    let chain = house.issuer.issue(&house.ca, &house.account, &order.url, &csr, None).await.unwrap();
    assert!(chain.facts().unwrap().held.validity.life() < SignedDuration::from_hours(240));
}

#[tokio::test]
async fn the_preferred_chain_is_chosen() {
    let house = House::build().await;
    let order = house.place(&NAMES).await.unwrap();
    house.validate(&order).await.unwrap();
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let csr = certificate_request(&key, &names(&NAMES)).unwrap();
    for (preferred, root) in [
        (None, "certkeep sandbox root"),
        (Some("certkeep sandbox other root"), "certkeep sandbox other root"),
        (Some("another CA's root"), "certkeep sandbox root"),
    ] {
        let chain = house.issuer.issue(&house.ca, &house.account, &order.url, &csr, preferred).await.unwrap();
        assert_eq!(chain.root_name().as_deref(), Some(root));
        check_issued(&chain, &key, &names(&NAMES), SystemClock.now()).unwrap();
    }
    assert_eq!(house.sandbox.issued(), 1);
}

#[tokio::test]
async fn accounts_and_keys_revoke() {
    let house = House::build().await;
    let (_, first) = house.apply(&NAMES).await.unwrap();
    let (key, second) = house.apply(&NAMES).await.unwrap();
    for (by, chain, count) in [(Revoker::Account(&house.account), &first, 1), (Revoker::CertificateKey(&key), &second, 2)] {
        for _ in 0..2 {
            house.issuer.revoke(&house.ca, by, chain, RevocationReason::KeyCompromise).await.unwrap();
        }
        assert_eq!(house.sandbox.revoked(), count);
    }
    let failure =
        house.issuer.revoke(&house.ca, Revoker::CertificateKey(&key), &first, RevocationReason::KeyCompromise).await.unwrap_err();
    assert_eq!(failure.code, Code::RevocationRefused, "{failure}");
}

#[tokio::test]
async fn a_key_change_survives_a_broken_connection_anywhere() {
    for fault in [Fault::AcmeRequestLost, Fault::AcmeAnswerLost] {
        let house = House::build().await;
        let mut account = house.account.clone();
        for request in 1.. {
            let next = house.issuer.new_account(&house.ca).unwrap();
            let before = house.sandbox.faults().fired(fault);
            house.sandbox.faults().set(fault, Times::Nth(request));
            account = once_more(async || house.issuer.roll_over(&house.ca, &account, &next).await).await;
            let order = house.issuer.new_order(&house.ca, &account, OrderRequest::for_names(&names(&NAMES))).await;
            if house.sandbox.faults().fired(fault) == before {
                order.unwrap();
                break;
            }
        }
    }
}
