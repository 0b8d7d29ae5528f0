//! What CAs do that Pebble does not do on request.
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use certkeep_acme::AcmeIssuer;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::name::DnsName;
use certkeep_core::ports::{CertificateAuthority, ExternalAccount, Issuer, OrderRequest, OrderStatus};
use certkeep_testkit::clock::MovableClock;
use jiff::Timestamp;
use serde_json::json;

use crate::stub::{CSR, Reply, Stub};

const NOW: &str = "2026-11-24T12:00:00Z";

fn issuer() -> AcmeIssuer {
    AcmeIssuer::new(Arc::new(MovableClock::frozen_at(at(NOW))))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn names() -> Vec<DnsName> {
    vec!["a.example.com".parse().unwrap()]
}

async fn registered(issuer: &AcmeIssuer, ca: &CertificateAuthority) -> AcmeAccount {
    issuer.register(ca, &issuer.new_account(ca).unwrap()).await.unwrap()
}

/// The failure of a new order that the CA answers by `reply`.
async fn refused(reply: Reply) -> Failure {
    let (stub, issuer) = (Stub::start().await, issuer());
    let account = registered(&issuer, &stub.ca()).await;
    stub.always("/new-order", reply);
    issuer.new_order(&stub.ca(), &account, OrderRequest::for_names(&names())).await.unwrap_err()
}

#[tokio::test]
async fn registering_sends_contact_and_consent_and_can_be_repeated() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let saved = issuer.new_account(&stub.ca()).unwrap();
    assert!(!saved.registered);
    assert!(stub.asked().is_empty());
    for _ in 0..2 {
        assert!(issuer.register(&stub.ca(), &saved).await.unwrap().registered);
    }
    let expected = json!({ "termsOfServiceAgreed": true, "contact": ["mailto:someone@example.com"] });
    assert_eq!(stub.payloads("/account"), [expected.clone(), expected]);
    assert!(stub.asked().iter().all(|asked| asked.agent.starts_with("certkeep/")));
}

#[tokio::test]
async fn a_directory_is_read_once_and_nonces_are_not_asked_for_twice() {
    let (stub, issuer) = (Stub::start().await, issuer());
    // A directory without `meta` is one too.
    assert_eq!(issuer.caa_identities(&stub.ca()).await.unwrap(), Vec::<String>::new());
    let account = registered(&issuer, &stub.ca()).await;
    for _ in 0..3 {
        issuer.new_order(&stub.ca(), &account, OrderRequest::for_names(&names())).await.unwrap();
    }
    assert_eq!(stub.count(Method::GET, "/dir"), 1);
    assert_eq!(stub.count(Method::HEAD, "/nonce"), 0, "the directory's answer has brought one");
}

#[tokio::test]
async fn forty_bad_nonces_in_a_row_are_survived() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let bad = || vec![Reply::problem(400, "badNonce", "used before"); 40];
    stub.once("/account", bad());
    let account = registered(&issuer, &stub.ca()).await;
    for path in ["/new-order", "/authz/1", "/challenge/1", "/finalize/1", "/order/1", "/certificate/1"] {
        stub.once(path, bad());
    }
    stub.once("/authz/1", [stub.authorization("pending", "pending")]);
    let order = issuer.new_order(&stub.ca(), &account, OrderRequest::for_names(&names())).await.unwrap();
    stub.once("/order/1", [stub.order("pending")]);
    stub.once("/authz/1", [stub.authorization("pending", "pending")]);
    let challenge = order.authorizations[0].challenge.clone().unwrap().url;
    issuer.validate(&stub.ca(), &account, &order.url, &[challenge]).await.unwrap();
    stub.once("/order/1", [stub.order("ready"), stub.order("processing"), stub.order("valid")]);
    issuer.issue(&stub.ca(), &account, &order.url, CSR, None).await.unwrap();
}

