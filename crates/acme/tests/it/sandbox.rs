//! Against certkeep's own sandbox, which goes wrong on request.
use std::sync::Arc;

use certkeep_acme::AcmeIssuer;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::material::{Chain, KeyType, PrivateKey, certificate_request, check_issued};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{CertificateAuthority, Issuer, Order, OrderRequest};
use certkeep_core::time::{Clock, SystemClock};
use certkeep_sandbox::{Fault, Options, RetryAfter, Sandbox, Times};
use jiff::SignedDuration;

mod ailing;

struct House {
    sandbox: Sandbox,
    ca: CertificateAuthority,
    account: AcmeAccount,
    issuer: AcmeIssuer,
}

fn names(names: &[&str]) -> Vec<DnsName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

impl House {
    async fn build() -> House {
        let sandbox = Sandbox::start(Options::default()).await.unwrap();
        let ca = CertificateAuthority {
            directory: sandbox.directory_url().to_owned(),
            roots: vec![sandbox.tls_root_pem().to_owned()],
            contact: Vec::new(),
            external_account: None,
        };
        let issuer = AcmeIssuer::new(Arc::new(SystemClock));
        let account = issuer.register(&ca, &issuer.new_account(&ca).unwrap()).await.unwrap();
        House { sandbox, ca, account, issuer }
    }

    async fn place(&self, wanted: &[&str]) -> Result<Order, Failure> {
        self.issuer.new_order(&self.ca, &self.account, OrderRequest::for_names(&names(wanted))).await
    }

    async fn validate(&self, order: &Order) -> Result<Order, Failure> {
        let mut challenges = Vec::new();
        for authorization in &order.authorizations {
            let shared = order.authorizations.iter().filter(|other| other.name == authorization.name);
            let values: Vec<&str> = shared.map(|other| other.challenge.as_ref().unwrap().value.as_str()).collect();
            self.sandbox.set_txt(authorization.name.challenge_record().as_str(), &values).unwrap();
            challenges.push(authorization.challenge.as_ref().unwrap().url.clone());
        }
        self.issuer.validate(&self.ca, &self.account, &order.url, &challenges).await
    }

    /// All of it, from the order to the chain.
    async fn apply(&self, wanted: &[&str]) -> Result<(PrivateKey, Chain), Failure> {
        let order = self.place(wanted).await?;
        self.validate(&order).await?;
        let key = PrivateKey::generate(KeyType::P256).unwrap();
        let csr = certificate_request(&key, &names(wanted)).unwrap();
        Ok((key, self.issuer.issue(&self.ca, &self.account, &order.url, &csr, None).await?))
    }
}

#[tokio::test]
async fn the_directory_tells_by_which_names_the_ca_goes_in_caa_records() {
    let house = House::build().await;
    assert_eq!(house.issuer.caa_identities(&house.ca).await.unwrap(), ["sandbox.example"]);
    house.sandbox.set_record("example.com", "CAA", &["0 issue \"other.example\""]).unwrap();
    let order = house.place(&["a.example.com"]).await.unwrap();
    assert_eq!(house.validate(&order).await.unwrap_err().code, Code::CaaForbids);
}

#[tokio::test]
async fn a_wildcard_and_its_base_are_certified_though_every_second_nonce_is_bad() {
    let house = House::build().await;
    house.sandbox.faults().set(Fault::BadNonce, Times::Every(2));
    let wanted = ["*.example.com", "example.com"];
    let (key, chain) = house.apply(&wanted).await.unwrap();
    check_issued(&chain, &key, &names(&wanted), SystemClock.now()).unwrap();
    assert!(house.sandbox.faults().fired(Fault::BadNonce) > 3);
}

#[tokio::test]
async fn every_fault_has_its_code() {
    let house = House::build().await;
    for (fault, code) in [
        (Fault::AcmeError, Code::CaError),
        (Fault::AcmeUnavailable, Code::CaError),
        (Fault::DnsServfail, Code::ValidationDns),
        (Fault::HideTxt, Code::ValidationFailed),
        (Fault::RateLimit, Code::CaRateLimited),
        (Fault::UserActionRequired, Code::AccountRefused),
        (Fault::WrongChain, Code::CertificateChain),
        (Fault::WrongTxtView, Code::ValidationFailed),
    ] {
        house.sandbox.faults().set(fault, Times::Always);
        let failure = house.apply(&["a.example.com"]).await.unwrap_err();
        assert_eq!(failure.code, code, "{fault:?}: {failure}");
        house.sandbox.faults().clear();
    }
    house.apply(&["a.example.com"]).await.unwrap();
}

#[tokio::test]
async fn an_order_that_turns_invalid_when_finalized_is_told_in_the_words_of_the_ca() {
    let house = House::build().await;
    house.sandbox.faults().set(Fault::InvalidAtFinalize, Times::Next(1));
    let failure = house.apply(&["a.example.com"]).await.unwrap_err();
    assert_eq!(failure.evidence.doing.as_deref(), Some("finalize order"), "{failure}");
    assert!(failure.evidence.their_code.is_some() && failure.evidence.their_message.is_some(), "{failure}");
}

#[tokio::test]
async fn a_rate_limit_says_when() {
    let house = House::build().await;
    let hour = std::time::Duration::from_secs(3600);
    for retry_after in [RetryAfter::Seconds(3600), RetryAfter::HttpDate(hour)] {
        house.sandbox.faults().set(Fault::RateLimit, Times::Always);
        house.sandbox.faults().set_retry_after(retry_after);
        let failure = house.place(&["a.example.com"]).await.unwrap_err();
        let wait = failure.not_before.unwrap().duration_since(SystemClock.now());
        assert!(wait > SignedDuration::from_mins(59) && wait <= SignedDuration::from_mins(60), "{retry_after:?}: {wait}");
    }
}

#[tokio::test]
async fn a_refused_name_is_told() {
    let house = House::build().await;
    house.sandbox.faults().refuse_name("no.example.com");
    let failure = house.place(&["yes.example.com", "no.example.com"]).await.unwrap_err();
    assert_eq!(failure.code, Code::NameRefused, "{failure}");
}

#[tokio::test]
async fn a_ca_that_comes_back_is_asked_on() {
    let house = House::build().await;
    let order = house.place(&["a.example.com"]).await.unwrap();
    house.sandbox.shut_ca().await.unwrap();
    let failure = house.validate(&order).await.unwrap_err();
    assert_eq!(failure.code, Code::CaUnreachable, "{failure}");
    house.sandbox.open_ca().await.unwrap();
    house.validate(&order).await.unwrap();
}
