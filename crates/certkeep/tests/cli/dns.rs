use std::fs;
use std::os::unix::fs::symlink;

use certkeep_sandbox::{Options, Sandbox};
use serde_json::Value;

use crate::process::{Ended, ended, program};

const NAME: &str = "_acme-challenge.host.example.com";
/// Begins as some digests do.
const VALUE: &str = "-probe-value";
const PLANTED: &str = "plantedsecret";

/// Runs a command in a thread of its own: the sandbox that it speaks with runs on this one.
async fn dns(arguments: &[&str]) -> Ended {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    tokio::task::spawn_blocking(move || ended(program().arg("dns").args(arguments))).await.unwrap()
}

/// A command about the sandbox's PowerDNS, with its answer.
async fn pdns(sandbox: &Sandbox, command: &str, key: &str, more: &[&str]) -> (Ended, Value) {
    let (host, key) = (format!("Host={}", sandbox.dns_api_url()), format!("APIKey={key}"));
    let server = sandbox.dns_addr().to_string();
    let arguments =
        [command, "pdns", "--auth", &host, "--auth", &key, "--resolver", &server, "--authoritative", &server, "--json"];
    let ended = dns(&[&arguments, more].concat()).await;
    let answer = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}{}", ended.stdout, ended.stderr));
    (ended, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_added_seen_and_removed() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let key = sandbox.dns_api_key().to_owned();
    let record = (NAME.to_owned(), VALUE.to_owned());
    let change = ["--name", NAME, "--value", VALUE];
    let (added, answer) = pdns(&sandbox, "add", &key, &change).await;
    assert_eq!((added.code, added.stderr.as_str()), (0, ""), "{answer}");
    assert_eq!((&answer["ok"], &answer["zone"], &answer["record"]), (&true.into(), &"example.com".into(), &NAME.into()));
    assert!(answer["requests"].as_u64().is_some_and(|n| n >= 2) && answer["ms"].is_u64(), "{answer}");
    assert!(sandbox.txt_records().contains(&record), "{:?}", sandbox.txt_records());
    // A process that knows nothing of the addition; the second one finds nothing to remove.
    for _ in 0..2 {
        let (removed, answer) = pdns(&sandbox, "remove", &key, &change).await;
        assert_eq!((removed.code, &answer["ok"]), (0, &true.into()), "{answer}");
        assert!(!sandbox.txt_records().contains(&record));
    }
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_goes_through_every_step_and_leaves_nothing() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let before = sandbox.txt_records();
    let key = sandbox.dns_api_key().to_owned();
    let (checked, answer) = pdns(&sandbox, "check", &key, &["--name", "host.example.com"]).await;
    assert_eq!(checked.code, 0, "{answer}");
    let steps: Vec<&str> = answer["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    let expected = ["parameters", "delegation", "zone found", "zone confirmed", "probe written", "probe seen", "probe removed"];
    assert_eq!(steps, expected);
    assert_eq!(sandbox.txt_records(), before);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_why_and_no_secret() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let change = ["--name", NAME, "--value", VALUE];
    let (refused, answer) = pdns(&sandbox, "add", PLANTED, &change).await;
    assert_eq!((refused.code, &answer["code"], &answer["ok"]), (1, &101.into(), &false.into()), "{answer}");
    assert_eq!(answer["name"], "credentials_rejected");
    assert!(answer["message"].is_string() && answer["next"].is_string() && answer["evidence"]["doing"].is_string());
    let (checked, answer) = pdns(&sandbox, "check", PLANTED, &["--name", "host.example.com"]).await;
    assert_eq!((checked.code, &answer["code"]), (1, &101.into()), "{answer}");
    // Without an equals sign, or with the secret where the key belongs.
    let wrong = [PLANTED.to_owned(), format!("{PLANTED}=x"), format!("TTL={PLANTED}")];
    let mut all = vec![refused, checked];
    for auth in &wrong {
        let ended = dns(&["add", "pdns", "--auth", auth, "--name", NAME, "--value", VALUE]).await;
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        all.push(ended);
    }
    for Ended { stdout, stderr, .. } in all {
        assert!(!stdout.contains(PLANTED) && !stderr.contains(PLANTED), "{stdout}{stderr}");
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_not_found() {
    let ended = dns(&["add", "nosuch", "--name", NAME, "--value", VALUE, "--json"]).await;
    assert_eq!(ended.code, 3);
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(answer["ok"], false);
    assert_eq!(dns(&["show", "nosuch"]).await.code, 3);
}

#[tokio::test]
async fn every_provider_is_listed_and_shown() {
    let ended = dns(&["providers", "--json"]).await;
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, answer["providers"].as_array().unwrap().len()), (0, 145));
    let shown = dns(&["show", "pdns"]).await;
    assert_eq!(shown.code, 0);
    for part in ["PowerDNS", "APIKey", "required, secret", "flag = \"pdns\""] {
        assert!(shown.stdout.contains(part), "{}", shown.stdout);
    }
}

#[tokio::test]
async fn a_page_that_is_wrong_is_told_by_line_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let shown = concat!(env!("CARGO_MANIFEST_DIR"), "/../../providers/pdns.toml");
    assert_eq!(dns(&["lint", shown]).await.code, 0);
    let text = fs::read_to_string(shown).unwrap();
    let line = text.lines().position(|line| line.starts_with("entries = ")).unwrap() + 1;
    let path = folder.path().join("pdns.toml");
    fs::write(&path, text.replace("entries = \"records\"", "entries = \"records[\"")).unwrap();
    let path = path.to_str().unwrap();
    let ended = dns(&["lint", path]).await;
    assert_eq!(ended.code, 2, "{}", ended.stdout);
    assert!(ended.stdout.starts_with(&format!("{path}:{line}: set.entries: ")), "{}", ended.stdout);
}

#[tokio::test]
async fn a_program_is_run_where_the_named_configuration_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../dns/tests/it/exec/program.sh");
    symlink(script, folder.path().join("works")).unwrap();
    let config = folder.path().join("named.toml");
    fs::write(&config, "[dns]\nexec.mine = { path = \"works\", timeout = 30 }\n").unwrap();
    let config = config.to_str().unwrap();
    let change = |command| [command, "exec", "--auth", "Program=mine", "--name", NAME, "--value", VALUE, "--no-wait", "--json"];
    for command in ["add", "remove"] {
        let refused = dns(&change(command)).await;
        assert_eq!(refused.code, 2, "{}", refused.stdout);
        assert!(refused.stdout.contains("[dns] exec"), "{}", refused.stdout);
        let done = dns(&[&change(command)[..], &["--config", config]].concat()).await;
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{}", done.stdout);
        let answer: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!((&answer["ok"], &answer["requests"]), (&true.into(), &Value::Null), "{answer}");
    }
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    let calls: Vec<&str> = calls.lines().filter(|line| line.starts_with("called")).collect();
    assert_eq!(calls, ["present", "cleanup"].map(|action| format!("called: {action} {NAME}. {VALUE}")));

    fs::write(config, "[dns]\nexec.mine = { path = \"nowhere\" }\n").unwrap();
    let refused = dns(&[&change("add")[..], &["--config", config]].concat()).await;
    assert_eq!(refused.code, 2, "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains("line 2") || refused.stdout.contains("line 2"), "{}{}", refused.stdout, refused.stderr);
}