#[tokio::test]
async fn endless_bad_nonces_are_told() {
    let failure = refused(Reply::problem(400, "badNonce", "used before")).await;
    assert_eq!((failure.code, failure.evidence.their_code.as_deref()), (Code::CaProtocol, Some("badNonce")));
}

#[tokio::test]
async fn endless_bad_nonces_of_a_registration_are_told() {
    let (stub, issuer) = (Stub::start().await, issuer());
    stub.always("/account", Reply::problem(400, "badNonce", "used before"));
    let failure = issuer.register(&stub.ca(), &issuer.new_account(&stub.ca()).unwrap()).await.unwrap_err();
    assert_eq!((failure.code, failure.evidence.their_code.as_deref()), (Code::CaProtocol, Some("badNonce")));
    assert_eq!(stub.count(Method::POST, "/account"), 150);
}

#[tokio::test]
async fn a_rate_limit_says_when() {
    for (header, instant) in [("3600", "2026-11-24T13:00:00Z"), ("Tue, 24 Nov 2026 15:30:00 GMT", "2026-11-24T15:30:00Z")] {
        let reply = Reply::problem(429, "rateLimited", "too many certificates").header("retry-after", header);
        let failure = refused(reply).await;
        assert_eq!(failure.code, Code::CaRateLimited);
        assert_eq!(failure.not_before, Some(at(instant)));
        assert_eq!(failure.evidence.their_message.as_deref(), Some("too many certificates"));
        assert_eq!(failure.evidence.subject.as_deref(), Some("a.example.com"));
        assert_eq!(failure.evidence.status.as_deref(), Some("429"));
    }
}

#[tokio::test]
async fn a_fault_of_the_ca_is_its_own_even_in_html() {
    for reply in
        [Reply::problem(500, "serverInternal", "out of order"), Reply::text(503, "text/html", "<h1>Down for maintenance</h1>")]
    {
        let failure = refused(reply.header("retry-after", "600")).await;
        assert_eq!(failure.code, Code::CaError);
        assert_eq!(failure.not_before, Some(at("2026-11-24T12:10:00Z")));
    }
}

#[tokio::test]
async fn a_hiccup_while_reading_is_forgiven() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let account = registered(&issuer, &stub.ca()).await;
    stub.once("/order/1", [Reply::text(502, "text/html", "<h1>Bad gateway</h1>")]);
    let order = issuer.order(&stub.ca(), &account, &stub.url("/order/1")).await.unwrap();
    assert_eq!(order.status, OrderStatus::Ready);
}

#[tokio::test]
async fn a_refused_name_is_told_with_its_part() {
    let body = json!({
        "type": "urn:ietf:params:acme:error:malformed",
        "detail": "Some identifiers were rejected",
        "subproblems": [{
            "type": "urn:ietf:params:acme:error:rejectedIdentifier",
            "detail": "not here",
            "identifier": { "type": "dns", "value": "a.example.com" },
        }],
    });
    let failure = refused(Reply::text(400, "application/problem+json", &body.to_string())).await;
    assert_eq!(failure.code, Code::NameRefused);
    assert_eq!(failure.evidence.facts, ["a.example.com: rejectedIdentifier: not here"]);
}

#[tokio::test]
async fn what_is_no_directory_is_told() {
    let answers = [
        Reply::text(200, "text/html; charset=utf-8", "<h1>Welcome</h1>"),
        Reply::text(301, "text/html", "").header("location", "https://elsewhere.example/"),
        Reply::text(404, "text/html", "<h1>Not found</h1>"),
        Reply::json(&json!({ "newNonce": "here" })),
        Reply::text(200, "application/json", &" ".repeat(2 << 20)),
    ];
    for reply in answers {
        let (stub, issuer) = (Stub::start().await, issuer());
        let status = reply.status.to_string();
        stub.always("/dir", reply);
        let saved = issuer.new_account(&stub.ca()).unwrap();
        let failure = issuer.register(&stub.ca(), &saved).await.unwrap_err();
        assert_eq!((failure.code, failure.evidence.status), (Code::CaProtocol, Some(status)));
        assert_eq!(failure.evidence.facts.len(), 1);
    }
}

