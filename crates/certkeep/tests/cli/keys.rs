//! The sealing keys are rotated while the service runs.
use certkeep_sandbox::{Options, Sandbox};
use certkeep_testkit::peers::PostgresDatabase;
use certkeep_testkit::wait::eventually;
use serde_json::{Value, json};

use crate::discretion::{beside, status_of};
use crate::process::{Data, PATIENCE, Serving};

fn application(sandbox: &Sandbox, name: &str) -> Value {
    json!({
        "type": "server", "ca_type": "apply", "issue_to": name, "dns_provider": "pdns",
        "auth_info_list": [{ "k": "Host", "sv": sandbox.dns_api_url() }, { "k": "APIKey", "sv": sandbox.dns_api_key() }],
    })
}

/// Applies for a name and waits for the certificate; answers the entry's id.
pub(crate) async fn issued(serving: &Serving, sandbox: &Sandbox, token: &str, name: &str) -> Value {
    let created = serving.post(&format!("certificate/create?access_token={token}"), &application(sandbox, name)).await;
    assert_eq!(created["errcode"], 0, "{created}");
    let file = format!("{name}.pem");
    let there = || async { (status_of(serving, token, &file).await.as_deref() == Some("issuance_success")).then_some(()) };
    eventually(PATIENCE, "a certificate", there).await;
    let list = serving.get(&format!("certificate/list?access_token={token}")).await;
    let row = list["certificate_list"].as_array().unwrap().iter().find(|row| row["name"] == file).unwrap();
    row["id"].clone()
}

pub(crate) async fn shown(serving: &Serving, token: &str, id: &Value) -> Value {
    let shown = serving.get(&format!("certificate/get?id={id}&access_token={token}")).await;
    assert_eq!(shown["errcode"], 0, "{shown}");
    shown
}

pub(crate) async fn token(serving: &Serving, client: &(String, String)) -> String {
    let answer = serving.login(client).await;
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn key_file(data: &Data) -> String {
    std::fs::read_to_string(data.folder().join("sealing.key")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_beside_a_service() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let data = beside(&sandbox);
    let client = data.client("pbx", &[]);
    let serving = Serving::start(&data);
    let token = token(&serving, &client).await;
    let first = issued(&serving, &sandbox, &token, "first.example.com").await;
    let before = shown(&serving, &token, &first).await;
    let old = key_file(&data);

    let rotated = data.run(&["keys", "rotate"]);
    assert_eq!((rotated.code, rotated.stderr.as_str()), (0, ""), "{}", rotated.stdout);
    let new = key_file(&data);
    let key = |file: &str| file.lines().last().unwrap().to_owned();
    assert!(!new.contains(&key(&old)) && new.lines().count() == old.lines().count());
    let (id, secret) = key(&new).split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned())).unwrap();
    assert!(rotated.stdout.starts_with(&format!("All secrets are sealed under the key {id} now, ")), "{}", rotated.stdout);
    assert!(!rotated.stdout.contains(&secret));

    // The account's key and the parameters are read again, and others sealed.
    let second = issued(&serving, &sandbox, &token, "second.example.com").await;
    assert_eq!(shown(&serving, &token, &first).await, before);
    let (status, _, log) = serving.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains(" ERROR ") && !log.contains(" WARN "), "{log}");
    let serving = Serving::start(&data);
    assert_eq!(shown(&serving, &token, &first).await, before);
    shown(&serving, &token, &second).await;
    sandbox.stop().await;
}

#[tokio::test]
async fn on_postgresql_the_first_call_waits_until_every_node_has_the_key() {
    let database = PostgresDatabase::make().await;
    let data = Data::new();
    data.configure(&format!("[store]\nurl = \"{}\"\n", database.url()));
    data.client("pbx", &[]);
    let old = key_file(&data);
    let waits = data.run(&["keys", "rotate"]);
    assert_eq!(waits.code, 0, "{}", waits.stderr);
    assert!(waits.stdout.contains("certkeep keys rotate --everywhere"), "{}", waits.stdout);
    assert!(key_file(&data).starts_with(&old), "the old key seals still");
    let rotated = data.run(&["keys", "rotate", "--everywhere"]);
    assert_eq!(rotated.code, 0, "{}", rotated.stderr);
    assert!(rotated.stdout.contains("Copy the file to every other node"), "{}", rotated.stdout);
    assert_eq!(data.run(&["client", "list"]).stdout.lines().count(), 1);
}
