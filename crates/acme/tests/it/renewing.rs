//! What a CA is told and asked when a certificate is renewed: profiles, what is replaced, renewal information.
use std::sync::Arc;

use axum::http::Method;
use certkeep_acme::AcmeIssuer;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::material::Chain;
use certkeep_core::name::DnsName;
use certkeep_core::ports::{Issuer, Order, OrderRequest};
use certkeep_core::renewal_info::{RenewalId, RenewalInfo};
use certkeep_testkit::clock::MovableClock;
use rcgen::{CertificateParams, Issuer as Signer, KeyPair};
use serde_json::{Value, json};

use crate::stub::{Reply, Stub};

const NOW: &str = "2026-11-24T12:00:00Z";

/// A CA with everything that RFC 9773 and the profiles describe, and a certificate of it.
struct House {
    stub: Stub,
    issuer: AcmeIssuer,
    account: AcmeAccount,
    chain: Chain,
    id: RenewalId,
}

impl House {
    async fn build() -> House {
        let stub = Stub::start().await;
        stub.always("/dir", directory(&stub, &["classic"]));
        let issuer = AcmeIssuer::new(Arc::new(MovableClock::frozen_at(NOW.parse().unwrap())));
        let account = issuer.register(&stub.ca(), &issuer.new_account(&stub.ca()).unwrap()).await.unwrap();
        let chain = chain();
        let id = RenewalId::of(&chain).unwrap();
        House { stub, issuer, account, chain, id }
    }

    async fn order(&self, profile: Option<&str>, replaces: bool) -> Result<Order, Failure> {
        let names: Vec<DnsName> = vec!["a.example.com".parse().unwrap()];
        let request = OrderRequest { names: &names, profile, replaces: replaces.then_some(&self.id) };
        self.issuer.new_order(&self.stub.ca(), &self.account, request).await
    }

    /// An order as the CA gives it to who replaces.
    fn replacing(&self) -> Reply {
        let mut order: Value = serde_json::from_str(&self.stub.order("pending").body).unwrap();
        order["replaces"] = json!(self.id.to_string());
        Reply::json(&order).header("location", self.stub.url("/order/1"))
    }

    async fn ask(&self, reply: Reply) -> Result<Option<RenewalInfo>, Failure> {
        self.stub.always(&format!("/renewal-info/{}", self.id), reply);
        self.issuer.renewal_info(&self.stub.ca(), &self.chain).await
    }
}

fn directory(stub: &Stub, profiles: &[&str]) -> Reply {
    let profiles: serde_json::Map<_, _> =
        profiles.iter().map(|name| ((*name).to_owned(), json!("https://ca.example/"))).collect();
    Reply::json(&json!({
        "newNonce": stub.url("/nonce"), "newAccount": stub.url("/account"), "newOrder": stub.url("/new-order"),
        "renewalInfo": stub.url("/renewal-info"), "meta": { "profiles": profiles },
    }))
}

fn chain() -> Chain {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut leaf = CertificateParams::new(["a.example.com".to_owned()]).unwrap();
    leaf.use_authority_key_identifier_extension = true;
    let signed = leaf.signed_by(&key, &Signer::new(CertificateParams::default(), ca_key)).unwrap();
    Chain::new(vec![signed.der().to_vec()]).unwrap()
}

fn window(start: &str, end: &str) -> Reply {
    Reply::json(&json!({ "suggestedWindow": { "start": start, "end": end } }))
}

fn good() -> Reply {
    window("2026-12-01T00:00:00Z", "2026-12-02T00:00:00.5Z")
}

#[tokio::test]
async fn a_profile_on_offer_is_ordered() {
    let house = House::build().await;
    house.order(Some("classic"), false).await.unwrap();
    assert_eq!(house.stub.payloads("/new-order")[0]["profile"], "classic");
    house.order(None, false).await.unwrap();
    assert!(house.stub.payloads("/new-order")[1].get("profile").is_none());
}

#[tokio::test]
async fn a_profile_that_is_not_on_offer_is_not_ordered_and_those_that_are_get_told() {
    let house = House::build().await;
    house.stub.always("/dir", directory(&house.stub, &["tlsserver", "classic"]));
    let failure = house.order(Some("shortlived"), false).await.unwrap_err();
    assert_eq!((failure.code, failure.evidence.subject.as_deref()), (Code::ProfileNotOffered, Some("shortlived")));
    assert_eq!(failure.evidence.facts, ["The CA offers: classic, tlsserver."]);
    house.stub.always("/dir", directory(&house.stub, &[]));
    assert_eq!(house.order(Some("shortlived"), false).await.unwrap_err().evidence.facts, ["The CA offers no profiles."]);
    assert_eq!(house.stub.count(Method::POST, "/new-order"), 0);
}