#[tokio::test]
async fn a_ca_that_is_down_is_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut ca = Stub::start().await.ca();
    ca.directory = format!("http://{free}/dir");
    let issuer = issuer();
    let failure = issuer.register(&ca, &issuer.new_account(&ca).unwrap()).await.unwrap_err();
    assert_eq!(failure.code, Code::CaUnreachable);
    assert_eq!(failure.evidence.subject, Some(free.to_string()));
}

#[tokio::test]
async fn plain_http_is_for_loopback_only() {
    let issuer = issuer();
    let stub = Stub::start().await;
    let ca = CertificateAuthority { directory: "http://ca.example/dir".into(), ..stub.ca() };
    let failure = issuer.register(&ca, &issuer.new_account(&ca).unwrap()).await.unwrap_err();
    assert_eq!((failure.code, failure.evidence.subject.as_deref()), (Code::CaProtocol, Some("ca.example")));

    stub.once("/new-order", [stub.order("pending").header("location", "http://elsewhere.example/order/1")]);
    let account = registered(&issuer, &stub.ca()).await;
    let order = issuer.new_order(&stub.ca(), &account, OrderRequest::for_names(&names())).await.unwrap();
    let failure = issuer.order(&stub.ca(), &account, &order.url).await.unwrap_err();
    assert_eq!((failure.code, failure.evidence.subject.as_deref()), (Code::CaProtocol, Some("elsewhere.example")));
}

#[tokio::test]
async fn an_order_the_ca_forgot_is_invalid() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let account = registered(&issuer, &stub.ca()).await;
    let failure = issuer.order(&stub.ca(), &account, &stub.url("/order/9")).await.unwrap_err();
    assert_eq!(failure.code, Code::OrderInvalid);
    assert_eq!(failure.evidence.their_message.as_deref(), Some("no such resource"));
}

#[tokio::test]
async fn an_account_the_ca_forgot_is_refused() {
    let failure = refused(Reply::problem(400, "accountDoesNotExist", "unknown")).await;
    assert_eq!((failure.code, failure.evidence.their_code.as_deref()), (Code::AccountRefused, Some("accountDoesNotExist")));
}

#[tokio::test]
async fn a_deactivated_account_is_refused() {
    let (stub, issuer) = (Stub::start().await, issuer());
    stub.always("/account", Reply::json(&json!({ "status": "deactivated" })).header("location", stub.url("/account/1")));
    let failure = issuer.register(&stub.ca(), &issuer.new_account(&stub.ca()).unwrap()).await.unwrap_err();
    assert_eq!(failure.code, Code::AccountRefused);
    assert_eq!(failure.evidence.facts, ["The account is deactivated."]);
}

#[tokio::test]
async fn an_hmac_key_that_is_no_base64_is_not_sent() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let external = ExternalAccount { kid: "kid-1".into(), hmac_key: "!secret!".into() };
    let ca = CertificateAuthority { external_account: Some(external), ..stub.ca() };
    let failure = issuer.register(&ca, &issuer.new_account(&ca).unwrap()).await.unwrap_err();
    assert_eq!(failure.code, Code::AccountBindingRejected);
    assert!(!format!("{failure} {failure:?}").contains("!secret!"));
    assert_eq!(stub.count(Method::POST, "/account"), 0);
}

