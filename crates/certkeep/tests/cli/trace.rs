//! What `certkeep trace` tells of renewals.
use std::time::{Duration, Instant};

use certkeep_core::time::{Clock, SystemClock};
use certkeep_sandbox::{Options, Sandbox};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::discretion::beside;
use crate::process::{Data, PATIENCE, Serving};

const NAME: &str = "pbx.example.com.pem";

/// Window, instant and explanation, once the CA has answered.
async fn renewal(data: &Data) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let told = data.run(&["trace", NAME, "--json"]);
        let told: Value = serde_json::from_str(&told.stdout).unwrap();
        if told["renewal"]["chosen"].is_string() {
            return told["renewal"].clone();
        }
        assert!(Instant::now() < until, "the CA's answer is not kept: {told}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cas_window_the_chosen_instant_and_the_explanation_are_told() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let hours = |hours| SystemClock.now() + SignedDuration::from_hours(hours);
    sandbox.faults().set_renewal_window(Some((hours(1), hours(2))));
    let data = beside(&sandbox);
    let client = data.client("pbx", &[]);
    let serving = Serving::start(&data);
    let answer = serving.login(&client).await;
    let token = answer["access_token"].as_str().unwrap();
    let application = json!({
        "type": "server", "ca_type": "apply", "issue_to": "pbx.example.com", "dns_provider": "pdns",
        "auth_info_list": [{ "k": "Host", "sv": sandbox.dns_api_url() }, { "k": "APIKey", "sv": sandbox.dns_api_key() }],
    });
    let created = serving.post(&format!("certificate/create?access_token={token}"), &application).await;
    assert_eq!(created["errcode"], 0, "{created}");

    let renewal = renewal(&data).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let why = text(&renewal["explanation_url"]);
    assert!(why.ends_with("/why-renew"), "{renewal}");
    let told = data.run(&["trace", NAME]).stdout;
    let (start, end) = (text(&renewal["window"]["start"]), text(&renewal["window"]["end"]));
    let window = format!("The CA wants the renewal between {start} and {end}; chosen is {}.\n", text(&renewal["chosen"]));
    let asked = format!("The CA is asked about it again {}.\n", text(&renewal["ask_at"]));
    for line in [window, format!("Why: {why}\n"), asked] {
        assert!(told.contains(&line), "{line}{told}");
    }
    let (status, _, log) = serving.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    sandbox.stop().await;
}
