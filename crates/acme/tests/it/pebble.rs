//! Against Pebble, which validates for real, with records in PowerDNS.
use std::sync::Arc;

use certkeep_acme::AcmeIssuer;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::material::{Chain, KeyType, PrivateKey, certificate_request, check_issued};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{
    AuthorizationStatus, CertificateAuthority, ExternalAccount, Issuer, Order, OrderRequest, OrderStatus,
};
use certkeep_core::time::{Clock, SystemClock};
use certkeep_testkit::peers::{self, DnsRouter, Pebble, PebbleOptions, PowerDns};

mod afterwards;
#[cfg(feature = "newer-peers")]
mod newer;

const ZONE: &str = "acme.test";

/// A CA, the DNS it looks at, and an account there.
struct House {
    pdns: PowerDns,
    _router: DnsRouter,
    pebble: Pebble,
    ca: CertificateAuthority,
    account: AcmeAccount,
    issuer: AcmeIssuer,
}

pub(crate) fn issuer() -> AcmeIssuer {
    AcmeIssuer::new(Arc::new(SystemClock))
}

pub(crate) async fn authorities() -> (PowerDns, DnsRouter) {
    let pdns = PowerDns::start(&[ZONE]).await;
    let router = DnsRouter::start([(ZONE, pdns.dns_addr())]).await;
    (pdns, router)
}

fn ca_of(pebble: &Pebble) -> CertificateAuthority {
    CertificateAuthority {
        directory: pebble.directory_url(),
        roots: vec![pebble.tls_root_pem().to_owned()],
        contact: vec!["mailto:someone@example.com".into()],
        external_account: None,
    }
}

pub(crate) fn names(names: &[&str]) -> Vec<DnsName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

impl House {
    async fn build(change: impl FnOnce(&mut PebbleOptions)) -> House {
        let (pdns, router) = authorities().await;
        let mut options = PebbleOptions::new(router.dns_addr());
        change(&mut options);
        let pebble = Pebble::start(options).await;
        let (ca, issuer) = (ca_of(&pebble), issuer());
        let account = issuer.register(&ca, &issuer.new_account(&ca).unwrap()).await.unwrap();
        House { pdns, _router: router, pebble, ca, account, issuer }
    }

    /// Forgets all but what the engine saves.
    fn restart(&mut self) {
        self.issuer = issuer();
    }

    async fn place(&self, wanted: &[&str]) -> Order {
        self.issuer.new_order(&self.ca, &self.account, OrderRequest::for_names(&names(wanted))).await.unwrap()
    }

    /// Puts up what the CA will look for, in place of what is there; all of it at one name must be in one order.
    async fn put_up(&self, order: &Order) {
        for authorization in &order.authorizations {
            let values: Vec<String> = order
                .authorizations
                .iter()
                .filter(|other| other.name == authorization.name)
                .map(|other| format!("\"{}\"", other.challenge.as_ref().unwrap().value))
                .collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            self.pdns.set(authorization.name.challenge_record().as_str(), "TXT", &values).await;
        }
    }

    async fn validate(&self, order: &Order) -> Result<Order, Failure> {
        let challenges: Vec<String> =
            order.authorizations.iter().filter_map(|each| Some(each.challenge.as_ref()?.url.clone())).collect();
        self.issuer.validate(&self.ca, &self.account, &order.url, &challenges).await
    }

    async fn issue(&self, order: &Order, csr: &[u8]) -> Result<Chain, Failure> {
        self.issuer.issue(&self.ca, &self.account, &order.url, csr, None).await
    }
}

pub(crate) fn request(wanted: &[&str]) -> (PrivateKey, Vec<u8>) {
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let csr = certificate_request(&key, &names(wanted)).unwrap();
    (key, csr)
}

#[tokio::test]
async fn a_name_is_certified() {
    let house = House::build(|_| {}).await;
    let wanted = ["a.acme.test"];
    let order = house.place(&wanted).await;
    assert_eq!(order.status, OrderStatus::Pending);
    assert_eq!(order.authorizations[0].status, AuthorizationStatus::Pending);
    house.put_up(&order).await;
    assert_eq!(house.validate(&order).await.unwrap().status, OrderStatus::Ready);
    let (key, csr) = request(&wanted);
    let chain = house.issue(&order, &csr).await.unwrap();
    assert_eq!(chain.certificates().len(), 2);
    check_issued(&chain, &key, &names(&wanted), SystemClock.now()).unwrap();
    assert_eq!(house.issue(&order, &csr).await.unwrap(), chain, "the same order gives the same certificate");
}

