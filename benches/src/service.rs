//! A certkeep of its own data folder, as a child process on loopback.
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A running service; ended when dropped.
pub(crate) struct Service {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) base: String,
    /// From its start to its ready line.
    pub(crate) ready_after: Duration,
    client: reqwest::Client,
    token: String,
}

/// Makes a client in the data folder; answers its id and secret.
pub(crate) fn add_client(certkeep: &Path, folder: &Path) -> (String, String) {
    let output =
        Command::new(certkeep).args(["client", "add", "bench", "--json", "--data"]).arg(folder).output().expect("certkeep runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let client: Value = serde_json::from_slice(&output.stdout).expect("an object");
    let field = |name: &str| client[name].as_str().expect("a text").to_owned();
    (field("client_id"), field("client_secret"))
}

/// Where the log of the service of a data folder is.
pub(crate) fn log_of(folder: &Path) -> PathBuf {
    folder.with_extension("log")
}

impl Service {
    /// Starts it and waits for its ready line.
    pub(crate) fn start(certkeep: &Path, folder: &Path, config: Option<&Path>) -> Service {
        let mut command = Command::new(certkeep);
        command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"]).arg(folder);
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        let began = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log_of(folder)).expect("a log"))
            .spawn()
            .expect("certkeep starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let ready_after = began.elapsed();
        let http = line.split_whitespace().find_map(|word| word.find("http://").map(|at| word[at..].to_owned()));
        let base = http.unwrap_or_else(|| panic!("no plain address in the ready line {line:?}"));
        let base = base.trim_end_matches([',', '/']).to_owned();
        Service { child, base, ready_after, client: certkeep_testkit::peers::http_client(""), token: String::new() }
    }

    /// Takes a token.
    pub(crate) async fn login(&mut self, client: &(String, String)) {
        let answer = self.post("get_token", &json!({ "username": client.0, "password": client.1 })).await;
        self.token = answer["access_token"].as_str().unwrap_or_else(|| panic!("no token in {answer}")).to_owned();
    }

    /// Path and query of an interface, with the token.
    pub(crate) fn path(&self, interface: &str, query: &str) -> String {
        format!("/openapi/v1.0/{interface}?access_token={}{query}", self.token)
    }

    pub(crate) async fn get(&self, interface: &str, query: &str) -> String {
        let url = format!("{}{}", self.base, self.path(interface, query));
        self.client.get(url).send().await.expect("an answer").text().await.expect("a body")
    }

    pub(crate) async fn post(&self, interface: &str, body: &Value) -> Value {
        let url = format!("{}{}", self.base, self.path(interface, ""));
        let answer = self.client.post(url).body(body.to_string()).send().await.expect("an answer");
        serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.base.trim_start_matches("http://").parse().expect("an address")
    }

    /// Resident memory, in MiB.
    pub(crate) fn memory(&self) -> f64 {
        memory_of(self.child.id())
    }

    /// Processor time used so far, in seconds.
    pub(crate) fn processor(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        // utime and stime, in ticks of a hundredth of a second (proc(5)).
        (fields[11].parse::<f64>().expect("ticks") + fields[12].parse::<f64>().expect("ticks")) / 100.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resident memory of a process, in MiB.
pub(crate) fn memory_of(pid: u32) -> f64 {
    status(pid, "VmRSS:") / 1024.0
}

/// A number of `/proc/PID/status`.
fn status(pid: u32, key: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = text.lines().find(|line| line.starts_with(key)).expect("the line");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}
