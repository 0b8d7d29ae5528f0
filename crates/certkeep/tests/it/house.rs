//! A whole certkeep on a store of its own, and the two ways into it.
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use certkeep::http::{Api, Device, Front, listener};
use certkeep_core::client::{ClientRole, Digest};
use certkeep_core::failure::Code;
use certkeep_core::material::KeyType;
use certkeep_core::ports::{CertificateAuthority, Clients, Propagation};
use certkeep_core::renewal::Policy;
use certkeep_core::schedule::Pace;
use certkeep_core::time::{Clock, SystemClock};
use certkeep_engine::{Choice, Engine, Ports, Settings};
use certkeep_store::{Options, SqlStore};
use certkeep_testkit::clock::MovableClock;
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinHandle;

use crate::call::{Answer, Call, HERE};
use crate::fakes::{FakeCa, FakeProviders, Quiet, TestClock};

/// The client that most calls are made as.
pub(crate) const ADMIN: (&str, &str) = ("admin-id", "admin-secret");

/// What may differ from one house to the next.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    pub(crate) max_server: Option<u32>,
    pub(crate) max_trusted: Option<u32>,
    pub(crate) switched_off: bool,
}

enum Way {
    Https { address: SocketAddr, tls: Box<rustls::ClientConfig>, client: reqwest::Client },
    Direct,
}

pub(crate) struct House {
    pub(crate) clock: TestClock,
    pub(crate) engine: Engine,
    pub(crate) store: SqlStore,
    /// What the CA fails with, if it is to.
    pub(crate) ca_failure: Arc<Mutex<Option<Code>>>,
    front: Front,
    way: Way,
    token: OnceCell<String>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    stop: watch::Sender<bool>,
    folder: Arc<TempDir>,
}

impl House {
    pub(crate) async fn directly() -> House {
        House::build(Plan::default()).await
    }

    pub(crate) async fn over_https() -> House {
        House::build(Plan::default()).await.behind_https().await
    }

    /// Another house that is entered in the same way.
    pub(crate) async fn alike(&self, plan: Plan) -> House {
        let house = House::build(plan).await;
        match self.way {
            Way::Https { .. } => house.behind_https().await,
            Way::Direct => house,
        }
    }

    async fn build(plan: Plan) -> House {
        let now = Timestamp::from_second(SystemClock.now().as_second()).unwrap();
        let clock = TestClock { hands: MovableClock::frozen_at(now), broken: Arc::default() };
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let house = House::on(folder, clock, plan).await;
        house.add_client("admin", ADMIN, ClientRole::Admin, &[]).await;
        house
    }

    /// The house after a restart: another engine on the same folder, which remembers nothing else.
    pub(crate) async fn restarted(&self) -> House {
        let house = House::on(Arc::clone(&self.folder), self.clock.clone(), Plan::default()).await;
        match self.way {
            Way::Https { .. } => house.behind_https().await,
            Way::Direct => house,
        }
    }

    async fn on(folder: Arc<TempDir>, clock: TestClock, plan: Plan) -> House {
        let options = Options { folder: folder.path().to_owned(), key_file: None };
        // Not exclusive, since the house before a restart is still there.
        let store = SqlStore::open_shared(&options).await.unwrap();
        let ca_failure: Arc<Mutex<Option<Code>>> = Arc::default();
        let ca = FakeCa { clock: clock.clone(), failure: Arc::clone(&ca_failure), names: Mutex::default() };
        let ports = Ports {
            store: Arc::new(store.clone()),
            providers: Arc::new(FakeProviders::default()),
            resolver: Arc::new(Quiet),
            issuer: Arc::new(ca),
            clock: Arc::new(clock.clone()),
        };
        let settings = Settings {
            cas: Choice::of(
                CertificateAuthority {
                    directory: "fake://directory".into(),
                    roots: Vec::new(),
                    contact: Vec::new(),
                    external_account: None,
                },
                KeyType::P256,
            )
            .into(),
            renewal: Policy::default(),
            max_server: plan.max_server,
            max_trusted: plan.max_trusted,
            propagation: Propagation { timeout: Duration::from_secs(5), interval: Duration::from_millis(10) },
            delegations: Vec::new(),
            concurrency: 4,
            pace: Pace::default(),
        };
        let engine = Engine::start(ports, settings).await.unwrap();
        let device = Device {
            device_name: "certkeep".into(),
            model_name: "certkeep".into(),
            sn: "0123456789".into(),
            firmware_version: "0.1.0.0".into(),
        };
        let mut api = Api::new(engine.clone(), device, Arc::new(clock.clone()));
        api.enabled = !plan.switched_off;
        House {
            clock,
            engine,
            store,
            ca_failure,
            front: Front::new(api),
            way: Way::Direct,
            token: OnceCell::new(),
            tasks: Mutex::default(),
            stop: watch::Sender::new(false),
            folder,
        }
    }

