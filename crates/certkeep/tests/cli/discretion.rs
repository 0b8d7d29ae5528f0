use std::time::{Duration, Instant};

use certkeep_sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use crate::process::{Data, PATIENCE, Serving};

/// A data folder whose configuration knows nothing but the sandbox.
pub(crate) fn beside(sandbox: &Sandbox) -> Data {
    let data = Data::new();
    let (directory, dns) = (sandbox.directory_url(), sandbox.dns_addr());
    let config = data.configure(&format!(
        "[acme]\ndirectory = \"{directory}\"\nroots = [\"root.pem\"]\n[dns]\nresolvers = [\"{dns}\"]\nauthoritative = [\"{dns}\"]\n"
    ));
    std::fs::write(config.with_file_name("root.pem"), sandbox.tls_root_pem()).unwrap();
    data
}

pub(crate) async fn status_of(serving: &Serving, token: &str, name: &str) -> Option<String> {
    let list = serving.get(&format!("certificate/list?access_token={token}")).await;
    let rows = list["certificate_list"].as_array().expect("a list").clone();
    let row = rows.into_iter().find(|row| row["name"] == name)?;
    row["apply_status"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn no_token_secret_or_parameter_is_in_a_trace_or_in_the_log_at_its_most_talkative() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let data = beside(&sandbox);
    let client = data.client("pbx", &[]);
    let serving = Serving::start_with(&data.folder(), &[("CERTKEEP_LOG", "trace")]);
    let answer = serving.login(&client).await;
    let token = answer["access_token"].as_str().unwrap();
    let endpoint = |path: &str| format!("{path}?access_token={token}");
    let application = |name: &str, key: &str| {
        json!({
            "type": "server", "ca_type": "apply", "issue_to": name, "dns_provider": "pdns",
            "auth_info_list": [{ "k": "Host", "sv": sandbox.dns_api_url() }, { "k": "APIKey", "sv": key }],
        })
    };
    // One that is issued, and one that the provider turns away.
    for (name, key) in [("good.example.com", sandbox.dns_api_key()), ("bad.example.com", "plantedsecret")] {
        let created = serving.post(&endpoint("certificate/create"), &application(name, key)).await;
        assert_eq!(created["errcode"], 0, "{created}");
    }
    for (name, end) in [("good.example.com.pem", "issuance_success"), ("bad.example.com.pem", "issuance_fail")] {
        let until = Instant::now() + PATIENCE;
        while status_of(&serving, token, name).await.as_deref() != Some(end) {
            assert!(Instant::now() < until, "{name} never came to {end}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let (good, bad) = (data.run(&["trace", "good.example.com.pem"]), data.run(&["trace", "bad.example.com.pem"]));
    for (told, lines) in [
        (&good, [": done\n", "place the order (127.0.0.1:", "put the record up (_acme-challenge.good.example.com): done in "]),
        (
            &bad,
            [": failed\n", "find the zone (_acme-challenge.bad.example.com): failed in ", "Ended by 101 credentials_rejected"],
        ),
    ] {
        assert!(lines.iter().all(|line| told.stdout.contains(line)), "{lines:?}: {}{}", told.stdout, told.stderr);
    }
    let objects = data.run(&["trace", "bad.example.com.pem", "--all", "--json"]);
    let objects_told: Value = serde_json::from_str(&objects.stdout).unwrap();
    let issuances = &objects_told["issuances"];
    assert_eq!((&issuances[0]["step"], &issuances[0]["failure"]["code"]), (&json!("failed"), &json!(101)));
    let nobody = data.run(&["trace", "nobody.pem"]);
    assert_eq!((nobody.code, nobody.stdout.as_str()), (3, ""));
    // Refusals are logged too.
    serving.post(&endpoint("certificate/create"), &json!({ "type": "plantedsecret" })).await;
    serving.login(&(client.0.clone(), "plantedsecret".to_owned())).await;
    serving.post("refresh_token", &json!({ "refresh_token": "plantedsecret" })).await;
    serving.get("certificate/list?access_token=plantedsecret").await;
    let refreshed = serving.post("refresh_token", &json!({ "refresh_token": answer["refresh_token"] })).await;

    let (status, _, log) = serving.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("DEBUG"), "the log is talkative:\n{log}");
    let tokens = [&answer, &refreshed].map(|answer| [&answer["access_token"], &answer["refresh_token"]]);
    let others = [client.1.as_str(), sandbox.dns_api_key(), "plantedsecret", "PRIVATE KEY"];
    for secret in tokens.into_iter().flatten().filter_map(Value::as_str).chain(others) {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
        for trace in [&good, &bad, &objects] {
            assert!(!trace.stdout.contains(secret), "{secret} is in the trace:\n{}", trace.stdout);
        }
    }
    sandbox.stop().await;
}
