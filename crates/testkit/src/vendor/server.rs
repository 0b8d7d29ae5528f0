//! The HTTPS server in front of an account: what came, what is answered, and faults on request.
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::rand;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use axum_server::tls_rustls::RustlsConfig;
use serde_json::Value;

use super::account::{Account, Record};
use super::{alidns, cloudflare, digitalocean, httpreq, tls};

/// Which vendor is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Alibaba Cloud DNS.
    Alidns,
    /// Cloudflare.
    Cloudflare,
    /// DigitalOcean.
    DigitalOcean,
    /// An HTTP endpoint as lego's `httpreq` calls it.
    HttpReq,
}

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is done, and the connection ends without an answer.
    AnswerLost,
    /// It is not done, and the connection ends without an answer.
    Dropped,
    /// It is not done; the answer is 500.
    ServerError,
    /// It is not done; the answer asks for fewer requests, and after how many seconds to come again.
    TooMany(u32),
    /// It is not done; the answer is a web page with status 200.
    WebPage,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub target: String,
    /// Whether the vendor has such a route.
    pub known: bool,
}

/// A request as a vendor's file reads it.
pub(super) struct Incoming<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    pub(super) credentials: &'a Credentials,
}

impl Incoming<'_> {
    /// The parts of the path.
    pub(super) fn path(&self) -> Vec<&str> {
        self.uri.path().trim_matches('/').split('/').collect()
    }

    /// A field of the query, decoded.
    pub(super) fn query(&self, key: &str) -> Option<String> {
        let pairs = url::form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        pairs.into_iter().find(|(k, _)| k == key).map(|(_, value)| value.into_owned())
    }

    /// A number of the query, within bounds.
    pub(super) fn number(&self, key: &str, default: usize, most: usize) -> usize {
        self.query(key).and_then(|text| text.parse().ok()).unwrap_or(default).clamp(1, most)
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON; null if it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap_or_default()
    }
}

/// What a vendor's file answers.
pub(super) struct Outcome {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
    pub(super) known: bool,
}

impl Outcome {
    pub(super) fn json(status: u16, body: Value) -> Outcome {
        Outcome { status, body: Some(body), known: true }
    }

    pub(super) fn empty(status: u16) -> Outcome {
        Outcome { status, body: None, known: true }
    }

    /// An answer to a request that the vendor has no route for.
    pub(super) fn stranger(body: Value) -> Outcome {
        Outcome { status: 404, body: Some(body), known: false }
    }
}

/// What opens the account.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    /// The public half: a key id, an e-mail address, a user name.
    pub(super) id: String,
    /// The secret half.
    pub(super) secret: String,
}

struct Inner {
    service: Service,
    credentials: Credentials,
    account: Account,
    seen: Vec<Seen>,
    faults: BTreeMap<usize, Fault>,
    nonces: Vec<String>,
}

/// A running vendor; it stops when it is dropped.
pub struct Vendor {
    inner: Arc<Mutex<Inner>>,
    address: SocketAddr,
    root: String,
    handle: axum_server::Handle<SocketAddr>,
}

impl Vendor {
    /// Starts a vendor with this account and credentials of its own.
    pub async fn start(service: Service, account: Account) -> Vendor {
        let credentials = Credentials { id: format!("id{}", random()), secret: format!("secret/{}+", random()) };
        let inner = Inner { service, credentials, account, seen: Vec::new(), faults: BTreeMap::new(), nonces: Vec::new() };
        let inner = Arc::new(Mutex::new(inner));
        let (root, config) = tls::loopback();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let address = listener.local_addr().expect("a bound listener has an address");
        let handle = axum_server::Handle::new();
        let router = Router::new().fallback(serve).with_state(Arc::clone(&inner));
        let server = axum_server::from_tcp_rustls(listener, RustlsConfig::from_config(Arc::new(config)))
            .expect("the listener is a TCP listener")
            .handle(handle.clone())
            .serve(router.into_make_service());
        tokio::spawn(server);
        Vendor { inner, address, root, handle }
    }

    /// Scheme, host and port.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The root that a client has to trust, in PEM.
    pub fn root(&self) -> String {
        self.root.clone()
    }

