//! The real program, killed by SIGKILL while it waits at a step, goes on after its restart.
use std::time::Duration;

use certkeep_sandbox::{Fault, Options, Sandbox, Times};
use certkeep_testkit::wait::{PATIENCE, eventually};
use serde_json::json;
use tempfile::TempDir;

use super::process::{Process, prepare};

/// Applies in a world held up by `hold`, kills once `waiting` says that the step is reached, frees the world, restarts.
async fn killed(hold: impl FnOnce(&Sandbox), waiting: impl Fn(&Sandbox) -> bool) {
    let sandbox = Sandbox::start(Options::default()).await.expect("the sandbox starts");
    let folder = TempDir::new().expect("a folder");
    let client = prepare(folder.path(), &sandbox, "");

    hold(&sandbox);
    let first = Process::start(folder.path());
    let auth = first.login(&client).await;
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
