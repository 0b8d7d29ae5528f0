//! The way to a certificate, and what lies beside it.

use aws_lc_rs::hmac;
use certkeep_sandbox::{Options, Sandbox};
use serde_json::json;
use std::time::Duration;

use crate::acme_client::{AccountKey, Client, Reply, b64, csr, ders, flatten};

#[tokio::test]
async fn the_directory_names_its_resources_on_loopback() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::new(&sandbox, AccountKey::p256()).await;
    for resource in ["newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"] {
        assert!(client.url(resource).starts_with("https://127.0.0.1:"));
    }
    assert_eq!(client.directory["meta"]["externalAccountRequired"], false);
    let terms = client.directory["meta"]["termsOfService"].as_str().unwrap();
    assert_eq!(client.http.get(terms).send().await.unwrap().status(), 200);

    let localhost = sandbox.directory_url().replace("127.0.0.1", "localhost");
    assert_eq!(client.http.get(localhost).send().await.unwrap().status(), 200);
    sandbox.stop().await;
}

#[tokio::test]
async fn new_nonce_answers_head_and_get() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::new(&sandbox, AccountKey::p256()).await;
    let url = client.url("newNonce");
    let head = client.http.head(&url).send().await.unwrap();
    let get = client.http.get(&url).send().await.unwrap();
    assert_eq!((head.status().as_u16(), get.status().as_u16()), (200, 204));
    assert_ne!(head.headers()["replay-nonce"], get.headers()["replay-nonce"]);
    for reply in [head, get] {
        assert_eq!(reply.headers()["cache-control"], "no-store");
        let link = reply.headers()["link"].to_str().unwrap();
        assert_eq!(link, format!("<{}>;rel=\"index\"", sandbox.directory_url()));
    }
}

#[tokio::test]
async fn an_account_key_of_each_kind_gets_a_certificate() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let keys = [AccountKey::p256(), AccountKey::p384(), AccountKey::ed25519(), AccountKey::rsa()];
    for key in keys {
        let mut client = Client::new(&sandbox, key).await;
        let reply = client.register(json!({ "termsOfServiceAgreed": true })).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let reply = client.certificate(&sandbox, &["a.example.com"]).await;
        assert_eq!(reply.header("content-type"), "application/pem-certificate-chain");
        assert_eq!(ders(&reply.body).len(), 2);
    }
    assert_eq!((sandbox.issued(), sandbox.orders()), (4, 4));
}

#[tokio::test]
async fn wildcard_and_base_are_proved_by_two_values_at_one_name() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    let names = ["*.example.com", "example.com"];
    let order = client.order(&names).await;
    let mut wildcards = 0;
    for url in order.json()["authorizations"].as_array().unwrap() {
        let authorization = client.read(url.as_str().unwrap()).await.json();
        assert_eq!(authorization["identifier"]["value"], "example.com");
        wildcards += usize::from(authorization["wildcard"] == true);
    }
    assert_eq!(wildcards, 1);
    client.answer(&sandbox, &order).await;
    assert_eq!(sandbox.txt_records().len(), 2);
    let order = client.settled(order.header("location")).await;
    assert_eq!(order["status"], "ready");
    let order = client.finalize(&order, &csr(&names)).await;
    assert_eq!(order.member("status"), "valid");
}

#[tokio::test]
async fn a_challenge_is_processing_then_valid() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    sandbox.faults().set_validation_delay(Duration::from_millis(200));
    let client = Client::registered(&sandbox).await;
    let order = client.order(&["a.example.com"]).await;
    let url = order.json()["authorizations"][0].as_str().unwrap().to_owned();
    let challenge = client.read(&url).await.json()["challenges"][0].clone();
    let token = challenge["token"].as_str().unwrap();
    let challenge = challenge["url"].as_str().unwrap();
    let value = client.txt_value(token);
    sandbox.set_txt("_acme-challenge.a.example.com", &[&value]).unwrap();
    let reply = client.post(challenge, "{}").await;
    assert_eq!(reply.member("status"), "processing");
    assert_eq!(reply.header("retry-after"), "1");
    let links: Vec<_> = reply.headers.get_all("link").iter().collect();
    assert!(links.contains(&&format!("<{url}>;rel=\"up\"").parse().unwrap()), "{links:?}");
    let challenge = client.settled(challenge).await;
    assert_eq!(challenge["status"], "valid");
    assert!(challenge["validated"].is_string());
    assert_eq!(client.read(&url).await.member("status"), "valid");
}