    /// The provider's parameters that open the account, as `auth_info_list` names them.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let inner = self.inner();
        let Credentials { id, secret } = inner.credentials.clone();
        match inner.service {
            Service::Alidns => vec![("AccessKeyId", id), ("AccessKeySecret", secret)],
            Service::Cloudflare | Service::DigitalOcean => vec![("AuthToken", secret)],
            Service::HttpReq => vec![("Endpoint", self.url()), ("Username", id), ("Password", secret)],
        }
    }

    /// The public half of the credentials and the secret.
    pub fn credentials(&self) -> (String, String) {
        let Credentials { id, secret } = self.inner().credentials.clone();
        (id, secret)
    }

    /// Every record of the account, sorted.
    pub fn records(&self) -> Vec<Record> {
        self.inner().account.records()
    }

    /// The TXT values at a name, sorted.
    pub fn txt(&self, name: &str) -> Vec<String> {
        let records = self.records().into_iter();
        records.filter(|r| r.name == name && r.rtype == "TXT").map(|r| r.value).collect()
    }

    /// Changes the account behind the API's back.
    pub fn change(&self, change: impl FnOnce(&mut Account)) {
        change(&mut self.inner().account);
    }

    /// Every request that came so far.
    pub fn requests(&self) -> Vec<Seen> {
        self.inner().seen.clone()
    }

    /// Lets the request go wrong that comes after `later` others from now on.
    pub fn fail(&self, later: usize, fault: Fault) {
        let mut inner = self.inner();
        let at = inner.seen.len() + later;
        inner.faults.insert(at, fault);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

async fn serve(State(inner): State<Arc<Mutex<Inner>>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 1 << 20).await else { return page(StatusCode::PAYLOAD_TOO_LARGE) };
    let mut guard = inner.lock().unwrap_or_else(PoisonError::into_inner);
    let inner = &mut *guard;
    let fault = inner.faults.remove(&inner.seen.len());
    let target = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let seen = |known| Seen { method: head.method.to_string(), target: target.clone(), known };
    if let Some(Fault::Dropped | Fault::ServerError | Fault::TooMany(_) | Fault::WebPage) = fault {
        inner.seen.push(seen(true));
    }
    match fault {
        Some(Fault::Dropped) => {
            drop(guard);
            hang_up()
        }
        Some(Fault::ServerError) => page(StatusCode::INTERNAL_SERVER_ERROR),
        Some(Fault::TooMany(seconds)) => too_many(inner.service, seconds),
        Some(Fault::WebPage) => page(StatusCode::OK),
        Some(Fault::AnswerLost) | None => {
            let Inner { service, credentials, account, nonces, .. } = inner;
            let incoming = Incoming { method: &head.method, uri: &head.uri, headers: &head.headers, body: &body, credentials };
            let outcome = match service {
                Service::Alidns => alidns::answer(account, &incoming, nonces),
                Service::Cloudflare => cloudflare::answer(account, &incoming),
                Service::DigitalOcean => digitalocean::answer(account, &incoming),
                Service::HttpReq => httpreq::answer(account, &incoming),
            };
            inner.seen.push(seen(outcome.known));
            if fault.is_some() {
                drop(guard);
                hang_up()
            }
            respond(outcome.status, outcome.body, None)
        }
    }
}

/// Ends the task that serves the connection, and so the connection, without a word of panic on standard error.
fn hang_up() -> ! {
    std::panic::resume_unwind(Box::new("a connection is dropped on request"))
}

fn too_many(service: Service, seconds: u32) -> Response<Body> {
    match service {
        Service::Alidns => respond(400, Some(alidns::throttled()), None),
        Service::Cloudflare => respond(429, Some(cloudflare::throttled()), Some(seconds)),
        Service::DigitalOcean => respond(429, Some(digitalocean::throttled()), Some(seconds)),
        Service::HttpReq => respond(429, None, Some(seconds)),
    }
}

fn respond(status: u16, body: Option<Value>, retry_after: Option<u32>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    if let Some(seconds) = retry_after {
        response = response.header(header::RETRY_AFTER, seconds);
    }
    let response = match body {
        Some(json) => response.header(header::CONTENT_TYPE, "application/json").body(Body::from(json.to_string())),
        None => response.body(Body::empty()),
    };
    response.expect("the parts are valid")
}

fn page(status: StatusCode) -> Response<Body> {
    let body = Body::from("<!DOCTYPE html><html><body>One moment, please</body></html>");
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "text/html").body(body);
    response.expect("the parts are valid")
}

fn random() -> String {
    let mut octets = [0; 12];
    rand::fill(&mut octets).expect("the machine has randomness");
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