#[tokio::test]
async fn a_wildcard_and_its_base_share_an_order_though_nine_nonces_of_ten_are_bad() {
    let house = House::build(|options| options.bad_nonce_percent = 90).await;
    let wanted = ["*.w.acme.test", "w.acme.test", "other.acme.test"];
    let order = house.place(&wanted).await;
    let mut seen: Vec<(&str, bool)> = order.authorizations.iter().map(|each| (each.name.as_str(), each.wildcard)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [("other.acme.test", false), ("w.acme.test", false), ("w.acme.test", true)]);
    house.put_up(&order).await;
    house.validate(&order).await.unwrap();
    let (key, csr) = request(&wanted);
    let chain = house.issue(&order, &csr).await.unwrap();
    check_issued(&chain, &key, &names(&wanted), SystemClock.now()).unwrap();
}

#[tokio::test]
async fn a_restart_at_any_point_goes_on_with_the_same_order() {
    let mut house = House::build(|_| {}).await;
    let wanted = ["r.acme.test"];
    let (key, csr) = request(&wanted);

    house.account = house.issuer.register(&house.ca, &house.account).await.unwrap();
    house.restart();
    let order = house.place(&wanted).await;
    house.restart();
    let again = house.issuer.order(&house.ca, &house.account, &order.url).await.unwrap();
    assert_eq!((&again.url, again.status), (&order.url, OrderStatus::Pending));
    assert_eq!(
        again.authorizations[0].challenge.as_ref().unwrap().value,
        order.authorizations[0].challenge.as_ref().unwrap().value,
    );
    house.put_up(&again).await;
    house.validate(&again).await.unwrap();
    house.restart();
    assert_eq!(house.validate(&again).await.unwrap().status, OrderStatus::Ready, "asking twice is no error");
    let chain = house.issue(&again, &csr).await.unwrap();
    house.restart();
    assert_eq!(house.issue(&again, &csr).await.unwrap(), chain);
    check_issued(&chain, &key, &names(&wanted), SystemClock.now()).unwrap();
    let done = house.issuer.order(&house.ca, &house.account, &order.url).await.unwrap();
    assert_eq!(done.status, OrderStatus::Valid);
}

#[tokio::test]
async fn registering_again_finds_the_same_account() {
    let house = House::build(|_| {}).await;
    let order = house.place(&["same.acme.test"]).await;
    let saved = house.issuer.register(&house.ca, &house.account).await.unwrap();
    let found = issuer().order(&house.ca, &saved, &order.url).await.unwrap();
    assert_eq!(found.url, order.url);
}

#[tokio::test]
async fn an_order_of_another_account_is_invalid() {
    let house = House::build(|_| {}).await;
    let order = house.place(&["mine.acme.test"]).await;
    let other = house.issuer.register(&house.ca, &house.issuer.new_account(&house.ca).unwrap()).await.unwrap();
    let failure = house.issuer.order(&house.ca, &other, &order.url).await.unwrap_err();
    assert_eq!(failure.code, Code::OrderInvalid, "{failure}");
}

#[tokio::test]
async fn a_wrong_record_fails_the_validation_in_the_words_of_the_ca() {
    let house = House::build(|_| {}).await;
    let order = house.place(&["wrong.acme.test"]).await;
    house.pdns.set("_acme-challenge.wrong.acme.test", "TXT", &["\"another value\""]).await;
    let failure = house.validate(&order).await.unwrap_err();
    assert_eq!(failure.code, Code::ValidationFailed, "{failure}");
    assert_eq!(failure.evidence.doing.as_deref(), Some("validate"));
    assert_eq!(failure.evidence.their_code.as_deref(), Some("unauthorized"));
    assert!(failure.evidence.subject.as_deref().is_some_and(|name| name.ends_with("wrong.acme.test")));
    assert!(failure.evidence.their_message.as_deref().is_some_and(|said| said.contains("DNS challenge")), "{failure}");
    let again = house.issuer.order(&house.ca, &house.account, &order.url).await.unwrap();
    assert_eq!(again.status, OrderStatus::Invalid);
    assert_eq!(again.failure.map(|failure| failure.code), Some(Code::ValidationFailed));
    let failure = house.issue(&order, &request(&["wrong.acme.test"]).1).await.unwrap_err();
    assert_eq!(failure.code, Code::ValidationFailed, "{failure}");
}

#[tokio::test]
async fn a_blocked_name_is_refused() {
    let house = House::build(|options| options.blocked_domains = vec![ZONE.into()]).await;
    let failure =
        house.issuer.new_order(&house.ca, &house.account, OrderRequest::for_names(&names(&["no.acme.test"]))).await.unwrap_err();
    assert_eq!(failure.code, Code::NameRefused, "{failure}");
    assert_eq!(failure.evidence.their_code.as_deref(), Some("rejectedIdentifier"));
}

