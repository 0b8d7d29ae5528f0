//! What goes wrong at the CA on request.

use std::time::Duration;

use certkeep_sandbox::{Fault, Options, RetryAfter, Sandbox, Times};
use serde_json::json;

use crate::acme_client::{Client, csr, ders, http_client};
use crate::certificates::verify;

const NAMES: [&str; 1] = ["a.example.com"];

async fn start() -> (Sandbox, Client) {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    (sandbox, client)
}

#[tokio::test]
async fn nonces_are_bad_for_as_many_posts_as_asked() {
    let (sandbox, client) = start().await;
    sandbox.faults().set(Fault::BadNonce, Times::Next(2));
    for _ in 0..2 {
        let refused = client.order(&NAMES).await;
        assert_eq!(refused.problem(), (400, "badNonce".to_owned()));
        assert!(!refused.header("replay-nonce").is_empty(), "the next one comes along");
    }
    assert_eq!(client.order(&NAMES).await.status, 201);
    assert_eq!(sandbox.faults().fired(Fault::BadNonce), 2);

    sandbox.faults().set(Fault::BadNonce, Times::Every(3));
    let mut refused = 0;
    for _ in 0..9 {
        refused += usize::from(client.order(&NAMES).await.status == 400);
    }
    assert_eq!(refused, 3);
}

#[tokio::test]
async fn errors_and_unavailability_are_answered_as_asked() {
    let (sandbox, client) = start().await;
    sandbox.faults().set(Fault::AcmeError, Times::Next(1));
    let refused = client.order(&NAMES).await;
    assert_eq!(refused.problem(), (500, "serverInternal".to_owned()));
    sandbox.faults().set(Fault::AcmeUnavailable, Times::Always);
    assert_eq!(client.order(&NAMES).await.status, 503);
    let directory = client.http.get(sandbox.directory_url()).send().await.unwrap();
    assert_eq!(directory.status(), 503);
    sandbox.faults().clear();
    assert_eq!(client.order(&NAMES).await.status, 201);
}

#[tokio::test]
async fn a_connection_is_cut_before_or_after_the_request_is_done() {
    let (sandbox, client) = start().await;
    let payload = json!({ "identifiers": [{ "type": "dns", "value": NAMES[0] }] }).to_string();
    let url = client.url("newOrder");
    for (fault, orders) in [(Fault::AcmeRequestLost, 0), (Fault::AcmeAnswerLost, 1)] {
        let jws = client.key.jws(&client.protected(&url).await, &payload).to_string();
        sandbox.faults().set(fault, Times::Next(1));
        let request = client.http.post(&url).header("content-type", "application/jose+json").body(jws);
        let read = async { request.send().await?.bytes().await };
        assert!(read.await.is_err(), "{fault:?}");
        assert_eq!(sandbox.orders(), orders, "{fault:?}");
    }
    assert_eq!(client.order(&NAMES).await.status, 201);
}

#[tokio::test]
async fn lives_are_cut_short_for_as_long_as_asked_and_each_order_tells_what_became_of_it() {
    let (sandbox, client) = start().await;
    let life = async || {
        let chain = client.certificate(&sandbox, &NAMES).await;
        let chain = ders(&chain.body);
        let (_, leaf) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
        leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp()
    };
    sandbox.faults().set_longest_life(Duration::from_secs(20));
    assert_eq!(life().await, 20);
    sandbox.faults().clear();
    assert_eq!(life().await, 90 * 86_400);
    client.order(&NAMES).await;
    client.authorized(&sandbox, &NAMES).await;
    let mut placed: Vec<_> = sandbox.placed().into_iter().map(|order| (order.certified, order.answered, order.names)).collect();
    placed.sort();
    let names = vec![NAMES[0].to_owned()];
    let expected = [(false, false), (false, true), (true, true), (true, true)];
    assert_eq!(placed, expected.map(|(certified, answered)| (certified, answered, names.clone())));
}

#[tokio::test]
async fn a_shut_ca_refuses_connections_and_opens_with_all_it_knew() {
    let (sandbox, client) = start().await;
    let order = client.order(&NAMES).await;
    for _ in 0..3 {
        sandbox.shut_ca().await.unwrap();
        let refused = http_client(&sandbox).get(sandbox.directory_url()).send().await;
        assert!(refused.unwrap_err().is_connect());
        sandbox.open_ca().await.unwrap();
        assert_eq!(client.read(order.header("location")).await.status, 200);
    }
}

