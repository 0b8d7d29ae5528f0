//! Running the program, and calling the service that it is.
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a command left behind.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A data folder that is not there yet, in a folder of its own.
pub(crate) struct Data(TempDir);

impl Data {
    pub(crate) fn new() -> Data {
        Data(tempfile::tempdir().unwrap())
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Writes the configuration that is found in the data folder.
    pub(crate) fn configure(&self, text: &str) -> PathBuf {
        std::fs::create_dir_all(self.folder()).unwrap();
        let path = self.folder().join("certkeep.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs a command on this folder to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ended {
        ended(program().args(arguments).arg("--data").arg(self.folder()))
    }

    /// Adds a client; answers its id and secret.
    pub(crate) fn client(&self, name: &str, more: &[&str]) -> (String, String) {
        let added = self.run(&[&["client", "add", name, "--json"], more].concat());
        assert_eq!(added.code, 0, "{}", added.stderr);
        credentials(&added.stdout)
    }
}

/// Id and secret out of what `client add --json` printed.
pub(crate) fn credentials(printed: &str) -> (String, String) {
    let object: Value = serde_json::from_str(printed).unwrap();
    let text = |member: &str| object[member].as_str().unwrap().to_owned();
    (text("client_id"), text("client_secret"))
}

/// The program, untouched by the environment of whoever runs the tests.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certkeep"));
    command.env_remove("CERTKEEP_DATA").env_remove("CERTKEEP_LOG").stdin(Stdio::null());
    command
}

/// Runs a command to its end, which has to come.
pub(crate) fn ended(command: &mut Command) -> Ended {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let (sender, output) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = output.recv_timeout(PATIENCE) else {
        signal(id, "KILL");
        panic!("{command:?} does not end");
    };
    let output = output.unwrap();
    Ended {
        code: output.status.code().expect("ended by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A service that runs; killed when dropped.
pub(crate) struct Serving {
    child: Child,
    /// The first line of its stdout.
    pub(crate) ready: String,
    /// `http://127.0.0.1:PORT`.
    pub(crate) http: String,
    /// The lines after it.
    lines: mpsc::Receiver<String>,
    stderr: Option<JoinHandle<String>>,
}

impl Serving {
    /// Starts a service on free ports and waits until it says that it is ready.
    pub(crate) fn start(data: &Data) -> Serving {
        Serving::start_with(data.folder().as_path(), &[])
    }

    /// The same with a filter for the log.
    pub(crate) fn start_with(folder: &Path, environment: &[(&str, &str)]) -> Serving {
        let mut child = program()
            .args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"])
            .arg(folder)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            said.read_to_string(&mut text).unwrap();
            text
        });
        let stdout = child.stdout.take().unwrap();
        let (sender, line) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let Ok(ready) = line.recv_timeout(PATIENCE) else {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("never ready: {}", stderr.join().unwrap());
        };
        let http = ready.split(' ').next_back().unwrap().to_owned();
        Serving { child, ready, http, lines: line, stderr: Some(stderr) }
    }

    /// The next line of its stdout; `None` once there is none any more.
    pub(crate) fn next_line(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("it says nothing and does not end"),
        }
    }

    /// Asks it to end, and does not wait.
    pub(crate) fn terminate(&self) {
        terminate(self.child.id());
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end and waits; answers how it ended, after what time, and all it said on stderr.
    pub(crate) fn stop(mut self) -> (ExitStatus, Duration, String) {
        terminate(self.child.id());
        let asked = Instant::now();
        let status = wait(&mut self.child);
        let took = asked.elapsed();
        (status, took, self.stderr.take().unwrap().join().unwrap())
    }

    pub(crate) async fn get(&self, endpoint: &str) -> Value {
        let url = format!("{}/openapi/v1.0/{endpoint}", self.http);
        http().get(url).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn post(&self, endpoint: &str, body: &Value) -> Value {
        let url = format!("{}/openapi/v1.0/{endpoint}", self.http);
        http().post(url).json(body).send().await.unwrap().json().await.unwrap()
    }

    /// The answer to `get_token`.
    pub(crate) async fn login(&self, (id, secret): &(String, String)) -> Value {
        self.post("get_token", &json!({ "username": id, "password": secret })).await
    }

    /// Whether the token is accepted now.
    pub(crate) async fn accepts(&self, token: &str) -> bool {
        let answer = self.get(&format!("certificate/list?access_token={token}")).await;
        match answer["errcode"].as_i64() {
            Some(0) => true,
            Some(10004) => false,
            _ => panic!("{answer}"),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Asks a process to end.
pub(crate) fn terminate(id: u32) {
    signal(id, "TERM");
}

/// Sends a signal; the shell's own `kill` needs no package.
fn signal(id: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status().unwrap();
    assert!(sent.success());
}

/// Waits for the end, which has to come.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < until, "process {} does not end", child.id());
        thread::sleep(Duration::from_millis(5));
    }
}

fn http() -> reqwest::Client {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().timeout(PATIENCE).build().unwrap()
}
