//! The least that gets a certificate by RFC 8555 and DNS-01: no store, no looking whether a record is visible, no request
//! that could be spared. How fast it is says what the CA, the DNS server and the machine allow.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certkeep_testkit::peers::{Pebble, PowerDns, http_client};
use reqwest::Client;
use serde_json::{Value, json};

use crate::median;

/// Between two looks at an order.
const POLL: Duration = Duration::from_millis(10);

fn base64(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// Where the records go.
#[derive(Clone)]
struct Dns {
    http: Client,
    url: String,
    key: String,
}

/// One account at a CA, with one connection of its own.
pub(crate) struct Probe {
    http: Client,
    dns: Dns,
    key: EcdsaKeyPair,
    random: SystemRandom,
    jwk: Value,
    thumbprint: String,
    directory: Value,
    account: String,
    nonce: Option<String>,
}

/// An answer of the CA.
struct Answer {
    location: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

impl Probe {
    /// Registers an account.
    pub(crate) async fn new(pebble: &Pebble, dns: &PowerDns, zone: &str) -> Probe {
        let http = http_client(pebble.tls_root_pem());
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let point = key.public_key().as_ref();
        let (x, y) = (base64(&point[1..33]), base64(&point[33..65]));
        // RFC 7638: members in the order of their names, nothing between them.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let directory = http.get(pebble.directory_url()).send().await.expect("an answer").bytes().await.expect("a body");
        let dns = Dns {
            http: http_client(""),
            url: format!("{}/api/v1/servers/localhost/zones/{zone}.", dns.api_url()),
            key: dns.api_key().to_owned(),
        };
        let mut probe = Probe {
            http,
            dns,
            key,
            random: SystemRandom::new(),
            jwk: json!({ "crv": "P-256", "kty": "EC", "x": x, "y": y }),
            thumbprint: base64(digest(&SHA256, canonical.as_bytes())),
            directory: serde_json::from_slice(&directory).expect("JSON"),
            account: String::new(),
            nonce: None,
        };
        let register = probe.url("newAccount");
        probe.account = probe.post(&register, Some(&json!({ "termsOfServiceAgreed": true }))).await.location;
        probe
    }

    fn url(&self, resource: &str) -> String {
        self.directory[resource].as_str().expect("a resource").to_owned()
    }

    async fn post(&mut self, url: &str, payload: Option<&Value>) -> Answer {
        loop {
            let nonce = match self.nonce.take() {
                Some(nonce) => nonce,
                None => {
                    let answer = self.http.head(self.url("newNonce")).send().await.expect("an answer");
                    answer.headers()["replay-nonce"].to_str().expect("a text").to_owned()
                }
            };
            let mut protected = json!({ "alg": "ES256", "nonce": nonce, "url": url });
            if self.account.is_empty() {
                protected["jwk"] = self.jwk.clone();
            } else {
                protected["kid"] = self.account.as_str().into();
            }
            let (protected, payload) =
                (base64(protected.to_string()), payload.map(Value::to_string).map(base64).unwrap_or_default());
            let signature = self.key.sign(&self.random, format!("{protected}.{payload}").as_bytes()).expect("a signature");
            let body = json!({ "protected": protected, "payload": payload, "signature": base64(signature) }).to_string();
            let request = self.http.post(url).header("content-type", "application/jose+json").body(body);
            let answer = request.send().await.expect("an answer");
            let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            self.nonce = header("replay-nonce");
            let (status, location) = (answer.status(), header("location").unwrap_or_default());
            let body = answer.bytes().await.expect("a body").to_vec();
            if status.is_success() {
                return Answer { location, body };
            }
            let text = String::from_utf8_lossy(&body);
            assert!(text.contains("badNonce"), "{url}: {status} {text}");
        }
    }

    /// Gets a certificate for a name, with a key of P-256.
    pub(crate) async fn issue(&mut self, name: &str) {
        let began = Instant::now();
        let place = self.url("newOrder");
        let placed = self.post(&place, Some(&json!({ "identifiers": [{ "type": "dns", "value": name }] }))).await;
        let (order_url, order) = (placed.location.clone(), placed.json());
        let authorization = self.post(order["authorizations"][0].as_str().expect("a URL"), None).await.json();
        let challenges = authorization["challenges"].as_array().expect("a list");
        let challenge = challenges.iter().find(|challenge| challenge["type"] == "dns-01").expect("DNS-01");
        let proof = format!("{}.{}", challenge["token"].as_str().expect("a token"), self.thumbprint);
        let owner = format!("_acme-challenge.{name}.");
        self.dns.set(&owner, Some(&base64(digest(&SHA256, proof.as_bytes())))).await;
        self.post(challenge["url"].as_str().expect("a URL"), Some(&json!({}))).await;
        self.await_status(&order_url, "ready", began).await;
        self.dns.set(&owner, None).await;
        let key = rcgen::KeyPair::generate().expect("a key");
        let request = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name").serialize_request(&key);
        let csr = json!({ "csr": base64(request.expect("a request").der()) });
        self.post(order["finalize"].as_str().expect("a URL"), Some(&csr)).await;
        let order = self.await_status(&order_url, "valid", began).await;
        let chain = self.post(order["certificate"].as_str().expect("a URL"), None).await;
        assert!(chain.body.starts_with(b"-----BEGIN CERTIFICATE"), "a chain in PEM");
    }

    async fn await_status(&mut self, order: &str, status: &str, began: Instant) -> Value {
        loop {
            let answer = self.post(order, None).await.json();
            if answer["status"] == status {
                return answer;
            }
            assert!(answer["status"] != "invalid" && began.elapsed() < Duration::from_secs(60), "{answer}");
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Dns {
    async fn set(&self, owner: &str, value: Option<&str>) {
        let records: Vec<Value> =
            value.iter().map(|value| json!({ "content": format!("\"{value}\""), "disabled": false })).collect();
        let change = if value.is_some() { "REPLACE" } else { "DELETE" };
        let body = json!({ "rrsets": [{ "name": owner, "type": "TXT", "ttl": 1, "changetype": change, "records": records }] });
        let request = self.http.patch(&self.url).header("x-api-key", &self.key).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}

/// The middle time of one certificate after the other, in seconds.
pub(crate) async fn floor(pebble: &Pebble, dns: &PowerDns, zone: &str, count: usize) -> f64 {
    let mut probe = Probe::new(pebble, dns, zone).await;
    let mut times = Vec::new();
    for number in 0..count {
        let began = Instant::now();
        probe.issue(&format!("floor{number}.{zone}")).await;
        times.push(began.elapsed().as_secs_f64());
    }
    median(times)
}

/// Certificates a second with so many accounts at once.
pub(crate) async fn rate(pebble: &Pebble, dns: &PowerDns, zone: &str, count: usize, at_once: usize) -> f64 {
    let mut probes = Vec::new();
    for _ in 0..at_once {
        probes.push(Probe::new(pebble, dns, zone).await);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    let began = Instant::now();
    for mut probe in probes {
        let (next, zone) = (Arc::clone(&next), zone.to_owned());
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                probe.issue(&format!("rate{at_once}-{number}.{zone}")).await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("the probe comes to its end");
    }
    count as f64 / began.elapsed().as_secs_f64()
}
