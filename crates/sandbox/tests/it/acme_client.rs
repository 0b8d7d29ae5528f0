//! A small ACME client that can also be made to misbehave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use certkeep_sandbox::Sandbox;
use reqwest::header::{HeaderMap, HeaderValue};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

/// No test waits longer than this for something that takes milliseconds.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// An account key of any kind the sandbox knows.
pub(crate) enum AccountKey {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(rsa::KeyPair),
}

impl AccountKey {
    pub(crate) fn p256() -> AccountKey {
        AccountKey::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn p384() -> AccountKey {
        AccountKey::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn ed25519() -> AccountKey {
        AccountKey::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn rsa() -> AccountKey {
        AccountKey::Rsa(rsa::KeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            AccountKey::Ed25519(_) => "EdDSA",
            AccountKey::P256(_) => "ES256",
            AccountKey::P384(_) => "ES384",
            AccountKey::Rsa(_) => "RS256",
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        let ec = |crv: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at((point.len() - 1) / 2);
            json!({ "kty": "EC", "crv": crv, "x": b64(x), "y": b64(y) })
        };
        match self {
            AccountKey::Ed25519(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().as_ref()) })
            }
            AccountKey::P256(key) => ec("P-256", key.public_key().as_ref()),
            AccountKey::P384(key) => ec("P-384", key.public_key().as_ref()),
            AccountKey::Rsa(key) => {
                let n = key.public_key().modulus().big_endian_without_leading_zero();
                let e = key.public_key().exponent().big_endian_without_leading_zero();
                json!({ "kty": "RSA", "n": b64(n), "e": b64(e) })
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            AccountKey::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            AccountKey::P256(key) | AccountKey::P384(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            AccountKey::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A flattened JWS; the payload is `""` for POST-as-GET.
    pub(crate) fn jws(&self, protected: &Value, payload: &str) -> Value {
        flatten(protected, payload, |message| self.sign(message))
    }
}

pub(crate) fn flatten(protected: &Value, payload: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Value {
    let protected = b64(protected.to_string().as_bytes());
    let payload = b64(payload.as_bytes());
    let signature = sign(format!("{protected}.{payload}").as_bytes());
    json!({ "protected": protected, "payload": payload, "signature": b64(&signature) })
}

pub(crate) fn b64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// An answer of the CA.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }

    pub(crate) fn member(&self, member: &str) -> String {
        let json = self.json();
        json[member].as_str().unwrap_or_else(|| panic!("no {member}: {json}")).to_owned()
    }

    /// Status and last part of the error type, of what must be a problem document.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let urn = self.member("type");
        let kind = urn.strip_prefix("urn:ietf:params:acme:error:").unwrap();
        assert_eq!(self.json()["status"], self.status);
        (self.status, kind.to_owned())
    }
}

/// The client: one key and, when registered, its account.
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) directory: Value,
    pub(crate) key: AccountKey,
    pub(crate) kid: Option<String>,
    nonce: Mutex<Option<String>>,
}

impl Client {
    /// A client without an account.
    pub(crate) async fn new(sandbox: &Sandbox, key: AccountKey) -> Client {
        let http = http_client(sandbox);
        let reply = http.get(sandbox.directory_url()).send().await.unwrap();
        let directory = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        Client { http, directory, key, kid: None, nonce: Mutex::default() }
    }

    /// A client with an account.
    pub(crate) async fn registered(sandbox: &Sandbox) -> Client {
        let mut client = Client::new(sandbox, AccountKey::p256()).await;
        let reply = client.register(json!({ "termsOfServiceAgreed": true })).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        client
    }

    pub(crate) fn url(&self, resource: &str) -> String {
        self.directory[resource].as_str().unwrap().to_owned()
    }

    /// `newAccount`; an account that comes of it is used from then on.
    pub(crate) async fn register(&mut self, payload: Value) -> Reply {
        let url = self.url("newAccount");
        let reply = self.post(&url, &payload.to_string()).await;
        if reply.status < 300 {
            self.kid = Some(reply.header("location").to_owned());
        }
        reply
    }

    /// A nonce: the one of the last answer, or a new one.
    pub(crate) async fn nonce(&self) -> String {
        if let Some(nonce) = self.nonce.lock().unwrap().take() {
            return nonce;
        }
        let reply = self.http.head(self.url("newNonce")).send().await.unwrap();
        reply.headers()["replay-nonce"].to_str().unwrap().to_owned()
    }

    /// The protected header of a proper request.
    pub(crate) async fn protected(&self, url: &str) -> Value {
        let nonce = self.nonce().await;
        let mut protected = json!({ "alg": self.key.algorithm(), "nonce": nonce, "url": url });
        match &self.kid {
            Some(kid) => protected["kid"] = json!(kid),
            None => protected["jwk"] = self.key.jwk(),
        }
        protected
    }