#[tokio::test]
async fn a_profile_that_is_new_is_known_at_once() {
    let house = House::build().await;
    house.stub.always("/dir", directory(&house.stub, &["classic", "new"]));
    house.order(Some("new"), false).await.unwrap();
    assert_eq!(house.stub.count(Method::GET, "/dir"), 2);
}

#[tokio::test]
async fn a_profile_that_the_ca_refuses_is_told() {
    let house = House::build().await;
    house.stub.always("/new-order", Reply::problem(400, "invalidProfile", "not for you"));
    let failure = house.order(Some("classic"), true).await.unwrap_err();
    assert_eq!((failure.code, failure.evidence.their_message.as_deref()), (Code::ProfileNotOffered, Some("not for you")));
    assert_eq!(house.stub.count(Method::POST, "/new-order"), 1);
}

#[tokio::test]
async fn an_order_says_what_it_replaces() {
    let house = House::build().await;
    house.stub.always("/new-order", house.replacing());
    assert!(house.order(None, true).await.unwrap().replaces);
    let payloads = house.stub.payloads("/new-order");
    assert_eq!((payloads.len(), &payloads[0]["replaces"]), (1, &json!(house.id.to_string())));
}

#[tokio::test]
async fn a_ca_that_does_not_want_to_hear_of_it_is_asked_once_more_without() {
    for refusal in [
        Reply::problem(409, "alreadyReplaced", "another order does"),
        Reply::problem(400, "malformed", "unknown field \"replaces\""),
        Reply::problem(403, "unauthorized", "another account's certificate"),
        Reply::problem(404, "malformed", "no such certificate"),
        Reply::problem(422, "invented", "no"),
        Reply::text(400, "text/html", "<h1>Bad request</h1>"),
    ] {
        let house = House::build().await;
        house.stub.once("/new-order", [refusal]);
        assert!(!house.order(None, true).await.unwrap().replaces);
        let payloads = house.stub.payloads("/new-order");
        assert_eq!(payloads.len(), 2);
        assert!(payloads[0].get("replaces").is_some() && payloads[1].get("replaces").is_none());
    }
}

#[tokio::test]
async fn a_ca_that_does_not_reflect_it_is_asked_once_more_without() {
    let house = House::build().await;
    house.order(None, true).await.unwrap();
    assert_eq!(house.stub.count(Method::POST, "/new-order"), 2);
}

#[tokio::test]
async fn a_refusal_of_something_else_is_final() {
    for (refusal, code) in [
        (Reply::problem(429, "rateLimited", "too many"), Code::CaRateLimited),
        (Reply::problem(400, "rejectedIdentifier", "not here"), Code::NameRefused),
        (Reply::problem(400, "accountDoesNotExist", "who?"), Code::AccountRefused),
        (Reply::problem(500, "serverInternal", "out of order"), Code::CaError),
    ] {
        let house = House::build().await;
        house.stub.always("/new-order", refusal);
        assert_eq!(house.order(None, true).await.unwrap_err().code, code);
        assert_eq!(house.stub.count(Method::POST, "/new-order"), 1);
    }
}

#[tokio::test]
async fn a_second_refusal_is_told() {
    let house = House::build().await;
    house.stub.always("/new-order", Reply::problem(403, "unauthorized", "the account is closed"));
    let failure = house.order(None, true).await.unwrap_err();
    assert_eq!((failure.code, failure.evidence.their_message.as_deref()), (Code::AccountRefused, Some("the account is closed")));
    assert_eq!(house.stub.count(Method::POST, "/new-order"), 2);
}

#[tokio::test]
async fn a_ca_without_renewal_information_hears_nothing_of_it() {
    let house = House::build().await;
    let stub = Stub::start().await;
    let account = house.issuer.register(&stub.ca(), &house.issuer.new_account(&stub.ca()).unwrap()).await.unwrap();
    let names: Vec<DnsName> = vec!["a.example.com".parse().unwrap()];
    let request = OrderRequest { replaces: Some(&house.id), ..OrderRequest::for_names(&names) };
    assert!(!house.issuer.new_order(&stub.ca(), &account, request).await.unwrap().replaces);
    assert!(stub.payloads("/new-order")[0].get("replaces").is_none());
    assert_eq!(house.issuer.renewal_info(&stub.ca(), &house.chain).await.unwrap(), None);
}

