//! A disk that takes nothing any more: what is held stays served, what would have to be written is answered by -2, and the
//! work goes on by itself once there is room again.
//!
//! The disk is full for the one process alone, by a limit to the size of its files: that needs neither root nor a disk.
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use certkeep_sandbox::{Fault, Options, Sandbox, Times};
use certkeep_testkit::wait::{PATIENCE, eventually};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Client, Process, prepare};

/// How long a certificate lives: it is due for renewal after half of it.
const LIFE: Duration = Duration::from_secs(24);

/// A service whose disk can be filled up.
struct Service {
    sandbox: Sandbox,
    folder: TempDir,
    client: Client,
    process: Process,
    auth: String,
}

impl Service {
    async fn start() -> Service {
        let sandbox = Sandbox::start(Options::default()).await.expect("the sandbox starts");
        sandbox.faults().set_longest_life(LIFE);
        let folder = TempDir::new().expect("a folder");
        let client = prepare(folder.path(), &sandbox, "[log]\nformat = \"json\"\n");
        let process = started(folder.path());
        let auth = process.login(&client).await;
        Service { sandbox, folder, client, process, auth }
    }

    /// From now on nothing can be written to any file.
    fn fill(&self) {
        limit(&self.process, "0");
    }

    fn free(&self) {
        limit(&self.process, "unlimited");
    }

    async fn get(&self, interface: &str, query: &str) -> Value {
        self.process.call(interface, &format!("{}&{query}", self.auth), None).await
    }

    async fn post(&self, interface: &str, body: Value) -> Value {
        self.process.call(interface, &self.auth, Some(body)).await
    }

    async fn apply(&self, name: &str) -> Value {
        let auth = json!([
            { "k": "Host", "sv": self.sandbox.dns_api_url() }, { "k": "APIKey", "sv": self.sandbox.dns_api_key() },
            { "k": "PropagationTimeout", "iv": 60 }, { "k": "PollingInterval", "iv": 1 },
        ]);
        let application =
            json!({ "type": "server", "ca_type": "apply", "issue_to": name, "dns_provider": "pdns", "auth_info_list": auth });
        self.post("certificate/create", application).await
    }

    async fn entry(&self, id: u32) -> Value {
        let mut answer = self.get("certificate/get", &format!("id={id}")).await;
        assert_eq!(answer["errcode"], 0, "{answer}");
        answer["certificate"].take()
    }

    async fn issued(&self, id: u32) -> Value {
        eventually(PATIENCE, "the certificate", || async {
            let entry = self.entry(id).await;
            (entry["apply_status"] == "issuance_success").then_some(entry)
        })
        .await
    }

    /// The certificate that certkeep's own HTTPS presents.
    async fn presented(&self) -> CertificateDer<'static> {
        let address = self.process.https().to_string();
        let asked = Command::new("openssl").args(["s_client", "-connect", &address, "-servername", "pbx.example.com"]).output();
        let said = asked.expect("openssl is installed (Debian package openssl)").stdout;
        CertificateDer::from_pem_slice(&said).expect("a certificate is presented")
    }
}

/// The signal of a file that grows too long is ignored, as a full disk sends none.
fn started(folder: &Path) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_certkeep")]);
    let mut process = Process::spawn_by(&mut command, folder);
    process.await_ready();
    process
}

fn limit(process: &Process, size: &str) {
    let pid = process.pid().to_string();
    let set = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={size}:unlimited")]).status();
    assert!(set.expect("prlimit is installed (Debian package util-linux)").success());
}

#[track_caller]
fn refused(answer: &Value) {
    assert_eq!((&answer["errcode"], &answer["errmsg"]), (&json!(-2), &json!("INTERNAL SERVER ERROR")), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_held_is_served_from_a_full_disk_and_renewed_once_there_is_room() {
    let mut service = Service::start().await;
    for (id, name) in [(1, "pbx.example.com"), (2, "other.example.com")] {
        service.apply(name).await;
        service.issued(id).await;
    }
    let chosen = service.post("webserver/update", json!({ "https_cert": "pbx.example.com.pem" })).await;
    assert_eq!(chosen["errcode"], 0, "{chosen}");
    // A new process remembers nothing yet.
    service.process.kill();
    service.process = started(service.folder.path());
    let remembered = service.issued(1).await;
    let presented = service.presented().await;
    let issued = service.sandbox.issued();

    service.fill();
    refused(&service.apply("third.example.com").await);
    refused(&service.post("webserver/update", json!({ "https_cert": "default" })).await);
    let login = service.process.call("get_token", "", Some(service.client.login())).await;
    refused(&login);
    assert_eq!(service.get("certificate/delete", "id=2").await["errcode"], -2);
    assert_eq!(service.entry(1).await, remembered);
    let unremembered = service.entry(2).await;
    assert_eq!(unremembered["issue_to"], "other.example.com");
    let list = service.get("certificate/list", "page=1").await;
    assert_eq!(list["total_number"], 2, "{list}");
    assert_eq!(service.presented().await, presented);

    // Renewals are due meanwhile, and cannot begin.
    eventually(2 * LIFE, "the loop to meet the full disk", || {
        let met = service.process.has_logged("due work cannot be found now");
        async move { met.then_some(()) }
    })
    .await;
    assert_eq!(service.entry(1).await, remembered);
    assert_eq!(service.presented().await, presented);
    assert_eq!(service.sandbox.issued(), issued);

    service.free();
    for id in [1, 2] {
        let old = if id == 1 { &remembered } else { &unremembered };
        eventually(PATIENCE, "the renewal", || async {
            let entry = service.entry(id).await;
            (entry["apply_status"] == "issuance_success" && entry["expiration"] != old["expiration"]).then_some(())
        })
        .await;
    }
    eventually(PATIENCE, "the new certificate to be presented", || async {
        (service.presented().await != presented).then_some(())
    })
    .await;
    let created = service.apply("third.example.com").await;
    assert_eq!(created["errcode"], 0, "{created}");
    service.issued(3).await;
    eventually(PATIENCE, "the records to go", || async { service.sandbox.txt_records().is_empty().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_issuance_that_met_a_full_disk_goes_on_once_there_is_room() {
    let mut service = Service::start().await;
    service.sandbox.faults().set(Fault::HideTxt, Times::Always);
    service.apply("pbx.example.com").await;
    eventually(PATIENCE, "the record to stand", || async { (!service.sandbox.txt_records().is_empty()).then_some(()) }).await;
    service.fill();
    service.sandbox.faults().set(Fault::HideTxt, Times::Never);
    eventually(PATIENCE, "the issuance to be put off", || {
        let met = service.process.has_logged("issuance put off");
        async move { met.then_some(()) }
    })
    .await;
    assert_eq!(service.entry(1).await["apply_status"], "issuing");
    assert_eq!(service.sandbox.orders(), 1);

    service.free();
    service.issued(1).await;
    assert_eq!(service.sandbox.orders(), service.sandbox.issued(), "the same order went on");
    eventually(PATIENCE, "the records to go", || async { service.sandbox.txt_records().is_empty().then_some(()) }).await;
}
