use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use certkeep_sandbox::{Options, Sandbox};
use certkeep_testkit::vendor::{Account, Table, Vendor};
use serde_json::Value;

use crate::process::{Data, Ended, ended, program};

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

/// Whoever is told that it failed may not think of removing anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_not_seen_is_taken_down_again() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let elsewhere = Sandbox::start(Options::default()).await.unwrap();
    let before = sandbox.txt_records();
    let (host, key) = (format!("Host={}", sandbox.dns_api_url()), format!("APIKey={}", sandbox.dns_api_key()));
    let (server, stale) = (sandbox.dns_addr().to_string(), elsewhere.dns_addr().to_string());
    let account = ["add", "pdns", "--json", "--auth", &host, "--auth", &key, "--auth", "PropagationTimeout=1"];
    let added =
        dns(&[&account[..], &["--resolver", &server, "--authoritative", &stale, "--name", NAME, "--value", VALUE]].concat())
            .await;
    let answer: Value = serde_json::from_str(&added.stdout).unwrap();
    assert_eq!((&answer["ok"], &answer["code"]), (&false.into(), &302.into()), "{answer}");
    assert!(answer["evidence"].to_string().contains("the value was taken down again"), "{answer}");
    assert_eq!(sandbox.txt_records(), before);
    sandbox.stop().await;
    elsewhere.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_goes_through_every_step_and_leaves_nothing() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let before = sandbox.txt_records();
    let key = sandbox.dns_api_key().to_owned();
    sandbox.set_record("example.com", "CAA", &["0 issue \"ca.example\""]).unwrap();
    let (checked, answer) = pdns(&sandbox, "check", &key, &["--name", "host.example.com"]).await;
    assert_eq!(checked.code, 0, "{answer}");
    let steps = answer["steps"].as_array().unwrap();
    let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    let expected = [
        "parameters",
        "delegation",
        "credentials",
        "zone found",
        "zone confirmed",
        "CAA",
        "probe written",
        "probe seen",
        "probe removed",
    ];
    assert_eq!(names, expected);
    assert!(steps.iter().all(|step| step["ms"].is_u64() && step["evidence"].is_string() && step["about"].is_string()));
    // Without a CA the records are told and not judged.
    let told = steps[5]["evidence"].as_str().unwrap();
    assert!(told.starts_with("not judged") && told.contains("0 issue \"ca.example\""), "{told}");
    assert!(answer["not_checked"].as_str().unwrap().contains("--directory"), "{answer}");
    assert_eq!(sandbox.txt_records(), before);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_judges_caa_for_the_ca_that_is_named_or_configured() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    sandbox.set_record("ours.example.com", "CAA", &["0 issue \"sandbox.example\""]).unwrap();
    sandbox.set_record("theirs.example.com", "CAA", &["0 issue \"ca.example\""]).unwrap();
    let data = Data::new();
    let dns = sandbox.dns_addr();
    let config = data.configure(&format!(
        "[acme]\ndirectory = \"{}\"\nroots = [\"root.pem\"]\n[dns]\nresolvers = [\"{dns}\"]\nauthoritative = [\"{dns}\"]\n",
        sandbox.directory_url()
    ));
    let root = config.with_file_name("root.pem");
    fs::write(&root, sandbox.tls_root_pem()).unwrap();
    let auth = config.with_file_name("auth");
    fs::write(&auth, format!("Host={}\nAPIKey={}\n", sandbox.dns_api_url(), sandbox.dns_api_key())).unwrap();
    let check = async |more: Vec<String>, root: Option<PathBuf>| {
        let mut command = program();
        command.args(["dns", "check", "pdns", "--auth-file"]).arg(&auth);
        command.args(["--name", "ours.example.com", "--name", "*.theirs.example.com"]).args(more);
        command.envs(root.map(|root| ("SSL_CERT_FILE", root)));
        tokio::task::spawn_blocking(move || ended(&mut command)).await.unwrap()
    };
    let dns = dns.to_string();
    let named = ["--directory", sandbox.directory_url(), "--resolver", &dns, "--authoritative", &dns].map(str::to_owned);
    let configured = ["--config".to_owned(), config.display().to_string()];
    for (more, root) in [(named.to_vec(), Some(root)), (configured.to_vec(), None)] {
        let checked = check(more, root).await;
        assert_eq!(checked.code, 1, "{}{}", checked.stdout, checked.stderr);
        let lines: Vec<&str> = checked.stdout.lines().collect();
        let of = |begin: &str, part: &str| lines.iter().any(|line| line.starts_with(begin) && line.contains(part));
        assert!(of("ok      CAA", "ours.example.com: ours.example.com allows it"), "{}", checked.stdout);
        assert!(of("FAILED  CAA", "*.theirs.example.com: 401 caa_forbids"), "{}", checked.stdout);
        assert!(of("ok      probe removed", "_acme-challenge.theirs.example.com"), "{}", checked.stdout);
        assert!(checked.stderr.contains("401 caa_forbids"), "{}", checked.stderr);
    }
    let refused = check(vec!["--directory".to_owned(), "http://ca.example/".to_owned()], None).await;
    assert_eq!(refused.code, 2);
    assert_eq!(sandbox.orders(), 0);
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
    let pages = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../providers")).unwrap().count();
    assert_eq!((ended.code, answer["providers"].as_array().unwrap().len()), (0, pages));
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

/// The proxy and the roots are those that the environment names.
#[tokio::test(flavor = "multi_thread")]
async fn the_environment_names_proxy_and_roots() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let vendor = Vendor::start(Table::of("digitalocean").unwrap(), Account::with_zones(&["example.com"])).await;
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    fs::write(&roots, vendor.root()).unwrap();
    let server = sandbox.dns_addr().to_string();
    let account: Vec<String> =
        vendor.parameters().into_iter().flat_map(|(key, value)| ["--auth".to_owned(), format!("{key}={value}")]).collect();
    let run = |change: &str, more: &[String], environment: &[(&str, &str)]| {
        let mut command = program();
        command.args(["dns", change, "digitalocean", "--json", "--no-wait", "--name", NAME, "--value", VALUE]);
        command.args(["--resolver", &server, "--authoritative", &server]).args(&account).args(more);
        command.envs(environment.iter().copied());
        tokio::task::spawn_blocking(move || ended(&mut command))
    };
    let is_up = || vendor.txt(NAME).iter().any(|value| value == VALUE);
    let proxy = ("HTTPS_PROXY", vendor.proxy());
    let (proxy, roots) = ((proxy.0, proxy.1.as_str()), ("SSL_CERT_FILE", roots.to_str().unwrap()));

    let untrusted = run("add", &[], &[proxy]).await.unwrap();
    assert!(untrusted.code != 0 && !is_up(), "{}", untrusted.stdout);
    let added = run("add", &[], &[proxy, roots]).await.unwrap();
    assert!(added.code == 0 && is_up(), "{}", added.stdout);

    // The proxy is nobody's, and the vendor's address is to be reached without one.
    let nobody = ("HTTPS_PROXY", "http://127.0.0.1:9");
    let base = ["--auth".to_owned(), format!("BaseURL={}", vendor.url())];
    let stuck = run("remove", &base, &[nobody, roots]).await.unwrap();
    assert!(stuck.code != 0 && is_up(), "{}", stuck.stdout);
    let removed = run("remove", &base, &[nobody, roots, ("NO_PROXY", "127.0.0.1,localhost")]).await.unwrap();
    assert!(removed.code == 0 && !is_up(), "{}", removed.stdout);
    sandbox.stop().await;
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
