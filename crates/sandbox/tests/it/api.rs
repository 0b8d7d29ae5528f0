//! The PowerDNS API.

use certkeep_sandbox::{Fault, Options, Sandbox, Times};
use reqwest::Method;
use serde_json::{Value, json};

const ZONE: &str = "/api/v1/servers/localhost/zones/example.com.";

struct Api {
    sandbox: Sandbox,
    http: reqwest::Client,
}

impl Api {
    async fn start() -> Api {
        let sandbox = Sandbox::start(Options::default()).await.unwrap();
        let http = crate::acme_client::http_client(&sandbox);
        Api { sandbox, http }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, String) {
        let url = format!("{}{path}", self.sandbox.dns_api_url());
        let request = self.http.request(method, url).body(body.to_string());
        let request = request.header("X-API-Key", self.sandbox.dns_api_key());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn read(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn patch(&self, rrsets: Value) -> (u16, String) {
        self.call(Method::PATCH, ZONE, json!({ "rrsets": rrsets })).await
    }
}

fn txt(name: &str, contents: &[&str]) -> Value {
    let records: Vec<Value> = contents.iter().map(|content| json!({ "content": content, "disabled": false })).collect();
    json!({ "name": name, "type": "TXT", "changetype": "REPLACE", "ttl": 60, "records": records })
}

#[tokio::test]
async fn zones_are_listed_and_shown() {
    let api = Api::start().await;
    assert_eq!(api.read("/api").await[0]["url"], "/api/v1");
    assert_eq!(api.read("/api/v1/servers/localhost").await["id"], "localhost");
    let zones = api.read("/api/v1/servers/localhost/zones").await;
    assert_eq!(zones[0]["name"], "example.com.");
    assert_eq!(zones[0]["kind"], "Native");
    let none = api.read("/api/v1/servers/localhost/zones?zone=example.org.").await;
    assert_eq!(none, json!([]));
    for id in [ZONE, ZONE.trim_end_matches('.')] {
        let zone = api.read(id).await;
        let kinds: Vec<_> = zone["rrsets"].as_array().unwrap().iter().map(|s| &s["type"]).collect();
        assert_eq!(kinds[0], "SOA");
        assert!(kinds.contains(&&json!("NS")), "{kinds:?}");
    }
    assert!(api.read(&format!("{ZONE}?rrsets=false")).await.get("rrsets").is_none());
}

#[tokio::test]
async fn sets_are_replaced_and_deleted() {
    let api = Api::start().await;
    let name = "_acme-challenge.a.example.com.";
    assert_eq!(api.patch(json!([txt(name, &["\"one\"", "\"two\""])])).await.0, 204);
    let owner = || "_acme-challenge.a.example.com".to_owned();
    let both = [(owner(), "one".to_owned()), (owner(), "two".to_owned())];
    assert_eq!(api.sandbox.txt_records(), both);

    let path = format!("{ZONE}?rrset_name={name}&rrset_type=TXT");
    let sets = api.read(&path).await["rrsets"].clone();
    assert_eq!(sets[0]["records"][1], json!({ "content": "\"two\"", "disabled": false }));
    assert_eq!(sets.as_array().unwrap().len(), 1);

    assert_eq!(api.patch(json!([txt(name, &["\"two\""])])).await.0, 204);
    assert_eq!(api.sandbox.txt_records(), both[1..]);
    let gone = json!([{ "name": name, "type": "TXT", "changetype": "DELETE" }]);
    assert_eq!(api.patch(gone.clone()).await.0, 204);
    assert!(api.sandbox.txt_records().is_empty());
    assert_eq!(api.patch(gone).await.0, 204, "what is gone may go again");
}

#[tokio::test]
async fn a_change_is_done_whole_or_not_at_all() {
    let api = Api::start().await;
    let good = txt("a.example.com.", &["\"one\""]);
    let wrong = [
        (txt("a.example.org.", &["\"x\""]), "out of zone"),
        (txt("b.example.com", &["\"x\""]), "canonical"),
        (txt("b.example.com.", &["x"]), "TXT"),
        (txt("b.example.com.", &["\"x\"", "\"x\""]), "duplicate"),
        (json!({ "name": "b.example.com." }), "type"),
    ];
    for (set, reason) in wrong {
        let (status, body) = api.patch(json!([good, set])).await;
        assert_eq!(status, 422, "{body}");
        let error: Value = serde_json::from_str(&body).unwrap();
        assert!(error["error"].as_str().unwrap().contains(reason), "{body}");
        assert!(api.sandbox.txt_records().is_empty());
    }
}

#[tokio::test]
async fn unknown_zones_and_paths_are_not_found() {
    let api = Api::start().await;
    for path in ["/api/v1/servers/localhost/zones/example.org.", "/api/v2", "/"] {
        let (status, body) = api.call(Method::GET, path, Value::Null).await;
        assert_eq!(status, 404, "{path}");
        let error: Value = serde_json::from_str(&body).unwrap();
        assert!(error["error"].is_string());
    }
}

#[tokio::test]
async fn a_wrong_key_is_unauthorized() {
    let api = Api::start().await;
    let url = format!("{}{ZONE}", api.sandbox.dns_api_url());
    let without = api.http.get(&url).send().await.unwrap();
    let wrong = api.http.get(&url).header("X-API-Key", "guess").send().await.unwrap();
    assert_eq!((without.status().as_u16(), wrong.status().as_u16()), (401, 401));
}

#[tokio::test]
async fn faults_of_the_api_happen_on_request() {
    let api = Api::start().await;
    let faults = api.sandbox.faults();
    faults.set(Fault::ApiError, Times::Next(1));
    assert_eq!(api.call(Method::GET, ZONE, Value::Null).await.0, 500);
    faults.set(Fault::ApiHtml, Times::Next(1));
    let (status, body) = api.call(Method::GET, ZONE, Value::Null).await;
    assert_eq!(status, 200);
    assert!(body.starts_with("<!DOCTYPE html>"));
    api.read(ZONE).await;

    for fault in [Fault::ApiRequestLost, Fault::ApiAnswerLost] {
        faults.set(fault, Times::Nth(1));
        let url = format!("{}{ZONE}", api.sandbox.dns_api_url());
        let request = api.http.get(&url).header("X-API-Key", api.sandbox.dns_api_key());
        let read = async { request.send().await?.bytes().await };
        assert!(read.await.is_err(), "{fault:?}");
        api.read(ZONE).await;
    }

    api.sandbox.shut_dns_api().await.unwrap();
    let url = format!("{}{ZONE}", api.sandbox.dns_api_url());
    assert!(api.http.get(&url).send().await.unwrap_err().is_connect());
    api.sandbox.open_dns_api().await.unwrap();
    api.read(ZONE).await;
}
