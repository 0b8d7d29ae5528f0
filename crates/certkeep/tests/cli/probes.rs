//! What becomes of the probe when `certkeep dns check` does not come to its end.
use std::process::{Child, Stdio};

use certkeep_sandbox::{Options, Sandbox};
use certkeep_testkit::wait::eventually;
use serde_json::Value;

use crate::process::{PATIENCE, ended, program, signal, wait};

const NAME: &str = "host.example.com";

/// The sandbox that has the zone, and one whose DNS never shows what is written there.
struct House {
    sandbox: Sandbox,
    elsewhere: Sandbox,
}

impl House {
    async fn build() -> House {
        let (sandbox, elsewhere) = (Sandbox::start(Options::default()), Sandbox::start(Options::default()));
        let house = House { sandbox: sandbox.await.unwrap(), elsewhere: elsewhere.await.unwrap() };
        // Of names above its zones the sandbox's DNS knows nothing.
        house.sandbox.set_record("example.com", "CAA", &["0 issue \"sandbox.example\""]).unwrap();
        house
    }

    fn arguments(&self, authoritative: &Sandbox) -> Vec<String> {
        let (host, key) = (format!("Host={}", self.sandbox.dns_api_url()), format!("APIKey={}", self.sandbox.dns_api_key()));
        let (resolver, authoritative) = (self.sandbox.dns_addr().to_string(), authoritative.dns_addr().to_string());
        let arguments =
            ["dns", "check", "pdns", "--name", NAME, "--auth", &host, "--auth", &key, "--auth", "PropagationTimeout=600"];
        let asked = ["--resolver", &resolver, "--authoritative", &authoritative];
        arguments.iter().chain(&asked).map(|&argument| argument.to_owned()).collect()
    }

    /// A check that waits in vain for its probe, which is up.
    async fn waiting(&self) -> Child {
        let before = self.sandbox.txt_records().len();
        let mut command = program();
        command.args(self.arguments(&self.elsewhere)).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let up = || async { (self.sandbox.txt_records().len() > before).then_some(()) };
        eventually(PATIENCE, "the probe", up).await;
        child
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_has_it_taken_down() {
    let house = House::build().await;
    let before = house.sandbox.txt_records();
    for name in ["INT", "TERM"] {
        let child = house.waiting().await;
        signal(child.id(), name);
        let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("ok      probe removed"), "{told}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "certkeep: interrupted\n");
        assert_eq!(house.sandbox.txt_records(), before, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_check_takes_down_what_a_kill_left_behind() {
    let house = House::build().await;
    let before = house.sandbox.txt_records();
    let mut child = house.waiting().await;
    child.kill().unwrap();
    wait(&mut child);
    assert_ne!(house.sandbox.txt_records(), before);
    let mut command = program();
    command.args(house.arguments(&house.sandbox)).arg("--json");
    let checked = tokio::task::spawn_blocking(move || ended(&mut command)).await.unwrap();
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    let told: Value = serde_json::from_str(&checked.stdout).unwrap();
    let removed: Vec<&str> = told["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["step"] == "probe removed")
        .filter_map(|step| step["evidence"].as_str())
        .collect();
    assert_eq!(removed, ["left behind by an earlier try", "exactly this value"]);
    assert_eq!(house.sandbox.txt_records(), before);
}