#[tokio::test]
async fn rate_limits_say_when_to_come_back() {
    let (sandbox, client) = start().await;
    let faults = sandbox.faults();
    faults.set(Fault::RateLimit, Times::Next(3));
    let refused = client.order(&NAMES).await;
    assert_eq!(refused.problem(), (429, "rateLimited".to_owned()));
    assert!(!refused.headers.contains_key("retry-after"));
    faults.set_retry_after(RetryAfter::Seconds(120));
    assert_eq!(client.order(&NAMES).await.header("retry-after"), "120");
    faults.set_retry_after(RetryAfter::HttpDate(Duration::from_secs(3600)));
    let refused = client.order(&NAMES).await;
    let date = refused.header("retry-after");
    let parsed = jiff::fmt::rfc2822::parse(date).unwrap().timestamp();
    assert!(date.ends_with(" GMT") && parsed > jiff::Timestamp::UNIX_EPOCH, "{date}");
    assert_eq!(client.order(&NAMES).await.status, 201);
}

#[tokio::test]
async fn changed_terms_ask_for_the_user() {
    let (sandbox, client) = start().await;
    sandbox.faults().set(Fault::UserActionRequired, Times::Next(1));
    let refused = client.order(&NAMES).await;
    assert_eq!(refused.problem(), (403, "userActionRequired".to_owned()));
    let links: Vec<_> = refused.headers.get_all("link").iter().collect();
    let terms = links.iter().any(|link| link.to_str().unwrap().contains("terms-of-service"));
    assert!(terms, "{links:?}");
}

#[tokio::test]
async fn the_ca_can_see_another_value() {
    let (sandbox, client) = start().await;
    sandbox.faults().set(Fault::WrongTxtView, Times::Next(1));
    let (_, order) = client.authorized(&sandbox, &NAMES).await;
    assert_eq!(order["status"], "invalid");
    let kind = order["error"]["type"].as_str().unwrap();
    assert_eq!(kind, "urn:ietf:params:acme:error:incorrectResponse");
    assert_eq!(client.authorized(&sandbox, &NAMES).await.1["status"], "ready");
}

#[tokio::test]
async fn a_name_server_that_fails_or_is_silent_fails_the_validation_with_dns() {
    let (sandbox, client) = start().await;
    for fault in [Fault::DnsServfail, Fault::DnsDropped] {
        sandbox.faults().set(fault, Times::Always);
        let (_, order) = client.authorized(&sandbox, &NAMES).await;
        let kind = order["error"]["type"].as_str().unwrap();
        assert_eq!(kind, "urn:ietf:params:acme:error:dns", "{order}");
        sandbox.faults().set(fault, Times::Never);
    }
    sandbox.faults().set(Fault::HideTxt, Times::Always);
    assert_eq!(client.authorized(&sandbox, &NAMES).await.1["status"], "invalid");
}

#[tokio::test]
async fn an_order_can_turn_invalid_at_finalize() {
    let (sandbox, client) = start().await;
    sandbox.faults().set(Fault::InvalidAtFinalize, Times::Next(1));
    let (url, order) = client.authorized(&sandbox, &NAMES).await;
    let reply = client.finalize(&order, &csr(&NAMES)).await;
    assert_eq!((reply.status, reply.member("status")), (200, "invalid".to_owned()));
    let order = client.read(&url).await.json();
    assert_eq!(order["error"]["type"], "urn:ietf:params:acme:error:serverInternal");
    assert_eq!(sandbox.issued(), 0);
}

#[tokio::test]
async fn issuance_can_take_its_time() {
    let (sandbox, client) = start().await;
    sandbox.faults().set_issuance_delay(Duration::from_millis(200));
    let (url, order) = client.authorized(&sandbox, &NAMES).await;
    let reply = client.finalize(&order, &csr(&NAMES)).await;
    assert_eq!(reply.member("status"), "processing");
    assert_eq!(reply.header("retry-after"), "1");
    assert_eq!(client.settled(&url).await["status"], "valid");
    assert_eq!(sandbox.issued(), 1);
}