    async fn behind_https(mut self) -> House {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (front, served, mut stop) = (self.front.clone(), self.engine.served(), self.stop.subscribe());
        let serving = tokio::spawn(async move {
            let stopped = async move {
                let _ = stop.wait_for(|stop| *stop).await;
            };
            listener::serve_tls(listener, front, served, stopped).await.unwrap();
        });
        self.tasks.lock().unwrap().push(serving);
        let tls = self.tls(&[b"http/1.1"]);
        self.way = Way::Https { address, client: client(address, tls.clone(), HERE), tls: Box::new(tls) };
        self
    }

    /// TLS that trusts nothing but what the house presents now.
    pub(crate) fn tls(&self, protocols: &[&[u8]]) -> rustls::ClientConfig {
        let served = self.engine.served().borrow().clone();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(served.chain.certificates().last().unwrap().clone().into()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }

    /// Where HTTPS is served.
    pub(crate) fn address(&self) -> SocketAddr {
        match &self.way {
            Way::Https { address, .. } => *address,
            Way::Direct => panic!("this house has no listener"),
        }
    }

    /// What lies on the disk.
    pub(crate) fn stored(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }

    /// What the house serves, without a listener.
    pub(crate) fn front(&self) -> Front {
        self.front.clone()
    }

    pub(crate) async fn add_client(&self, name: &str, (id, secret): (&str, &str), role: ClientRole, networks: &[&str]) {
        let networks: Vec<_> = networks.iter().map(|network| network.parse().unwrap()).collect();
        assert!(self.store.add_client(name, id, Digest::of(secret), role, &networks).await.unwrap());
    }

    /// Sends a call as it is.
    pub(crate) async fn send(&self, call: Call) -> Answer {
        let from = call.from;
        let request = http::Request::builder().method(call.method).uri(call.target);
        let mut request = request.body(call.body).unwrap();
        *request.headers_mut() = call.headers;
        match &self.way {
            Way::Direct => {
                let response = self.front.answer(from, request.map(Body::from)).await;
                let (head, body) = response.into_parts();
                Answer::new(head.status.as_u16(), head.headers, &body.collect().await.unwrap().to_bytes())
            }
            Way::Https { address, tls, client: here } => {
                let (head, body) = request.into_parts();
                let url = format!("https://localhost:{}{}", address.port(), head.uri);
                let other = (from != HERE).then(|| client(*address, tls.as_ref().clone(), from));
                let sending = other.as_ref().unwrap_or(here).request(head.method, url).headers(head.headers);
                let response = sending.body(body).send().await.unwrap();
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                Answer::new(status, headers, &response.bytes().await.unwrap())
            }
        }
    }

    /// `get_token` with these credentials.
    pub(crate) async fn login(&self, (id, secret): (&str, &str)) -> Answer {
        self.send(Call::post("get_token", &json!({"username": id, "password": secret}))).await
    }

    /// A new access token of this client.
    pub(crate) async fn token_of(&self, client: (&str, &str)) -> String {
        let answer = self.login(client).await;
        answer.is_success();
        answer.text_of("access_token")
    }

    /// The access token that [`House::get`] and its neighbours use.
    pub(crate) async fn token(&self) -> &str {
        self.token.get_or_init(|| self.token_of(ADMIN)).await
    }

    pub(crate) async fn authorized(&self, call: Call) -> Answer {
        let call = call.with(self.token().await);
        self.send(call).await
    }

    pub(crate) async fn get(&self, endpoint: &str) -> Answer {
        self.authorized(Call::get(endpoint)).await
    }

    pub(crate) async fn post(&self, endpoint: &str, body: Value) -> Answer {
        self.authorized(Call::post(endpoint, &body)).await
    }

    /// Uploads a file.
    pub(crate) async fn upload(&self, kind: &str, file_name: &str, content: impl AsRef<[u8]>) -> Answer {
        self.authorized(form(&[("type", None, kind.as_bytes()), ("file", Some(file_name), content.as_ref())])).await
    }

    /// Uploads a server certificate and creates it; answers its id.
    pub(crate) async fn uploaded(&self, name: &str, names: &[&str], days: i64) -> i64 {
        let leaf = crate::material::leaf(names, self.clock.now(), days);
        self.upload("server", name, leaf.file()).await.is_success();
        let body = json!({"type": "server", "ca_type": "upload", "name": name});
        self.post("certificate/create", body).await.is_success();
        self.id_of(name).await
    }

    /// Applies for a certificate; answers its id. Nothing comes of it before [`House::work`].
    pub(crate) async fn applied(&self, issue_to: &str) -> i64 {
        let answer = self.post("certificate/create", application(issue_to)).await;
        answer.is_success();
        self.id_of(&answer.text_of("name")).await
    }

    pub(crate) async fn id_of(&self, name: &str) -> i64 {
        let answer = self.get("certificate/list?page_size=10000").await;
        let rows = answer.json["certificate_list"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).expect("it is in the list")["id"].as_i64().unwrap()
    }

    /// The certificate of this id.
    pub(crate) async fn certificate(&self, id: i64) -> Value {
        let answer = self.get(&format!("certificate/get?id={id}")).await;
        answer.is_success();
        answer.json["certificate"].clone()
    }

    /// How many certificates there are.
    pub(crate) async fn count(&self) -> i64 {
        self.get("certificate/list").await.json["total_number"].as_i64().unwrap()
    }

    /// Lets the engine work from now on.
    pub(crate) fn work(&self) {
        let (engine, stop) = (self.engine.clone(), self.stop.subscribe());
        self.tasks.lock().unwrap().push(tokio::spawn(async move { engine.run(stop).await }));
    }

    /// Waits until the application of this id stands so; answers the certificate.
    pub(crate) async fn settled(&self, id: i64, apply_status: &str) -> Value {
        let what = format!("certificate {id} to be {apply_status}");
        certkeep_testkit::wait::eventually(certkeep_testkit::wait::PATIENCE, what, async || {
            Some(self.certificate(id).await).filter(|certificate| certificate["apply_status"] == apply_status)
        })
        .await
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.hands.advance(SignedDuration::from_secs(seconds));
    }
}

impl Drop for House {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap().drain(..) {
            task.abort();
        }
    }
}

/// What `create` wants for an application at `alidns`.
pub(crate) fn application(issue_to: &str) -> Value {
    json!({
        "type": "server", "ca_type": "apply", "issue_to": issue_to, "dns_provider": "alidns",
        "auth_info_list": [{"k": "AccessKeyId", "sv": "id"}, {"k": "AccessKeySecret", "sv": "key"}],
    })
}

/// A call of `certificate/upload` with these parts: name, file name, content.
pub(crate) fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Call {
    let mut body = Vec::new();
    for (name, file_name, content) in parts {
        let file_name = file_name.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
        let head = format!("--frontier\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--frontier--\r\n");
    Call::new(http::Method::POST, "certificate/upload")
        .header("content-type", "multipart/form-data; boundary=frontier")
        .body(body)
}

/// A client that calls from this address, keeps connections and asks for gzip.
pub(crate) fn client(address: SocketAddr, tls: rustls::ClientConfig, from: IpAddr) -> reqwest::Client {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .gzip(true)
        .local_address(from)
        .resolve("localhost", address)
        .build()
        .unwrap()
}