#[tokio::test]
async fn renewal_information_is_read_without_a_signature() {
    let house = House::build().await;
    let page = "https://ca.example/why";
    let document = json!({
        "suggestedWindow": { "start": "2026-12-01T00:00:00Z", "end": "2026-12-02T01:00:00+01:00" },
        "explanationURL": page,
    });
    let info = house.ask(Reply::json(&document).header("retry-after", "21600")).await.unwrap().unwrap();
    assert_eq!(info.window.start(), "2026-12-01T00:00:00Z".parse().unwrap());
    assert_eq!(info.window.end(), "2026-12-02T00:00:00Z".parse().unwrap());
    assert_eq!(info.explanation_url.as_deref(), Some(page));
    assert_eq!(info.poll_after, "2026-11-24T18:00:00Z".parse().unwrap());
    assert_eq!(house.stub.count(Method::GET, &format!("/renewal-info/{}", house.id)), 1);
    assert_eq!(house.stub.count(Method::POST, &format!("/renewal-info/{}", house.id)), 0);
}

#[tokio::test]
async fn a_leaf_that_does_not_name_its_authority_is_not_asked_about() {
    let house = House::build().await;
    let alone = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
    let chain = Chain::new(vec![alone.der().to_vec()]).unwrap();
    assert_eq!(house.issuer.renewal_info(&house.stub.ca(), &chain).await.unwrap(), None);
}

#[tokio::test]
async fn the_next_question_is_from_a_minute_to_a_day_away() {
    let house = House::build().await;
    for (header, instant) in [
        (Some("1"), "2026-11-24T12:01:00Z"),
        (Some("7200"), "2026-11-24T14:00:00Z"),
        (Some("Tue, 24 Nov 2026 13:00:00 GMT"), "2026-11-24T13:00:00Z"),
        (Some("Tue, 24 Nov 2020 13:00:00 GMT"), "2026-11-24T12:01:00Z"),
        (Some("9999999"), "2026-11-25T12:00:00Z"),
        (Some("soon"), "2026-11-24T18:00:00Z"),
        (None, "2026-11-24T18:00:00Z"),
    ] {
        let reply = header.into_iter().fold(good(), |reply, value| reply.header("retry-after", value));
        assert_eq!(house.ask(reply).await.unwrap().unwrap().poll_after, instant.parse().unwrap(), "{header:?}");
    }
}

#[tokio::test]
async fn a_window_that_ends_before_it_begins_is_no_answer() {
    let house = House::build().await;
    for end in ["2026-12-01T00:00:00Z", "2026-11-30T00:00:00Z"] {
        let failure = house.ask(window("2026-12-01T00:00:00Z", end)).await.unwrap_err();
        assert_eq!((failure.code, failure.evidence.subject), (Code::CaProtocol, Some(house.id.to_string())));
    }
}

#[tokio::test]
async fn what_is_no_renewal_information_tells_what_was_met() {
    let house = House::build().await;
    for (reply, code) in [
        (Reply::text(200, "text/html", "<h1>Welcome</h1>"), Code::CaProtocol),
        (window("soon", "later"), Code::CaProtocol),
        (Reply::problem(404, "malformed", "no such certificate"), Code::CaProtocol),
        (Reply::problem(429, "rateLimited", "too often"), Code::CaRateLimited),
        (Reply::problem(500, "serverInternal", "out of order"), Code::CaError),
    ] {
        let failure = house.ask(reply.header("retry-after", "3600")).await.unwrap_err();
        assert_eq!((failure.code, failure.evidence.doing.as_deref()), (code, Some("read renewal information")), "{failure}");
    }
}

#[tokio::test]
async fn a_page_that_is_no_link_is_not_shown() {
    let house = House::build().await;
    for page in
        [json!("javascript:alert(1)"), json!("nonsense"), json!(format!("https://ca.example/{}", "x".repeat(600))), json!(null)]
    {
        let mut document: Value = serde_json::from_str(&good().body).unwrap();
        document["explanationURL"] = page;
        assert_eq!(house.ask(Reply::json(&document)).await.unwrap().unwrap().explanation_url, None);
    }
}

#[tokio::test]
async fn a_page_that_would_steer_a_terminal_is_shown_as_a_link_only() {
    let house = House::build().await;
    let mut document: Value = serde_json::from_str(&good().body).unwrap();
    document["explanationURL"] = json!("https://ca.example/why\u{1b}[2J\n");
    let shown = house.ask(Reply::json(&document)).await.unwrap().unwrap().explanation_url;
    assert_eq!(shown.as_deref(), Some("https://ca.example/why%1B[2J"));
}