#[tokio::test]
async fn a_certificate_can_be_handed_out_wrong() {
    let (sandbox, client) = start().await;
    let (_, order) = client.authorized(&sandbox, &NAMES).await;
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = crate::acme_client::csr_with(&NAMES, &key);
    let url = client.finalize(&order, &csr).await.member("certificate");
    let holds_key = |der: &[u8]| {
        let (_, leaf) = x509_parser::parse_x509_certificate(der).unwrap();
        leaf.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
    };
    let download = async |fault: Option<Fault>| {
        if let Some(fault) = fault {
            sandbox.faults().set(fault, Times::Next(1));
        }
        ders(&client.read(&url).await.body)
    };
    let chain = download(Some(Fault::WrongChain)).await;
    assert!(chain.len() == 2 && holds_key(&chain[0]));
    assert!(verify(&sandbox, &chain, NAMES[0]).is_err());
    let chain = download(Some(Fault::WrongKey)).await;
    assert!(!holds_key(&chain[0]));
    verify(&sandbox, &chain, NAMES[0]).unwrap();
    let chain = download(Some(Fault::WrongName)).await;
    assert!(holds_key(&chain[0]));
    assert!(verify(&sandbox, &chain, NAMES[0]).is_err());
    verify(&sandbox, &chain, "another-name.invalid").unwrap();
    let chain = download(None).await;
    assert!(holds_key(&chain[0]));
    verify(&sandbox, &chain, NAMES[0]).unwrap();
}

#[tokio::test]
async fn a_connection_breaks_before_or_after_what_was_asked_is_done() {
    let (sandbox, client) = start().await;
    let place = async |fault: Option<Fault>| {
        let payload = serde_json::json!({ "identifiers": [{ "type": "dns", "value": NAMES[0] }] }).to_string();
        let jws = client.key.jws(&client.protected(&client.url("newOrder")).await, &payload).to_string();
        if let Some(fault) = fault {
            sandbox.faults().set(fault, Times::Next(1));
        }
        let request = client.http.post(client.url("newOrder")).header("content-type", "application/jose+json").body(jws);
        request.send().await?.text().await
    };
    for (fault, orders) in [(Fault::AcmeRequestLost, 0), (Fault::AcmeAnswerLost, 1)] {
        place(Some(fault)).await.unwrap_err();
        assert_eq!((sandbox.orders(), sandbox.faults().fired(fault)), (orders, 1), "{fault:?}");
    }
    place(None).await.unwrap();
    assert_eq!(sandbox.orders(), 2);
}

#[tokio::test]
async fn a_ca_that_is_down_for_a_while_says_when_to_come_back() {
    let (sandbox, client) = start().await;
    sandbox.faults().set_retry_after(RetryAfter::Seconds(60));
    sandbox.faults().set(Fault::AcmeUnavailable, Times::For(Duration::from_secs(3600)));
    let reply = client.http.get(sandbox.directory_url()).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers()["retry-after"].to_str().unwrap()), (503, "60"));
    sandbox.faults().set(Fault::AcmeUnavailable, Times::For(Duration::ZERO));
    assert_eq!(client.order(&NAMES).await.status, 201);
}

#[tokio::test]
async fn an_order_can_turn_invalid_while_it_waits() {
    let (sandbox, client) = start().await;
    let order = client.order(&NAMES).await;
    sandbox.faults().set(Fault::OrderInvalid, Times::Next(1));
    for _ in 0..2 {
        let read = client.read(order.header("location")).await.json();
        assert_eq!((read["status"].as_str(), read["error"]["status"].as_u64()), (Some("invalid"), Some(500)), "{read}");
    }
}

#[tokio::test]
async fn a_certificate_can_be_late() {
    let (sandbox, client) = start().await;
    let (_, order) = client.authorized(&sandbox, &NAMES).await;
    sandbox.faults().set(Fault::CertificateLate, Times::Next(2));
    let url = client.finalize(&order, &csr(&NAMES)).await.member("certificate");
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(client.read(&url).await.status);
    }
    assert_eq!(answers, [404, 404, 200]);
}

#[tokio::test]
async fn waits_are_told_in_seconds_or_as_a_date() {
    let (sandbox, client) = start().await;
    sandbox.faults().set_issuance_delay(Duration::from_secs(600));
    for dates in [false, true] {
        sandbox.faults().set_waits_as_dates(dates);
        let (_, order) = client.authorized(&sandbox, &NAMES).await;
        let reply = client.finalize(&order, &csr(&NAMES)).await;
        let value = reply.header("retry-after");
        match dates {
            false => assert_eq!(value, "600"),
            true => drop(jiff::fmt::rfc2822::parse(value).unwrap()),
        }
    }
}