#[tokio::test]
async fn a_challenge_that_is_being_looked_at_is_left_alone() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let account = registered(&issuer, &stub.ca()).await;
    let url = stub.url("/order/1");
    let challenges = [stub.url("/challenge/1")];

    stub.once("/order/1", [stub.order("pending")]);
    stub.once("/authz/1", [stub.authorization("pending", "processing")]);
    issuer.validate(&stub.ca(), &account, &url, &challenges).await.unwrap();
    assert_eq!(stub.count(Method::POST, "/challenge/1"), 0);

    // It began to be looked at between reading and asking.
    stub.once("/order/1", [stub.order("pending"), stub.order("pending")]);
    stub.once("/authz/1", [stub.authorization("pending", "pending"), stub.authorization("pending", "processing")]);
    stub.once("/challenge/1", [Reply::problem(400, "malformed", "not pending")]);
    issuer.validate(&stub.ca(), &account, &url, &challenges).await.unwrap();
    assert_eq!(stub.count(Method::POST, "/challenge/1"), 1);
}

#[tokio::test]
async fn a_refused_challenge_is_told() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let account = registered(&issuer, &stub.ca()).await;
    stub.always("/order/1", stub.order("pending"));
    stub.always("/authz/1", stub.authorization("pending", "pending"));
    stub.always("/challenge/1", Reply::problem(403, "unauthorized", "not you"));
    let outcome = issuer.validate(&stub.ca(), &account, &stub.url("/order/1"), &[stub.url("/challenge/1")]).await;
    let failure = outcome.unwrap_err();
    assert_eq!((failure.code, failure.evidence.their_message.as_deref()), (Code::ValidationFailed, Some("not you")));
    assert_eq!(failure.evidence.subject.as_deref(), Some("a.example.com"));
}

#[tokio::test]
async fn a_failed_authorization_ends_the_wait_though_the_order_stays_pending() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let account = registered(&issuer, &stub.ca()).await;
    stub.always("/order/1", stub.order("pending"));
    let mut failed = stub.challenge("invalid");
    failed["error"] = json!({ "type": "urn:ietf:params:acme:error:dns", "detail": "SERVFAIL", "status": 400 });
    stub.always(
        "/authz/1",
        Reply::json(&json!({
            "status": "invalid",
            "identifier": { "type": "dns", "value": "a.example.com" },
            "challenges": [failed],
        })),
    );
    stub.once("/authz/1", [stub.authorization("pending", "processing")]);
    let outcome = issuer.validate(&stub.ca(), &account, &stub.url("/order/1"), &[]).await;
    let failure = outcome.unwrap_err();
    assert_eq!((failure.code, failure.evidence.their_message.as_deref()), (Code::ValidationDns, Some("SERVFAIL")));
}

#[tokio::test]
async fn a_validation_without_end_is_given_up() {
    let stub = Stub::start().await;
    let issuer = issuer().with_patience(Duration::from_millis(300));
    let account = registered(&issuer, &stub.ca()).await;
    stub.always("/order/1", stub.order("pending").header("retry-after", "60"));
    stub.always("/authz/1", stub.authorization("pending", "pending"));
    let url = stub.url("/order/1");
    let failure = issuer.validate(&stub.ca(), &account, &url, &[stub.url("/challenge/1")]).await.unwrap_err();
    assert_eq!((failure.code, failure.evidence.subject.as_deref()), (Code::ValidationTimeout, Some("a.example.com")));
    assert_eq!(stub.count(Method::POST, "/challenge/1"), 1);
}

#[tokio::test]
async fn an_issuance_without_end_is_given_up() {
    let stub = Stub::start().await;
    let issuer = issuer().with_patience(Duration::from_millis(300));
    let account = registered(&issuer, &stub.ca()).await;
    stub.always("/order/1", stub.order("processing"));
    let failure = issuer.issue(&stub.ca(), &account, &stub.url("/order/1"), CSR, None).await.unwrap_err();
    assert_eq!(failure.code, Code::StepTimeout);
    assert_eq!(stub.count(Method::POST, "/finalize/1"), 0);

    // A CA that takes the request and never says that it is at work is not asked on and on.
    stub.always("/order/1", stub.order("ready"));
    stub.always("/finalize/1", stub.order("ready"));
    let failure = issuer.issue(&stub.ca(), &account, &stub.url("/order/1"), CSR, None).await.unwrap_err();
    assert_eq!(failure.code, Code::StepTimeout);
    assert_eq!(stub.count(Method::POST, "/finalize/1"), 3);
}

