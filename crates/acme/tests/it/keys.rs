//! Account keys that change, certificates that are revoked, and chains to choose from, at a scripted CA.
use std::sync::Arc;

use axum::http::Method;
use certkeep_acme::AcmeIssuer;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::material::{Chain, KeyType, PrivateKey};
use certkeep_core::ports::{Issuer, RevocationReason, Revoker};
use certkeep_core::time::SystemClock;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::stub::{CSR, Reply, Stub};

struct House {
    stub: Stub,
    issuer: AcmeIssuer,
    account: AcmeAccount,
}

impl House {
    async fn build() -> House {
        let stub = Stub::start().await;
        stub.always(
            "/dir",
            Reply::json(&json!({
                "newNonce": stub.url("/nonce"), "newAccount": stub.url("/account"), "newOrder": stub.url("/new-order"),
                "keyChange": stub.url("/key-change"), "revokeCert": stub.url("/revoke"),
            })),
        );
        stub.always("/key-change", Reply::json(&json!({ "status": "valid" })));
        stub.always("/revoke", Reply::text(200, "text/plain", ""));
        let issuer = AcmeIssuer::new(Arc::new(SystemClock));
        let account = issuer.register(&stub.ca(), &issuer.new_account(&stub.ca()).unwrap()).await.unwrap();
        House { stub, issuer, account }
    }

    async fn roll_over(&self) -> Result<AcmeAccount, Failure> {
        let next = self.issuer.new_account(&self.stub.ca()).unwrap();
        self.issuer.roll_over(&self.stub.ca(), &self.account, &next).await
    }

    async fn revoke(&self, by: Revoker<'_>, reason: RevocationReason) -> Result<(), Failure> {
        let chain = Chain::new(vec![b"a certificate".to_vec()]).unwrap();
        self.issuer.revoke(&self.stub.ca(), by, &chain, reason).await
    }

    async fn issue(&self, preferred: Option<&str>) -> Result<Chain, Failure> {
        self.issuer.issue(&self.stub.ca(), &self.account, &self.stub.url("/order/1"), CSR, preferred).await
    }
}