    pub(crate) async fn post(&self, url: &str, payload: &str) -> Reply {
        let protected = self.protected(url).await;
        self.post_jws(url, &self.key.jws(&protected, payload)).await
    }

    /// POST-as-GET.
    pub(crate) async fn read(&self, url: &str) -> Reply {
        self.post(url, "").await
    }

    pub(crate) async fn post_jws(&self, url: &str, jws: &Value) -> Reply {
        self.send(url, "application/jose+json", jws.to_string()).await
    }

    pub(crate) async fn send(&self, url: &str, content_type: &'static str, body: String) -> Reply {
        let request = self.http.post(url).body(body);
        let content_type = HeaderValue::from_static(content_type);
        let response = request.header("content-type", content_type).send().await.unwrap();
        let headers = response.headers().clone();
        if let Some(nonce) = headers.get("replay-nonce") {
            *self.nonce.lock().unwrap() = Some(nonce.to_str().unwrap().to_owned());
        }
        Reply { status: response.status().as_u16(), headers, body: response.text().await.unwrap() }
    }

    pub(crate) async fn order(&self, names: &[&str]) -> Reply {
        let identifiers: Vec<Value> = names.iter().map(|name| json!({ "type": "dns", "value": name })).collect();
        let payload = json!({ "identifiers": identifiers });
        self.post(&self.url("newOrder"), &payload.to_string()).await
    }

    /// What the TXT record must say for a challenge.
    pub(crate) fn txt_value(&self, token: &str) -> String {
        let jwk: BTreeMap<String, Value> = serde_json::from_value(self.key.jwk()).expect("members sorted by name");
        let digest = |bytes: &[u8]| {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
            b64(digest.as_ref())
        };
        let thumbprint = digest(serde_json::to_string(&jwk).unwrap().as_bytes());
        digest(format!("{token}.{thumbprint}").as_bytes())
    }

    /// Publishes the TXT records of an order and answers its challenges.
    pub(crate) async fn answer(&self, sandbox: &Sandbox, order: &Reply) {
        let mut records: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut challenges = Vec::new();
        for url in order.json()["authorizations"].as_array().unwrap() {
            let authorization = self.read(url.as_str().unwrap()).await.json();
            if authorization["status"] != "pending" {
                continue;
            }
            let name = authorization["identifier"]["value"].as_str().unwrap();
            let challenge = &authorization["challenges"][0];
            let value = self.txt_value(challenge["token"].as_str().unwrap());
            records.entry(format!("_acme-challenge.{name}")).or_default().push(value);
            challenges.push(challenge["url"].as_str().unwrap().to_owned());
        }
        for (name, values) in &records {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            sandbox.set_txt(name, &values).unwrap();
        }
        for url in challenges {
            let reply = self.post(&url, "{}").await;
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    }

    /// Polls a resource until it is neither pending nor processing.
    pub(crate) async fn settled(&self, url: &str) -> Value {
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            let json = self.read(url).await.json();
            if json["status"] != "pending" && json["status"] != "processing" {
                return json;
            }
        }
        panic!("{url} does not settle");
    }

    /// Orders, answers and waits: the order's URL and how it stands then.
    pub(crate) async fn authorized(&self, sandbox: &Sandbox, names: &[&str]) -> (String, Value) {
        let order = self.order(names).await;
        assert_eq!(order.status, 201, "{order:?}");
        self.answer(sandbox, &order).await;
        let url = order.header("location").to_owned();
        let order = self.settled(&url).await;
        (url, order)
    }

    pub(crate) async fn finalize(&self, order: &Value, csr: &[u8]) -> Reply {
        let url = order["finalize"].as_str().unwrap();
        self.post(url, &json!({ "csr": b64(csr) }).to_string()).await
    }

    /// Everything: the chain as it was downloaded.
    pub(crate) async fn certificate(&self, sandbox: &Sandbox, names: &[&str]) -> Reply {
        let (url, order) = self.authorized(sandbox, names).await;
        assert_eq!(order["status"], "ready", "{order}");
        let reply = self.finalize(&order, &csr(names)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let order = self.settled(&url).await;
        self.read(order["certificate"].as_str().unwrap()).await
    }
}

/// A request for names with a new key.
pub(crate) fn csr(names: &[&str]) -> Vec<u8> {
    csr_with(names, &rcgen::KeyPair::generate().unwrap())
}

pub(crate) fn csr_with(names: &[&str], key: &rcgen::KeyPair) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serialize_request(key).unwrap().der().to_vec()
}

/// The certificates of a chain in PEM.
pub(crate) fn ders(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap()
}

/// An HTTP client that trusts the sandbox's HTTPS and nothing else.
pub(crate) fn http_client(sandbox: &Sandbox) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ders(sandbox.tls_root_pem()).remove(0)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap()
}