#[tokio::test]
async fn an_order_is_finalized_only_when_it_is_ready() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let account = registered(&issuer, &stub.ca()).await;
    let url = stub.url("/order/1");
    for (states, finalizations) in [(&["ready", "valid"][..], 1), (&["processing", "processing", "valid"], 0), (&["valid"], 0)] {
        let before = stub.count(Method::POST, "/finalize/1");
        stub.once("/order/1", states.iter().map(|state| stub.order(state)));
        issuer.issue(&stub.ca(), &account, &url, CSR, None).await.unwrap();
        assert_eq!(stub.count(Method::POST, "/finalize/1") - before, finalizations, "{states:?}");
    }
}

#[tokio::test]
async fn a_finalization_whose_answer_was_lost_goes_on() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let account = registered(&issuer, &stub.ca()).await;
    for reply in [Reply::text(502, "text/html", ""), Reply::problem(403, "orderNotReady", "it is processing")] {
        stub.once("/finalize/1", [reply]);
        stub.once("/order/1", [stub.order("ready"), stub.order("processing"), stub.order("valid")]);
        issuer.issue(&stub.ca(), &account, &stub.url("/order/1"), CSR, None).await.unwrap();
    }
    assert_eq!(stub.count(Method::POST, "/finalize/1"), 2);
}

#[tokio::test]
async fn a_refused_request_is_told() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let account = registered(&issuer, &stub.ca()).await;
    stub.always("/finalize/1", Reply::problem(400, "badCSR", "no RSA here"));
    let failure = issuer.issue(&stub.ca(), &account, &stub.url("/order/1"), CSR, None).await.unwrap_err();
    assert_eq!((failure.code, failure.evidence.their_message.as_deref()), (Code::CsrRefused, Some("no RSA here")));
    assert_eq!(failure.evidence.subject.as_deref(), Some("a.example.com"));
    assert_eq!(stub.count(Method::POST, "/finalize/1"), 1);
}

#[tokio::test]
async fn an_order_that_fails_while_issuing_says_why() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let account = registered(&issuer, &stub.ca()).await;
    let mut invalid: serde_json::Value = serde_json::from_str(&stub.order("invalid").body).unwrap();
    invalid["error"] = json!({ "type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids", "status": 403 });
    stub.once("/order/1", [stub.order("ready"), Reply::json(&invalid)]);
    let failure = issuer.issue(&stub.ca(), &account, &stub.url("/order/1"), CSR, None).await.unwrap_err();
    assert_eq!((failure.code, failure.evidence.their_message.as_deref()), (Code::CaaForbids, Some("CAA forbids")));
    assert_eq!(failure.evidence.subject.as_deref(), Some("a.example.com"));
}

#[tokio::test]
async fn a_chain_that_is_none_is_told() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let account = registered(&issuer, &stub.ca()).await;
    stub.always("/order/1", stub.order("valid"));
    for (body, code) in [
        ("<h1>Here you are</h1>", Code::CaProtocol),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", Code::CertificateChain),
    ] {
        stub.always("/certificate/1", Reply::text(200, "text/plain", body));
        let failure = issuer.issue(&stub.ca(), &account, &stub.url("/order/1"), CSR, None).await.unwrap_err();
        assert_eq!(failure.code, code, "{body}");
    }
}

#[tokio::test]
async fn an_account_that_was_never_registered_places_no_order() {
    let (stub, issuer) = (Stub::start().await, issuer());
    let saved = issuer.new_account(&stub.ca()).unwrap();
    let failure = issuer.new_order(&stub.ca(), &saved, OrderRequest::for_names(&names())).await.unwrap_err();
    assert_eq!(failure.code, Code::Internal);
    assert_eq!(stub.count(Method::POST, "/new-order"), 0);
}
