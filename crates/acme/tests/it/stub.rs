//! A CA on loopback that answers from a script and verifies nothing.
//!
//! Every path has a good answer to begin with; a test puts others in front of it.
use std::collections::HashMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use certkeep_core::ports::CertificateAuthority;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// What a path answers.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(body: &Value) -> Reply {
        Reply { status: 200, headers: vec![("content-type", "application/json".into())], body: body.to_string() }
    }

    pub(crate) fn text(status: u16, media_type: &str, body: &str) -> Reply {
        Reply { status, headers: vec![("content-type", media_type.into())], body: body.into() }
    }

    pub(crate) fn problem(status: u16, kind: &str, detail: &str) -> Reply {
        let body = json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail, "status": status });
        Reply::text(status, "application/problem+json", &body.to_string())
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }
}

pub(crate) struct Stub {
    script: Arc<Script>,
    server: JoinHandle<()>,
}

struct Script {
    address: SocketAddr,
    nonces: AtomicU64,
    always: Mutex<HashMap<String, Reply>>,
    once: Mutex<HashMap<String, VecDeque<Reply>>>,
    asked: Mutex<Vec<Asked>>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) agent: String,
    /// The protected header of the JWS, if there is one.
    pub(crate) header: Option<Value>,
    /// The payload of the JWS, if there is one.
    pub(crate) payload: Option<Value>,
}

pub(crate) const CSR: &[u8] = b"not read by the stub";

impl Stub {
    pub(crate) async fn start() -> Stub {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let script = Arc::new(Script {
            address: listener.local_addr().unwrap(),
            nonces: AtomicU64::new(0),
            always: Mutex::default(),
            once: Mutex::default(),
            asked: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let stub = Stub { script, server };
        stub.always(
            "/dir",
            Reply::json(&json!({
                "newNonce": stub.url("/nonce"), "newAccount": stub.url("/account"), "newOrder": stub.url("/new-order"),
            })),
        );
        stub.always("/nonce", Reply::text(200, "text/plain", ""));
        let account = Reply::json(&json!({ "status": "valid" })).header("location", stub.url("/account/1"));
        stub.always("/account", account);
        stub.always("/new-order", stub.order("pending").header("location", stub.url("/order/1")));
        stub.always("/order/1", stub.order("ready"));
        stub.always("/authz/1", stub.authorization("valid", "valid"));
        stub.always("/challenge/1", Reply::json(&stub.challenge("processing")));
        stub.always("/finalize/1", stub.order("processing"));
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["a.example.com".to_owned()]).unwrap().self_signed(&key).unwrap();
        stub.always("/certificate/1", Reply::text(200, "application/pem-certificate-chain", &certificate.pem()));
        stub
    }

    pub(crate) fn ca(&self) -> CertificateAuthority {
        CertificateAuthority {
            directory: self.url("/dir"),
            roots: Vec::new(),
            contact: vec!["mailto:someone@example.com".into()],
            external_account: None,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.script.address)
    }

    pub(crate) fn order(&self, status: &str) -> Reply {
        let mut order = json!({
            "status": status,
            "identifiers": [{ "type": "dns", "value": "a.example.com" }],
            "authorizations": [self.url("/authz/1")],
            "finalize": self.url("/finalize/1"),
        });
        if status == "valid" {
            order["certificate"] = json!(self.url("/certificate/1"));
        }
        Reply::json(&order)
    }

    pub(crate) fn challenge(&self, status: &str) -> Value {
        json!({ "type": "dns-01", "url": self.url("/challenge/1"), "token": "a-token", "status": status })
    }

    pub(crate) fn authorization(&self, status: &str, challenge: &str) -> Reply {
        Reply::json(&json!({
            "status": status,
            "identifier": { "type": "dns", "value": "a.example.com" },
            "challenges": [
                { "type": "http-01", "url": self.url("/challenge/2"), "token": "other", "status": "pending" },
                self.challenge(challenge),
            ],
        }))
    }

    /// Answers `path` by `reply` from now on.
    pub(crate) fn always(&self, path: &str, reply: Reply) {
        self.script.always.lock().unwrap().insert(path.into(), reply);
    }

    /// Answers `path` by each of `replies` once, before what it always answers.
    pub(crate) fn once(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        self.script.once.lock().unwrap().entry(path.into()).or_default().extend(replies);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().unwrap().clone()
    }

    /// How often `path` was asked by `method`.
    pub(crate) fn count(&self, method: Method, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.method == method && asked.path == path).count()
    }

    /// What the last signed request says of itself.
    pub(crate) fn last_header(&self) -> Value {
        self.asked().into_iter().rev().find_map(|asked| asked.header).unwrap()
    }

    /// The account that the last signed request was from.
    pub(crate) fn last_kid(&self) -> String {
        self.last_header()["kid"].as_str().unwrap().to_owned()
    }

    /// The payloads that were posted to `path`.
    pub(crate) fn payloads(&self, path: &str) -> Vec<Value> {
        self.asked().into_iter().filter(|asked| asked.path == path).filter_map(|asked| asked.payload).collect()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(script): State<Arc<Script>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    script.asked.lock().unwrap().push(Asked {
        method,
        path: path.clone(),
        agent: headers.get("user-agent").map(|agent| agent.to_str().unwrap().to_owned()).unwrap_or_default(),
        header: part(&body, "protected"),
        payload: part(&body, "payload"),
    });
    let once = script.once.lock().unwrap().get_mut(&path).and_then(VecDeque::pop_front);
    let reply = once
        .or_else(|| script.always.lock().unwrap().get(&path).cloned())
        .unwrap_or_else(|| Reply::problem(404, "malformed", "no such resource"));
    let nonce = format!("nonce-{}", script.nonces.fetch_add(1, Ordering::Relaxed));
    let mut response = (StatusCode::from_u16(reply.status).unwrap(), reply.body).into_response();
    response.headers_mut().remove("content-type");
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response.headers_mut().insert("replay-nonce", nonce.parse().unwrap());
    response
}

fn part(body: &[u8], member: &str) -> Option<Value> {
    use base64::Engine;
    let jws: Value = serde_json::from_slice(body).ok()?;
    let part = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(jws[member].as_str()?).ok()?;
    serde_json::from_slice(&part).ok()
}
