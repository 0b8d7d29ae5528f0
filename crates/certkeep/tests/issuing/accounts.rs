//! An application at an acme-dns, where every name has an account and a CNAME leads to it.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use certkeep_core::certificate::ApplyStatus;
use certkeep_core::failure::Code;
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_engine::Ports;
use certkeep_engine::inventory::ApplicationInput;
use certkeep_sandbox::Options;
use certkeep_testkit::peers::http_client;
use certkeep_testkit::wait::{PATIENCE, eventually};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::house::{self, House, Running, text};

const ZONE: &str = "auth.example.net";
const NAME: &str = "_acme-challenge.pbx.example.com";

/// An acme-dns that answers for its zone by way of the sandbox's DNS.
struct AcmeDns {
    /// Subdomain, and its two newest values.
    accounts: Mutex<BTreeMap<String, Vec<String>>>,
    dns: (String, String),
    client: reqwest::Client,
}

impl AcmeDns {
    /// Starts one on loopback, which ends with the test; answers its address.
    async fn start(house: &House) -> (Arc<AcmeDns>, String) {
        let dns = (house.sandbox.dns_api_url().to_owned(), house.sandbox.dns_api_key().to_owned());
        let server = Arc::new(AcmeDns { accounts: Mutex::default(), dns, client: http_client("") });
        let router = Router::new().route("/register", post(register)).route("/update", post(update));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = router.with_state(Arc::clone(&server));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (server, url)
    }
}

async fn register(State(server): State<Arc<AcmeDns>>) -> (StatusCode, Json<Value>) {
    let mut accounts = server.accounts.lock().unwrap();
    let subdomain = format!("account-{}", accounts.len());
    accounts.insert(subdomain.clone(), Vec::new());
    let account = json!({
        "username": format!("user of {subdomain}"),
        "password": format!("password of {subdomain}"),
        "fulldomain": format!("{subdomain}.{ZONE}"),
        "subdomain": subdomain,
        "allowfrom": [],
    });
    (StatusCode::CREATED, Json(account))
}

async fn update(State(server): State<Arc<AcmeDns>>, headers: HeaderMap, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let (subdomain, value) = (body["subdomain"].as_str().unwrap(), body["txt"].as_str().unwrap());
    let is = |name: &str, what: &str| headers.get(name).is_some_and(|given| given == format!("{what} of {subdomain}").as_str());
    if !is("x-api-user", "user") || !is("x-api-key", "password") {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "forbidden"})));
    }
    let values = {
        let mut accounts = server.accounts.lock().unwrap();
        let values = accounts.get_mut(subdomain).unwrap();
        values.push(value.to_owned());
        let oldest = values.len().saturating_sub(2);
        values.split_off(oldest)
    };
    let records: Vec<Value> = values.iter().map(|value| json!({"content": format!("\"{value}\""), "disabled": false})).collect();
    let set = json!({"rrsets": [{
        "name": format!("{subdomain}.{ZONE}."), "type": "TXT", "ttl": 1, "changetype": "REPLACE", "records": records,
    }]});
    server.accounts.lock().unwrap().insert(subdomain.to_owned(), values);
    let (url, key) = &server.dns;
    let url = format!("{url}/api/v1/servers/localhost/zones/{ZONE}.");
    let patched = server.client.patch(url).header("X-API-Key", key).json(&set).send().await.unwrap();
    assert!(patched.status().is_success(), "{patched:?}");
    (StatusCode::OK, Json(json!({"txt": value})))
}

async fn start(house: &House) -> Running {
    let remembering = |ports: Ports| {
        let memory = Arc::clone(&ports.store);
        let options =
            RegistryOptions { memory: Some(memory), resolver: Some(Arc::clone(&ports.resolver)), ..RegistryOptions::default() };
        Ports { providers: Arc::new(Registry::new(options)), ..ports }
    };
    house.start_with(remembering, house.settings()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_waits_for_its_cname_and_goes_on_by_itself_after_a_restart() {
    let zones = vec!["example.com".to_owned(), ZONE.to_owned()];
    let house = House::new(Options { zones, ..Options::default() }).await;
    let (server, url) = AcmeDns::start(&house).await;
    let running = start(&house).await;
    let input = ApplicationInput { dns_provider: Some("acme-dns".to_owned()), auth: Some(vec![text("APIBase", &url)]) };
    let id = running.apply("*.pbx.example.com, pbx.example.com", input).await;
    let failure = running.failed(id).await;
    assert_eq!((failure.code, failure.evidence.subject.as_deref()), (Code::DelegationMissing, Some(NAME)), "{failure}");
    assert_eq!(failure.evidence.facts, [format!("{NAME}. CNAME account-0.{ZONE}.")]);
    assert!(!format!("{failure} {failure:?}").contains("password of"));
    running.stop().await;

    house.sandbox.set_cname(NAME, &format!("account-0.{ZONE}")).unwrap();
    house.clock.advance(SignedDuration::from_mins(5));
    let running = start(&house).await;
    eventually(PATIENCE, "the second issuance", || async {
        let entry = running.engine.certificate(id).await.unwrap();
        (house::server(&entry).status == ApplyStatus::IssuanceSuccess).then_some(())
    })
    .await;
    let accounts = server.accounts.lock().unwrap().clone();
    let (name, values) = accounts.first_key_value().unwrap();
    assert_eq!((accounts.len(), name.as_str(), values.len()), (1, "account-0", 2), "one account, both values");
    running.stop().await;
}