#[tokio::test]
async fn aliases_are_followed_into_another_zone() {
    let zones = vec!["example.com".to_owned(), "proof.test".to_owned()];
    let options = Options { zones, ..Options::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let client = Client::registered(&sandbox).await;
    let order = client.order(&["a.example.com"]).await;
    let alias = "_acme-challenge.a.example.com";
    sandbox.set_cname(alias, "a.proof.test").unwrap();
    let authorization = order.json()["authorizations"][0].as_str().unwrap().to_owned();
    let challenge = client.read(&authorization).await.json()["challenges"][0].clone();
    let value = client.txt_value(challenge["token"].as_str().unwrap());
    sandbox.set_txt("a.proof.test", &["another", &value]).unwrap();
    client.post(challenge["url"].as_str().unwrap(), "{}").await;
    assert_eq!(client.settled(&authorization).await["status"], "valid");
}

#[tokio::test]
async fn an_existing_key_finds_its_account_again() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let mut client = Client::registered(&sandbox).await;
    let kid = client.kid.take().unwrap();
    let reply = client.register(json!({ "onlyReturnExisting": true })).await;
    assert_eq!((reply.status, reply.header("location")), (200, kid.as_str()));
    client.kid = None;
    let reply = client.register(json!({ "termsOfServiceAgreed": true })).await;
    assert_eq!((reply.status, reply.header("location")), (200, kid.as_str()));
}

#[tokio::test]
async fn an_account_is_changed_and_closed() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    let kid = client.kid.clone().unwrap();
    let contact = json!({ "contact": ["mailto:admin@example.com"] });
    let reply = client.post(&kid, &contact.to_string()).await;
    assert_eq!(reply.json()["contact"], contact["contact"]);

    client.order(&["a.example.com"]).await;
    let orders = client.read(&reply.member("orders")).await.json();
    assert_eq!(orders["orders"].as_array().unwrap().len(), 1);

    let reply = client.post(&kid, r#"{"status":"deactivated"}"#).await;
    assert_eq!(reply.member("status"), "deactivated");
    let reply = client.order(&["a.example.com"]).await;
    assert_eq!(reply.problem(), (401, "unauthorized".to_owned()));
}

#[tokio::test]
async fn a_key_is_rolled_over() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let mut client = Client::registered(&sandbox).await;
    let url = client.url("keyChange");
    let new_key = AccountKey::p256();
    let header = json!({ "alg": "ES256", "jwk": new_key.jwk(), "url": url });
    let payload = json!({ "account": client.kid, "oldKey": client.key.jwk() });
    let inner = new_key.jws(&header, &payload.to_string()).to_string();
    let reply = client.post(&url, &inner).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let reply = client.order(&["a.example.com"]).await;
    assert_eq!(reply.problem(), (400, "malformed".to_owned()), "the old key is out");
    client.key = new_key;
    assert_eq!(client.order(&["a.example.com"]).await.status, 201);
}

#[tokio::test]
async fn an_authorization_is_deactivated_and_its_order_invalid() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    let order = client.order(&["a.example.com"]).await;
    let url = order.json()["authorizations"][0].as_str().unwrap().to_owned();
    let reply = client.post(&url, r#"{"status":"deactivated"}"#).await;
    assert_eq!(reply.member("status"), "deactivated");
    let order = client.read(order.header("location")).await;
    assert_eq!(order.member("status"), "invalid");
}

