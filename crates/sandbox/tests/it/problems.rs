//! Each refusal of the CA, with its type and status.

use certkeep_sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use crate::acme_client::{AccountKey, Client, b64, csr, csr_with, ders};

fn problem(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}

async fn start() -> (Sandbox, Client) {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    (sandbox, client)
}

fn order_payload() -> String {
    json!({ "identifiers": [{ "type": "dns", "value": "a.example.com" }] }).to_string()
}

#[tokio::test]
async fn a_nonce_is_good_once() {
    let (_sandbox, client) = start().await;
    let url = client.url("newOrder");
    let jws = client.key.jws(&client.protected(&url).await, &order_payload());
    assert_eq!(client.post_jws(&url, &jws).await.status, 201);
    let again = client.post_jws(&url, &jws).await;
    assert_eq!(again.problem(), problem(400, "badNonce"));
    assert!(!again.header("replay-nonce").is_empty());
}

#[tokio::test]
async fn headers_that_are_wrong_are_refused() {
    let (_sandbox, client) = start().await;
    let url = client.url("newOrder");
    let with = async |change: &dyn Fn(&mut Value)| {
        let mut protected = client.protected(&url).await;
        change(&mut protected);
        let jws = client.key.jws(&protected, &order_payload());
        client.post_jws(&url, &jws).await
    };
    let refused = with(&|header| header["nonce"] = json!("invented")).await;
    assert_eq!(refused.problem(), problem(400, "badNonce"));
    let refused = with(&|header| header["nonce"] = Value::Null).await;
    assert_eq!(refused.problem(), problem(400, "badNonce"));
    let refused = with(&|header| header["url"] = json!("https://127.0.0.1/new-order")).await;
    assert_eq!(refused.problem(), problem(401, "unauthorized"));
    let refused = with(&|header| header["kid"] = Value::Null).await;
    assert_eq!(refused.problem(), problem(400, "malformed"));
    let jwk = client.key.jwk();
    let refused = with(&|header| header["jwk"] = jwk.clone()).await;
    assert_eq!(refused.problem(), problem(400, "malformed"));
    let refused = with(&|header| header["kid"] = json!("https://127.0.0.1/account/1")).await;
    assert_eq!(refused.problem(), problem(400, "accountDoesNotExist"));
    let refused = with(&|header| header["alg"] = json!("none")).await;
    assert_eq!(refused.problem(), problem(400, "badSignatureAlgorithm"));
    let algorithms = refused.json()["algorithms"].clone();
    assert_eq!(algorithms, json!(["ES256", "ES384", "EdDSA", "RS256"]));
    let refused = with(&|header| header["alg"] = json!("RS256")).await;
    assert_eq!(refused.problem(), problem(400, "badSignatureAlgorithm"));
}

#[tokio::test]
async fn a_signature_by_another_key_is_refused() {
    let (_sandbox, client) = start().await;
    let url = client.url("newOrder");
    let jws = AccountKey::p256().jws(&client.protected(&url).await, &order_payload());
    let refused = client.post_jws(&url, &jws).await;
    assert_eq!(refused.problem(), problem(400, "malformed"));
}

#[tokio::test]
async fn bodies_that_are_no_jws_are_refused() {
    let (_sandbox, client) = start().await;
    let url = client.url("newOrder");
    for body in ["", "{}", "[]", "\u{fffd}", r#"{"protected":"=","payload":"","signature":""}"#] {
        let refused = client.send(&url, "application/jose+json", body.to_owned()).await;
        assert_eq!(refused.problem(), problem(400, "malformed"), "{body}");
    }
    let mut jws = client.key.jws(&client.protected(&url).await, &order_payload());
    jws["header"] = json!({});
    assert_eq!(client.post_jws(&url, &jws).await.problem(), problem(400, "malformed"));
    let refused = client.send(&url, "application/json", "{}".to_owned()).await;
    assert_eq!(refused.problem(), problem(415, "malformed"));
}

