//! The real program, killed by SIGKILL while it waits at a step, goes on after its restart.
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use certkeep_sandbox::{Fault, Options, Sandbox, Times};
use certkeep_testkit::peers::http_client;
use certkeep_testkit::wait::{PATIENCE, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

/// `certkeep serve` as a child process, killed when dropped.
struct Process {
    child: Child,
    base: String,
}

impl Process {
    fn start(folder: &Path) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_certkeep"))
            .args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("certkeep starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let at = line.find("http://").unwrap_or_else(|| panic!("no plain address in {line:?}"));
        let base = line[at..].split([' ', ',']).next().expect("an address").trim().to_owned();
        Process { child, base }
    }

    async fn call(&self, interface: &str, query: &str, body: Option<Value>) -> Value {
        let url = format!("{}/openapi/v1.0/{interface}?{query}", self.base);
        let client = http_client("");
        let request = match body {
            Some(body) => client.post(url).body(body.to_string()),
            None => client.get(url),
        };
        let answer = request.send().await.expect("an answer").bytes().await.expect("a body");
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Applies in a world held up by `hold`, kills once `waiting` says that the step is reached, frees the world, restarts.
async fn killed(hold: impl FnOnce(&Sandbox), waiting: impl Fn(&Sandbox) -> bool) {
    let sandbox = Sandbox::start(Options::default()).await.expect("the sandbox starts");
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("root.pem"), sandbox.tls_root_pem()).expect("written");
    let dns = sandbox.dns_addr();
    let config = format!(
        "[acme]\ndirectory = {:?}\nroots = [\"root.pem\"]\n[dns]\nresolvers = [\"{dns}\"]\nauthoritative = [\"{dns}\"]\n",
        sandbox.directory_url()
    );
    std::fs::write(folder.path().join("certkeep.toml"), config).expect("written");
    let added = Command::new(env!("CARGO_BIN_EXE_certkeep"))
        .args(["client", "add", "test", "--json", "--data"])
        .arg(folder.path())
        .output()
        .expect("certkeep runs");
    let client: Value = serde_json::from_slice(&added.stdout).expect("an object");

    hold(&sandbox);
    let first = Process::start(folder.path());
    let login = json!({ "username": client["client_id"], "password": client["client_secret"] });
    let token = first.call("get_token", "", Some(login)).await["access_token"].as_str().expect("a token").to_owned();
    let auth = format!("access_token={token}");
    let application = json!({
        "type": "server", "ca_type": "apply", "issue_to": "*.example.com,example.com", "dns_provider": "pdns",
        "auth_info_list": [{ "k": "Host", "sv": sandbox.dns_api_url() }, { "k": "APIKey", "sv": sandbox.dns_api_key() }],
    });
    let created = first.call("certificate/create", &auth, Some(application)).await;
    assert_eq!(created["errcode"], 0, "{created}");
    eventually(PATIENCE, "the step to be reached", || async { waiting(&sandbox).then_some(()) }).await;
    first.kill();
    sandbox.faults().clear();

    // The token survives as well.
    let second = Process::start(folder.path());
    let answer = eventually(PATIENCE, "the end of the application", || async {
        let answer = second.call("certificate/get", &format!("{auth}&id=1"), None).await;
        (answer["certificate"]["apply_status"] != "issuing").then_some(answer)
    })
    .await;
    assert_eq!(answer["certificate"]["apply_status"], "issuance_success", "{answer}");
    assert_eq!((sandbox.orders(), sandbox.issued()), (1, 1), "the same order went on");
    assert_eq!(sandbox.txt_records(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_records_are_not_visible_yet() {
    let up = |sandbox: &Sandbox| sandbox.txt_records().len() == 2;
    killed(|sandbox| sandbox.faults().set(Fault::HideTxt, Times::Always), up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_ca_validates() {
    let up = |sandbox: &Sandbox| sandbox.txt_records().len() == 2;
    killed(|sandbox| sandbox.faults().set_validation_delay(Duration::from_secs(3)), up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_ca_issues() {
    // The records go while the CA makes the certificate.
    let seen = std::sync::atomic::AtomicBool::new(false);
    let gone = move |sandbox: &Sandbox| {
        let up = !sandbox.txt_records().is_empty();
        seen.fetch_or(up, std::sync::atomic::Ordering::SeqCst) && !up
    };
    let slowly = |sandbox: &Sandbox| {
        sandbox.faults().set_validation_delay(Duration::from_secs(1));
        sandbox.faults().set_issuance_delay(Duration::from_secs(3));
    };
    killed(slowly, gone).await;
}
