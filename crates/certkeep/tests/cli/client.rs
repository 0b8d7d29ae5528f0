use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Data, Serving, credentials};

fn token(answer: &Value) -> String {
    assert_eq!(answer["errcode"], 0, "{answer}");
    answer["access_token"].as_str().unwrap().to_owned()
}

/// A second is promised; a busy machine gets two more, to do anything at all beside it.
async fn dies_soon(serving: &Serving, token: &str) {
    let began = Instant::now();
    while serving.accepts(token).await {
        assert!(began.elapsed() < Duration::from_secs(3), "the token still lives");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_client_added_before_the_first_start_can_log_in() {
    let data = Data::new();
    let client = data.client("pbx", &[]);
    for text in [&client.0, &client.1] {
        assert!(text.len() == 32 && text.bytes().all(|b| b.is_ascii_alphanumeric()), "{text}");
    }
    let serving = Serving::start(&data);
    assert!(serving.accepts(&token(&serving.login(&client).await)).await);
}

#[tokio::test]
async fn clients_come_and_go_while_the_service_runs() {
    let data = Data::new();
    let serving = Serving::start(&data);
    let client = data.client("pbx", &[]);
    let first = token(&serving.login(&client).await);
    assert!(serving.accepts(&first).await);

    let rotated = data.run(&["client", "rotate", "pbx", "--json"]);
    assert_eq!(rotated.code, 0, "{}", rotated.stderr);
    let renewed = credentials(&rotated.stdout);
    assert_eq!(renewed.0, client.0, "the client id stays");
    assert_ne!(renewed.1, client.1);
    dies_soon(&serving, &first).await;
    assert_eq!(serving.login(&client).await["errcode"], -1);

    let second = token(&serving.login(&renewed).await);
    assert!(serving.accepts(&second).await);
    assert_eq!(data.run(&["client", "remove", "pbx"]).code, 0);
    dies_soon(&serving, &second).await;
    assert_eq!(serving.login(&renewed).await["errcode"], -1);
}

#[tokio::test]
async fn role_and_networks_are_kept() {
    let data = Data::new();
    let viewer = data.client("viewer", &["--role", "viewer"]);
    let elsewhere = data.client("elsewhere", &["--network", "192.0.2.7", "--network", "2001:db8::/32"]);
    let serving = Serving::start(&data);

    let token = token(&serving.login(&viewer).await);
    assert!(serving.accepts(&token).await);
    let refused = serving.get(&format!("certificate/delete?id=1&access_token={token}")).await;
    assert_eq!(refused["errcode"], 10005, "{refused}");
    assert_eq!(serving.login(&elsewhere).await["errcode"], 70087);

    let listed: Value = serde_json::from_str(&data.run(&["client", "list", "--json"]).stdout).unwrap();
    assert_eq!(listed[0]["name"], "elsewhere");
    assert_eq!(listed[0]["networks"], serde_json::json!(["192.0.2.7/32", "2001:db8::/32"]));
    assert_eq!(listed[1]["role"], "viewer");
    assert!(listed[1].get("client_secret").is_none());
    let text = data.run(&["client", "list"]).stdout;
    assert_eq!(text.lines().nth(1).unwrap(), format!("viewer     {}  viewer", viewer.0));
}

#[test]
fn a_name_is_given_once_and_has_to_be_known() {
    let data = Data::new();
    data.client("pbx", &[]);
    let again = data.run(&["client", "add", "pbx"]);
    assert_eq!((again.code, again.stdout.as_str()), (1, ""));
    assert!(again.stderr.contains("there is a client \"pbx\" already"), "{}", again.stderr);
    for command in [["client", "remove", "box"], ["client", "rotate", "box"]] {
        let unknown = data.run(&command);
        assert_eq!((unknown.code, unknown.stdout.as_str()), (3, ""));
        assert!(unknown.stderr.contains("there is no client \"box\""), "{}", unknown.stderr);
    }
    assert_eq!(data.run(&["client", "add", ""]).code, 2);
    assert_eq!(data.run(&["client", "add", "x", "--network", "nonsense"]).code, 2);
}

#[test]
fn a_person_reads_id_and_secret() {
    let data = Data::new();
    let added = data.run(&["client", "add", "pbx"]);
    let lines: Vec<&str> = added.stdout.lines().collect();
    assert!(lines[0].starts_with("client_id      ") && lines[1].starts_with("client_secret  "), "{}", added.stdout);
    assert!(lines[3].contains("keeps no copy of the secret"), "{}", added.stdout);
}