#[tokio::test]
async fn a_request_for_other_names_is_refused() {
    let house = House::build(|_| {}).await;
    let order = house.place(&["csr.acme.test"]).await;
    house.put_up(&order).await;
    house.validate(&order).await.unwrap();
    let failure = house.issue(&order, &request(&["elsewhere.acme.test"]).1).await.unwrap_err();
    assert!(matches!(failure.code, Code::CsrRefused | Code::OrderInvalid), "{failure}");
    assert_eq!(failure.evidence.doing.as_deref(), Some("finalize order"));
}

#[tokio::test]
async fn a_valid_authorization_needs_no_record() {
    let house = House::build(|options| options.authorization_reuse_percent = 100).await;
    let wanted = ["reuse.acme.test"];
    let order = house.place(&wanted).await;
    house.put_up(&order).await;
    house.validate(&order).await.unwrap();
    house.pdns.set("_acme-challenge.reuse.acme.test", "TXT", &[]).await;
    let order = house.place(&wanted).await;
    assert_eq!(order.authorizations[0].status, AuthorizationStatus::Valid);
    assert_eq!(house.issuer.validate(&house.ca, &house.account, &order.url, &[]).await.unwrap().status, OrderStatus::Ready);
    house.issue(&order, &request(&wanted).1).await.unwrap();
}

#[tokio::test]
async fn an_external_account_is_bound() {
    let known = peers::ExternalAccount {
        key_id: "kid-1".into(),
        hmac_key: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W".into(),
    };
    let (_pdns, router) = authorities().await;
    let mut options = PebbleOptions::new(router.dns_addr());
    options.external_account = Some(known.clone());
    let pebble = Pebble::start(options).await;
    let issuer = issuer();
    let account = issuer.new_account(&ca_of(&pebble)).unwrap();
    let register = async |kid: &str, hmac_key: &str| {
        let external = ExternalAccount { kid: kid.into(), hmac_key: hmac_key.to_owned().into() };
        let ca = CertificateAuthority { external_account: Some(external), ..ca_of(&pebble) };
        issuer.register(&ca, &account).await
    };

    let failure = issuer.register(&ca_of(&pebble), &account).await.unwrap_err();
    assert_eq!(failure.code, Code::AccountBindingRequired, "{failure}");
    let failure = register("kid-9", &known.hmac_key).await.unwrap_err();
    assert_eq!(failure.code, Code::AccountBindingRejected, "{failure}");
    let failure = register(&known.key_id, &known.hmac_key.replace('z', "a")).await.unwrap_err();
    assert_eq!(failure.code, Code::AccountBindingRejected, "{failure}");
    assert!(!failure.to_string().contains(&known.hmac_key));
    register(&known.key_id, &known.hmac_key).await.unwrap();
}

#[tokio::test]
async fn an_unknown_root_is_not_trusted() {
    let house = House::build(|_| {}).await;
    let ca = CertificateAuthority { roots: Vec::new(), ..house.ca.clone() };
    let failure = house.issuer.order(&ca, &house.account, &format!("{}/order", house.ca.directory)).await.unwrap_err();
    assert_eq!(failure.code, Code::CaUntrusted, "{failure}");
    assert_eq!(failure.evidence.facts, ["invalid peer certificate: UnknownIssuer."]);

    let ca = CertificateAuthority { roots: vec!["no PEM".into()], ..house.ca.clone() };
    let failure = house.issuer.register(&ca, &house.account).await.unwrap_err();
    assert_eq!((failure.code, failure.evidence.subject.as_deref()), (Code::CaUntrusted, Some("[acme] roots")));
}

#[tokio::test]
async fn a_page_that_is_no_directory_is_told() {
    let house = House::build(|_| {}).await;
    let ca = CertificateAuthority { directory: house.pebble.management_url(), ..house.ca.clone() };
    let failure = house.issuer.register(&ca, &house.issuer.new_account(&ca).unwrap()).await.unwrap_err();
    assert_eq!(failure.code, Code::CaProtocol, "{failure}");
}

#[tokio::test]
async fn ten_orders_at_once_share_one_account() {
    let house = House::build(|_| {}).await;
    let one = async |number: usize| {
        let name = format!("n{number}.acme.test");
        let order = house.place(&[&name]).await;
        house.put_up(&order).await;
        house.validate(&order).await.unwrap();
        house.issue(&order, &request(&[&name]).1).await.unwrap()
    };
    tokio::join!(one(0), one(1), one(2), one(3), one(4), one(5), one(6), one(7), one(8), one(9));
}