#[tokio::test]
async fn unknown_resources_and_methods_are_problems_too() {
    let (_sandbox, client) = start().await;
    let base = client.url("newOrder").replace("/new-order", "");
    let refused = client.read(&format!("{base}/nothing")).await;
    assert_eq!(refused.problem(), problem(404, "malformed"));
    let refused = client.read(&format!("{base}/order/nothing")).await;
    assert_eq!(refused.problem(), problem(404, "malformed"));
    let reply = client.http.get(client.url("newOrder")).send().await.unwrap();
    assert_eq!(reply.status(), 405);
    assert_eq!(reply.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn accounts_are_refused_for_their_own_reasons() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let mut client = Client::new(&sandbox, AccountKey::p256()).await;
    let refused = client.register(json!({ "onlyReturnExisting": true })).await;
    assert_eq!(refused.problem(), problem(400, "accountDoesNotExist"));
    let refused = client.register(json!({})).await;
    assert_eq!(refused.problem(), problem(403, "userActionRequired"));
    let with = |contact: &str| json!({ "termsOfServiceAgreed": true, "contact": [contact] });
    let refused = client.register(with("tel:+41")).await;
    assert_eq!(refused.problem(), problem(400, "unsupportedContact"));
    for contact in ["mailto:nobody", "mailto:a@b.ch,c@d.ch", "mailto:a@b.ch?subject=x"] {
        let refused = client.register(with(contact)).await;
        assert_eq!(refused.problem(), problem(400, "invalidContact"), "{contact}");
    }
    let url = client.url("newAccount");
    let mut protected = client.protected(&url).await;
    protected["jwk"] = json!({ "kty": "oct", "k": "AAAA" });
    let jws = client.key.jws(&protected, "{}");
    let refused = client.post_jws(&url, &jws).await;
    assert_eq!(refused.problem(), problem(400, "badPublicKey"));
    let order = client.order(&["a.example.com"]).await;
    assert_eq!(order.problem(), problem(400, "malformed"), "a jwk does not order");
}

#[tokio::test]
async fn orders_are_refused_for_their_own_reasons() {
    let (sandbox, client) = start().await;
    let url = client.url("newOrder");
    let cases = [
        (json!({}), problem(400, "malformed")),
        (json!({ "identifiers": [] }), problem(400, "malformed")),
        (json!({ "identifiers": [{ "type": "ip", "value": "127.0.0.1" }] }), problem(400, "unsupportedIdentifier")),
        (
            json!({ "identifiers": [{ "type": "dns", "value": "a.example.com" }],
                "notBefore": "2030-01-01T00:00:00Z" }),
            problem(400, "malformed"),
        ),
    ];
    for (payload, expected) in cases {
        let refused = client.post(&url, &payload.to_string()).await;
        assert_eq!(refused.problem(), expected, "{payload}");
    }
    for name in ["", "com", "127.0.0.1", "a..b.com", "-a.example.com", "a.*.example.com", "a_b.com"] {
        let refused = client.order(&[name]).await;
        assert_eq!(refused.problem(), problem(403, "rejectedIdentifier"), "{name}");
    }
    assert_eq!(sandbox.orders(), 0);
}

#[tokio::test]
async fn every_refused_name_has_its_subproblem() {
    let (sandbox, client) = start().await;
    sandbox.faults().refuse_name("no.example.com");
    sandbox.faults().refuse_name("never.example.com");
    let names = ["no.example.com", "yes.example.com", "never.example.com"];
    let refused = client.order(&names).await;
    assert_eq!(refused.problem(), problem(403, "rejectedIdentifier"));
    let parts = refused.json()["subproblems"].clone();
    let named: Vec<_> = parts.as_array().unwrap().iter().map(|p| &p["identifier"]["value"]).collect();
    assert_eq!(named, ["no.example.com", "never.example.com"]);
}

#[tokio::test]
async fn another_account_sees_nothing() {
    let (sandbox, client) = start().await;
    let stranger = Client::registered(&sandbox).await;
    let order = client.order(&["a.example.com"]).await;
    let authorization = order.json()["authorizations"][0].as_str().unwrap().to_owned();
    let urls = [
        order.header("location").to_owned(),
        authorization.clone(),
        authorization.replace("/authorization/", "/challenge/"),
        client.kid.clone().unwrap(),
        format!("{}/orders", client.kid.as_ref().unwrap()),
    ];
    for url in urls {
        let refused = stranger.read(&url).await;
        assert_eq!(refused.problem(), problem(403, "unauthorized"), "{url}");
    }
}

#[tokio::test]
async fn a_wrong_record_makes_authorization_and_order_invalid() {
    let (sandbox, client) = start().await;
    for (records, kind) in [(&["wrong"][..], "incorrectResponse"), (&[][..], "incorrectResponse")] {
        let order = client.order(&["a.example.com"]).await;
        let url = order.json()["authorizations"][0].as_str().unwrap().to_owned();
        sandbox.set_txt("_acme-challenge.a.example.com", records).unwrap();
        client.post(&url.replace("/authorization/", "/challenge/"), "{}").await;
        let authorization = client.settled(&url).await;
        assert_eq!(authorization["status"], "invalid");
        let error = &authorization["challenges"][0]["error"];
        assert_eq!(error["type"], format!("urn:ietf:params:acme:error:{kind}"));
        let order = client.read(order.header("location")).await.json();
        assert_eq!(order["status"], "invalid");
        assert_eq!(order["error"]["type"], error["type"]);
    }
    assert_eq!(sandbox.issued(), 0);
}

#[tokio::test]
async fn a_name_out_of_every_zone_fails_with_dns() {
    let (_sandbox, client) = start().await;
    let order = client.order(&["a.example.org"]).await;
    let url = order.json()["authorizations"][0].as_str().unwrap().to_owned();
    client.post(&url.replace("/authorization/", "/challenge/"), "{}").await;
    let authorization = client.settled(&url).await;
    let error = &authorization["challenges"][0]["error"];
    assert_eq!(error["type"], "urn:ietf:params:acme:error:dns", "{authorization}");
}

#[tokio::test]
async fn an_order_is_finalized_when_ready_and_once() {
    let (sandbox, client) = start().await;
    let names = ["a.example.com"];
    let pending = client.order(&names).await.json();
    let refused = client.finalize(&pending, &csr(&names)).await;
    assert_eq!(refused.problem(), problem(403, "orderNotReady"));
    let (_, order) = client.authorized(&sandbox, &names).await;
    assert_eq!(client.finalize(&order, &csr(&names)).await.status, 200);
    let refused = client.finalize(&order, &csr(&names)).await;
    assert_eq!(refused.problem(), problem(403, "orderNotReady"));
}

#[tokio::test]
async fn requests_that_do_not_fit_are_bad_csrs() {
    let (sandbox, client) = start().await;
    let names = ["a.example.com", "b.example.com"];
    let (_, order) = client.authorized(&sandbox, &names).await;
    let mut forged = csr(&names);
    *forged.last_mut().unwrap() ^= 1;
    let trailing = [csr(&names), vec![0]].concat();
    let cases = [
        b"no request".to_vec(),
        csr(&["a.example.com"]),
        csr(&["a.example.com", "b.example.com", "c.example.com"]),
        csr(&["a.example.com", "127.0.0.1"]),
        forged,
        trailing,
    ];
    for case in cases {
        let refused = client.finalize(&order, &case).await;
        assert_eq!(refused.problem(), problem(400, "badCSR"));
    }
    let finalize = order["finalize"].as_str().unwrap();
    let refused = client.post(finalize, r#"{"csr":"="}"#).await;
    assert_eq!(refused.problem(), problem(400, "badCSR"));
    assert_eq!(client.finalize(&order, &csr(&names)).await.status, 200, "still ready");
}

#[tokio::test]
async fn the_account_key_is_not_certified() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let der = key.serialize_der();
    let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let same = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(algorithm, &der).unwrap();
    let mut client = Client::new(&sandbox, AccountKey::P256(same)).await;
    client.register(json!({ "termsOfServiceAgreed": true })).await;
    let names = ["a.example.com"];
    let (_, order) = client.authorized(&sandbox, &names).await;
    let refused = client.finalize(&order, &csr_with(&names, &key)).await;
    assert_eq!(refused.problem(), problem(400, "badCSR"));
}

#[tokio::test]
async fn revocation_is_for_those_who_may_and_once() {
    let (sandbox, mut client) = start().await;
    let chain = client.certificate(&sandbox, &["a.example.com"]).await;
    let leaf = ders(&chain.body).remove(0);
    let url = client.url("revokeCert");
    let payload = |reason: u8| json!({ "certificate": b64(&leaf), "reason": reason }).to_string();

    let stranger = Client::registered(&sandbox).await;
    let refused = stranger.post(&url, &payload(0)).await;
    assert_eq!(refused.problem(), problem(403, "unauthorized"));
    let refused = client.post(&url, &payload(7)).await;
    assert_eq!(refused.problem(), problem(400, "badRevocationReason"));
    let refused = client.post(&url, r#"{"certificate":"AAAA"}"#).await;
    assert_eq!(refused.problem(), problem(404, "malformed"));
    assert_eq!(client.post(&url, &payload(1)).await.status, 200);
    let refused = client.post(&url, &payload(1)).await;
    assert_eq!(refused.problem(), problem(400, "alreadyRevoked"));
    assert_eq!(sandbox.revoked(), 1);

    let names = ["b.example.com"];
    let key = rcgen::KeyPair::generate().unwrap();
    let (_, order) = client.authorized(&sandbox, &names).await;
    let order = client.finalize(&order, &csr_with(&names, &key)).await;
    let chain = client.read(&order.member("certificate")).await;
    let leaf = ders(&chain.body).remove(0);
    let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let same = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(algorithm, &key.serialize_der());
    client.key = AccountKey::P256(same.unwrap());
    client.kid = None;
    let payload = json!({ "certificate": b64(&leaf) }).to_string();
    assert_eq!(client.post(&url, &payload).await.status, 200, "by the certificate's key");
    assert_eq!(sandbox.revoked(), 2);
}

#[tokio::test]
async fn a_name_whose_caa_records_are_for_others_is_refused() {
    let (sandbox, client) = start().await;
    assert_eq!(client.directory["meta"]["caaIdentities"], json!(["sandbox.example"]));
    sandbox.set_record("example.com", "CAA", &["0 issue \"ca.example\""]).unwrap();
    sandbox.set_record("ours.example.com", "CAA", &["0 issue \"Sandbox.example; a=b\"", "0 issuewild \";\""]).unwrap();
    for (name, expected) in [("a.example.com", "caa"), ("a.ours.example.com", ""), ("*.ours.example.com", "caa")] {
        let (_, order) = client.authorized(&sandbox, &[name]).await;
        let authorization = client.read(order["authorizations"][0].as_str().unwrap()).await.json();
        let error = authorization["challenges"][0]["error"]["type"].as_str().unwrap_or_default();
        assert_eq!(error.rsplit(':').next(), Some(expected), "{authorization}");
        assert_eq!(order["status"], if expected.is_empty() { "ready" } else { "invalid" });
    }
}