#[tokio::test]
async fn authorizations_are_reused_when_asked() {
    let options = Options { authorization_reuse: Some(Duration::from_secs(3600)), ..Options::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let client = Client::registered(&sandbox).await;
    client.authorized(&sandbox, &["a.example.com"]).await;
    let again = client.order(&["a.example.com"]).await;
    assert_eq!(again.member("status"), "ready");
    let stranger = Client::registered(&sandbox).await;
    let other = stranger.order(&["a.example.com"]).await;
    assert_eq!(other.member("status"), "pending");

    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    client.authorized(&sandbox, &["a.example.com"]).await;
    let again = client.order(&["a.example.com"]).await;
    assert_eq!(again.member("status"), "pending");
}

/// `newAccount` with a binding signed by `hmac_key`.
async fn bind(client: &mut Client, kid: &str, hmac_key: &[u8]) -> Reply {
    let header = json!({ "alg": "HS256", "kid": kid, "url": client.url("newAccount") });
    let key = hmac::Key::new(hmac::HMAC_SHA256, hmac_key);
    let sign = |message: &[u8]| hmac::sign(&key, message).as_ref().to_vec();
    let binding = flatten(&header, &client.key.jwk().to_string(), sign);
    let payload = json!({ "termsOfServiceAgreed": true, "externalAccountBinding": binding });
    client.register(payload).await
}

#[tokio::test]
async fn an_external_account_is_asked_for_and_checked() {
    let options = Options { require_eab: Some(("kid-1".to_owned(), b"sixteen byte key".to_vec())), ..Options::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let mut client = Client::new(&sandbox, AccountKey::p256()).await;
    assert_eq!(client.directory["meta"]["externalAccountRequired"], true);
    let reply = client.register(json!({ "termsOfServiceAgreed": true })).await;
    assert_eq!(reply.problem(), (403, "externalAccountRequired".to_owned()));
    let refused = (403, "unauthorized".to_owned());
    let reply = bind(&mut client, "kid-2", b"sixteen byte key").await;
    assert_eq!(reply.problem(), refused);
    let reply = bind(&mut client, "kid-1", b"another byte key").await;
    assert_eq!(reply.problem(), refused);
    let reply = bind(&mut client, "kid-1", b"sixteen byte key").await;
    assert_eq!(reply.status, 201, "{reply:?}");
    client.certificate(&sandbox, &["a.example.com"]).await;
}

#[tokio::test]
async fn an_order_keeps_its_profile() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    let order = |profile: &str| {
        let names = json!([{ "type": "dns", "value": "a.example.com" }]);
        json!({ "identifiers": names, "profile": profile }).to_string()
    };
    let url = client.url("newOrder");
    let reply = client.post(&url, &order("shortlived")).await;
    assert_eq!(reply.member("profile"), "shortlived");
    let reply = client.post(&url, &order("eternal")).await;
    assert_eq!(reply.problem(), (400, "invalidProfile".to_owned()));
}

#[tokio::test]
async fn renewal_is_proposed_for_the_last_third_and_replaces_once() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    let chain = client.certificate(&sandbox, &["a.example.com"]).await;
    let leaf = ders(&chain.body).remove(0);
    let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    let key_id = leaf
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
            _ => None,
        })
        .unwrap();
    let id = format!("{}.{}", b64(key_id), b64(leaf.raw_serial()));
    let url = format!("{}/{id}", client.url("renewalInfo"));
    let reply = client.http.get(&url).send().await.unwrap();
    assert_eq!(reply.headers()["retry-after"], "21600");
    let info: serde_json::Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
    let at = |end: &str| {
        let text = info["suggestedWindow"][end].as_str().unwrap();
        text.parse::<jiff::Timestamp>().unwrap().as_second()
    };
    let validity = leaf.validity();
    assert_eq!(at("end"), validity.not_after.timestamp());
    assert_eq!(at("end") - at("start"), 30 * 86_400);

    let names = json!([{ "type": "dns", "value": "a.example.com" }]);
    let payload = json!({ "identifiers": names, "replaces": id }).to_string();
    let reply = client.post(&client.url("newOrder"), &payload).await;
    assert_eq!((reply.status, reply.member("replaces")), (201, id));
    let reply = client.post(&client.url("newOrder"), &payload).await;
    assert_eq!(reply.problem(), (409, "alreadyReplaced".to_owned()));
}
