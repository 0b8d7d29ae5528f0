//! `certkeep serve` as a child process, and what its log says about the steps it takes.
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use certkeep_sandbox::Sandbox;
use certkeep_testkit::peers::http_client;
use certkeep_testkit::wait::PATIENCE;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A client that may call.
pub(crate) struct Client {
    id: String,
    secret: String,
}

impl Client {
    /// The body of `get_token`.
    pub(crate) fn login(&self) -> Value {
        json!({ "username": self.id, "password": self.secret })
    }
}

/// Writes the configuration for a sandbox into a data folder and adds a client; `more` ends the configuration.
pub(crate) fn prepare(folder: &Path, sandbox: &Sandbox, more: &str) -> Client {
    configure(folder, sandbox, more);
    add_client(folder)
}

/// Writes the configuration for a sandbox into a data folder; `more` ends it.
pub(crate) fn configure(folder: &Path, sandbox: &Sandbox, more: &str) {
    fs::write(folder.join("root.pem"), sandbox.tls_root_pem()).expect("written");
    let dns = sandbox.dns_addr();
    let config = format!(
        "[acme]\ndirectory = {:?}\nroots = [\"root.pem\"]\n[dns]\nresolvers = [\"{dns}\"]\nauthoritative = [\"{dns}\"]\n{more}",
        sandbox.directory_url()
    );
    fs::write(folder.join("certkeep.toml"), config).expect("written");
}

/// Adds a client to the store of a data folder.
pub(crate) fn add_client(folder: &Path) -> Client {
    let added = program().args(["client", "add", "test", "--json", "--data"]).arg(folder).output().expect("certkeep runs");
    let client: Value = serde_json::from_slice(&added.stdout).expect("an object");
    let text = |member: &str| client[member].as_str().expect("a text").to_owned();
    Client { id: text("client_id"), secret: text("client_secret") }
}

/// The program, untouched by the environment of whoever runs the tests.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certkeep"));
    command.env_remove("CERTKEEP_DATA").env_remove("CERTKEEP_LOG").stdin(Stdio::null());
    command
}

/// A line of the log, as JSON.
pub(crate) type Line = Value;

/// A service; killed when dropped.
pub(crate) struct Process {
    child: Child,
    ready: mpsc::Receiver<String>,
    base: Option<String>,
    https: Option<SocketAddr>,
    /// What it logs; ends when it has ended.
    pub(crate) log: UnboundedReceiver<Line>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts it, and does not wait until it is ready.
    pub(crate) fn spawn(folder: &Path) -> Process {
        Process::spawn_by(&mut program(), folder)
    }

    /// The same by a command that becomes the program.
    pub(crate) fn spawn_by(command: &mut Command, folder: &Path) -> Process {
        command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"]).arg(folder);
        command.env("CERTKEEP_LOG", "certkeep=info,certkeep_engine=debug");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("certkeep starts");
        let (said, ready) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (lines, log) = unbounded_channel();
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let readers = vec![
            thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| drop(said.send(line)))),
            thread::spawn(move || read_log(stderr, &lines)),
        ];
        Process { child, ready, base: None, https: None, log, readers }
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(folder: &Path) -> Process {
        let mut process = Process::spawn(folder);
        process.await_ready();
        process
    }

    /// Waits until it accepts connections; answers `false` when it ends before.
    pub(crate) fn becomes_ready(&mut self) -> bool {
        let Ok(line) = self.ready.recv_timeout(PATIENCE) else { return false };
        self.note_ready(&line);
        true
    }

    /// Waits until it accepts connections.
    pub(crate) fn await_ready(&mut self) {
        let Ok(line) = self.ready.recv_timeout(PATIENCE) else {
            let mut said = Vec::new();
            while let Ok(line) = self.log.try_recv() {
                said.push(line.to_string());
            }
            panic!("never ready: {}", said.join("\n"));
        };
        self.note_ready(&line);
    }

    fn note_ready(&mut self, line: &str) {
        let url = |scheme: &str| line.split(' ').find(|word| word.starts_with(scheme)).map(str::to_owned);
        self.base = Some(url("http://").unwrap_or_else(|| panic!("no plain address in {line:?}")));
        self.https = url("https://").and_then(|url| url["https://".len()..].parse().ok());
    }

    /// Where HTTPS is served.
    pub(crate) fn https(&self) -> SocketAddr {
        self.https.expect("it is ready")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Calls an interface with a token, which ends the query.
    pub(crate) async fn call(&self, interface: &str, query: &str, body: Option<Value>) -> Value {
        let base = self.base.as_ref().expect("it is ready");
        let url = format!("{base}/openapi/v1.0/{interface}?{query}");
        let client = http_client("");
        let request = match body {
            Some(body) => client.post(url).body(body.to_string()),
            None => client.get(url),
        };
        let answer = request.send().await.expect("an answer").bytes().await.expect("a body");
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// `access_token=…` of a new token.
    pub(crate) async fn login(&self, client: &Client) -> String {
        let answer = self.call("get_token", "", Some(client.login())).await;
        let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}"));
        format!("access_token={token}")
    }

    /// Whether a line with this message has come since the last look.
    pub(crate) fn has_logged(&mut self, message: &str) -> bool {
        std::iter::from_fn(|| self.log.try_recv().ok()).any(|line| line["message"] == message)
    }

    /// SIGKILL; answers what it logged that nobody has read yet.
    pub(crate) fn kill(mut self) -> Vec<Line> {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
        self.rest()
    }

    /// SIGTERM; answers what it logged that nobody has read yet.
    pub(crate) fn stop(mut self) -> Vec<Line> {
        self.signal("TERM");
        let ended = self.child.wait().expect("it ends");
        assert!(ended.success(), "{ended}");
        self.rest()
    }

    /// Waits for its end, whatever has ended it.
    pub(crate) fn wait(&mut self) {
        self.child.wait().expect("it ends");
    }

    /// The same; answers what it logged that nobody has read yet.
    pub(crate) fn ended(mut self) -> Vec<Line> {
        self.wait();
        self.rest()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status().expect("a shell");
        assert!(sent.success());
    }

    fn rest(&mut self) -> Vec<Line> {
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader ends with its pipe");
        }
        std::iter::from_fn(|| self.log.try_recv().ok()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is no JSON is passed on as text.
fn read_log(stderr: impl BufRead, lines: &UnboundedSender<Line>) {
    for line in stderr.lines().map_while(Result::ok) {
        let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
        let _ = lines.send(line);
    }
}