fn header(jws: &Value) -> Value {
    use base64::Engine;
    let protected = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(jws["protected"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&protected).unwrap()
}

#[tokio::test]
async fn a_new_key_consents_and_the_account_keeps_its_url() {
    let house = House::build().await;
    let rolled = house.roll_over().await.unwrap();
    assert!(rolled.registered);
    let inner = &house.stub.payloads("/key-change")[0];
    let header = header(inner);
    assert_eq!(header["url"], house.stub.url("/key-change"));
    assert!(header.get("nonce").is_none() && header["jwk"]["x"].is_string());
    // The new credentials act for the same account: instant-acme names it in every request.
    house.issuer.order(&house.stub.ca(), &rolled, &house.stub.url("/order/1")).await.unwrap();
    assert_eq!(house.stub.last_kid(), house.stub.url("/account/1"));
}

#[tokio::test]
async fn a_key_that_the_ca_knows_already_is_a_success() {
    for refusal in [
        Reply::problem(400, "malformed", "the signature does not verify"),
        Reply::problem(403, "unauthorized", "not the account's key"),
        Reply::problem(409, "malformed", "the key is in use"),
    ] {
        let house = House::build().await;
        house.stub.always("/key-change", refusal);
        assert!(house.roll_over().await.unwrap().registered);
        assert_eq!(house.stub.payloads("/account")[1], json!({ "onlyReturnExisting": true }));
    }
}

#[tokio::test]
async fn a_key_of_another_account_is_refused() {
    let house = House::build().await;
    house.stub.always("/key-change", Reply::problem(409, "malformed", "the key is in use"));
    let elsewhere = Reply::json(&json!({ "status": "valid" })).header("location", house.stub.url("/account/2"));
    house.stub.always("/account", elsewhere);
    let failure = house.roll_over().await.unwrap_err();
    assert_eq!((failure.code, failure.evidence.their_message.as_deref()), (Code::AccountRefused, Some("the key is in use")));
}

#[tokio::test]
async fn a_refused_change_is_told_in_the_words_of_the_ca() {
    let house = House::build().await;
    house.stub.always("/account", Reply::problem(400, "accountDoesNotExist", "no account has this key"));
    for (reply, code) in [
        (Reply::problem(400, "badPublicKey", "weak"), Code::AccountRefused),
        (Reply::problem(409, "conflict", "in use"), Code::AccountRefused),
        (Reply::problem(429, "rateLimited", "too often"), Code::CaRateLimited),
    ] {
        house.stub.always("/key-change", reply);
        assert_eq!(house.roll_over().await.unwrap_err().code, code);
    }
}

#[tokio::test]
async fn a_ca_that_is_down_is_not_asked_whose_key_it_is() {
    let house = House::build().await;
    house.stub.always("/key-change", Reply::problem(503, "serverInternal", "down").header("retry-after", "60"));
    assert_eq!(house.roll_over().await.unwrap_err().code, Code::CaError);
    assert_eq!(house.stub.count(Method::POST, "/account"), 1);
}

#[tokio::test]
async fn a_directory_without_a_place_for_it_is_told() {
    let house = House::build().await;
    let bare = Stub::start().await;
    let account = house.issuer.register(&bare.ca(), &house.issuer.new_account(&bare.ca()).unwrap()).await.unwrap();
    let next = house.issuer.new_account(&bare.ca()).unwrap();
    let failure = house.issuer.roll_over(&bare.ca(), &account, &next).await.unwrap_err();
    assert_eq!(failure.code, Code::CaProtocol);
    let chain = Chain::new(vec![b"a certificate".to_vec()]).unwrap();
    let revoked = house.issuer.revoke(&bare.ca(), Revoker::Account(&account), &chain, RevocationReason::default()).await;
    assert_eq!(revoked.unwrap_err().code, Code::CaProtocol);
}

#[tokio::test]
async fn an_account_revokes_with_a_reason_or_without() {
    let house = House::build().await;
    house.revoke(Revoker::Account(&house.account), RevocationReason::Superseded).await.unwrap();
    assert_eq!(house.stub.last_kid(), house.stub.url("/account/1"));
    house.revoke(Revoker::Account(&house.account), RevocationReason::Unspecified).await.unwrap();
    let certificate = "YSBjZXJ0aWZpY2F0ZQ";
    assert_eq!(
        house.stub.payloads("/revoke"),
        [json!({ "certificate": certificate, "reason": 4 }), json!({ "certificate": certificate })],
    );
}

#[tokio::test]
async fn a_certificate_key_of_any_kind_revokes_and_is_sent_along() {
    let house = House::build().await;
    for (kind, name) in [(KeyType::P256, "EC"), (KeyType::P384, "EC"), (KeyType::Rsa2048, "RSA")] {
        let key = PrivateKey::generate(kind).unwrap();
        house.revoke(Revoker::CertificateKey(&key), RevocationReason::KeyCompromise).await.unwrap();
        let header = house.stub.last_header();
        assert!(header.get("kid").is_none() && header["jwk"]["kty"] == name, "{header}");
    }
}

#[tokio::test]
async fn what_is_revoked_already_is_a_success_and_a_refusal_is_told() {
    let house = House::build().await;
    let by = Revoker::Account(&house.account);
    house.stub.always("/revoke", Reply::problem(400, "alreadyRevoked", "twice"));
    house.revoke(by, RevocationReason::KeyCompromise).await.unwrap();
    for (reply, code) in [
        (Reply::problem(403, "unauthorized", "not yours"), Code::RevocationRefused),
        (Reply::problem(404, "malformed", "no such certificate"), Code::RevocationRefused),
        (Reply::problem(400, "badRevocationReason", "not that one"), Code::RevocationRefused),
        (Reply::problem(400, "accountDoesNotExist", "who?"), Code::AccountRefused),
        (Reply::problem(429, "rateLimited", "too often"), Code::CaRateLimited),
        (Reply::text(404, "text/html", "<h1>Not found</h1>"), Code::CaProtocol),
    ] {
        house.stub.always("/revoke", reply);
        let failure = house.revoke(by, RevocationReason::KeyCompromise).await.unwrap_err();
        assert_eq!((failure.code, failure.evidence.doing.as_deref()), (code, Some("revoke certificate")), "{failure}");
    }
}

/// Two chains of one leaf, by the names of their roots, and one of another leaf.
struct Chains {
    first: String,
    second: String,
    stranger: String,
}

impl Chains {
    fn make() -> Chains {
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let root = |name: &str| CertifiedIssuer::self_signed(authority(name), KeyPair::generate().unwrap()).unwrap();
        let (first, second) = (root("First Root"), root("Second Root"));
        let middle = CertifiedIssuer::signed_by(authority("Middle"), KeyPair::generate().unwrap(), &first).unwrap();
        let crossed = authority("Middle").signed_by(middle.key(), &second).unwrap();
        let leaf = || {
            let params = CertificateParams::new(["a.example.com".to_owned()]).unwrap();
            params.signed_by(&KeyPair::generate().unwrap(), &middle).unwrap().pem()
        };
        let (ours, theirs) = (leaf(), leaf());
        Chains {
            first: [ours.clone(), middle.pem()].concat(),
            second: [ours, crossed.pem()].concat(),
            stranger: [theirs, crossed.pem()].concat(),
        }
    }
}

fn pem(text: &str) -> Reply {
    Reply::text(200, "application/pem-certificate-chain", text)
}

/// A house whose order is valid, with alternates at these paths.
async fn with_alternates(chains: &Chains, links: &[&str]) -> House {
    let house = House::build().await;
    house.stub.always("/order/1", house.stub.order("valid"));
    let links: Vec<String> = links.iter().map(|link| format!("<{link}>;rel=\"alternate\"")).collect();
    house.stub.always("/certificate/1", pem(&chains.first).header("link", links.join(", ")));
    house.stub.always("/certificate/2", pem(&chains.second));
    house.stub.always("/certificate/3", pem(&chains.stranger));
    house
}

#[tokio::test]
async fn the_preferred_chain_is_found_among_the_alternates() {
    let chains = Chains::make();
    let house = with_alternates(&chains, &["/certificate/9", "/certificate/3", "/certificate/2"]).await;
    for (preferred, expected) in [
        (None, &chains.first),
        (Some("First Root"), &chains.first),
        (Some("Second Root"), &chains.second),
        (Some("Third Root"), &chains.first),
        (Some("second root"), &chains.first),
    ] {
        assert_eq!(house.issue(preferred).await.unwrap(), Chain::parse_pem(expected).unwrap(), "{preferred:?}");
    }
}

#[tokio::test]
async fn alternates_are_asked_for_only_where_the_default_does_not_do() {
    let chains = Chains::make();
    let house = with_alternates(&chains, &["/certificate/2"]).await;
    house.issue(None).await.unwrap();
    house.issue(Some("First Root")).await.unwrap();
    assert_eq!(house.stub.count(Method::POST, "/certificate/2"), 0);
}

#[tokio::test]
async fn a_certificate_that_is_not_there_yet_is_waited_for() {
    let chains = Chains::make();
    let house = with_alternates(&chains, &[]).await;
    house.stub.once(
        "/certificate/1",
        [
            Reply::problem(404, "malformed", "no such certificate"),
            Reply::text(404, "text/html", "<h1>Not found</h1>"),
            Reply::problem(503, "serverInternal", "soon").header("retry-after", "1"),
        ],
    );
    house.issue(None).await.unwrap();
    assert_eq!(house.stub.count(Method::POST, "/certificate/1"), 4);
}

#[tokio::test]
async fn a_certificate_that_never_comes_is_told() {
    let house = House::build().await;
    house.stub.always("/order/1", house.stub.order("valid"));
    house.stub.always("/certificate/1", Reply::problem(404, "malformed", "no such certificate"));
    let impatient = AcmeIssuer::new(Arc::new(SystemClock)).with_patience(std::time::Duration::from_millis(200));
    let outcome = impatient.issue(&house.stub.ca(), &house.account, &house.stub.url("/order/1"), CSR, None).await;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.evidence.their_message.as_deref(), Some("no such certificate"));
    assert_eq!(failure.evidence.doing.as_deref(), Some("download certificate"));
}
