//! Programs that write records: those that the operator has allowed, by name, and no other.
//!
//! A program is called as `PROGRAM present NAME. VALUE` and `PROGRAM cleanup NAME. VALUE`, without a shell, without a
//! standard input, and with nothing in its environment but `PATH`. It succeeds by ending with 0. What it prints is
//! evidence where it fails and is kept nowhere else. One call at a time goes to each program. When a call is over, or
//! given up, everything that the program has started ends with it. Start reading at `connect`.
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;
use certkeep_core::ports::DnsProvider;
use certkeep_core::provider::Parameters;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// What is being done, in the words of the trace.
const CONNECT: &str = "connect";
const ADD: &str = "add record";
const REMOVE: &str = "remove record";

/// Why nobody is served who may run nothing.
pub(crate) const NOTHING_ALLOWED: &str =
    "certkeep runs no program here: the operator has to allow one by name, in [dns] exec of the configuration.";

/// Where a program finds others.
const SEARCHED: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of what a program prints is looked at; the rest is read and dropped.
const LONGEST_OUTPUT: usize = 4096;

/// A program that may be run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// The longest that one call may take.
    pub timeout: Duration,
    /// Who is running it waits for whoever is.
    turn: Arc<Mutex<()>>,
}

impl Program {
    /// A program at a path.
    pub fn new(path: PathBuf, timeout: Duration) -> Program {
        Program { path, timeout, turn: Arc::default() }
    }
}

/// The program that the parameters name.
///
/// # Errors
/// `provider_parameter`.
pub(crate) fn connect(parameters: &Parameters, programs: &BTreeMap<String, Program>) -> Result<Arc<dyn DnsProvider>, Failure> {
    let refused = |about: &str, fact: String| Failure::new(Code::ProviderParameter, CONNECT).about(about).fact(fact);
    if parameters.text("Mode").is_some_and(|mode| !mode.expose_secret().is_empty()) {
        return Err(refused("Mode", "Mode has to be empty: certkeep hands over name and value only".to_owned()));
    }
    let name = parameters.text("Program").map(|name| name.expose_secret()).unwrap_or_default();
    match programs.get(name) {
        Some(program) => Ok(Arc::new(Runner { name: name.to_owned(), program: program.clone() })),
        None => {
            let allowed: Vec<&str> = programs.keys().map(String::as_str).collect();
            Err(refused("Program", format!("no program of this name is allowed here; there is {}", allowed.join(", "))))
        }
    }
}

/// A program, ready to be called.
struct Runner {
    name: String,
    program: Program,
}

#[async_trait]
impl DnsProvider for Runner {
    async fn find_zone(&self, name: &DnsName) -> Result<Zone, Failure> {
        // It takes every name, and tells nothing of zones.
        Ok(Zone { name: name.to_string(), saved: serde_json::json!({ "unlisted": true }) })
    }

    async fn add(&self, _: &Zone, record: &TxtRecord) -> Result<serde_json::Value, Failure> {
        self.run(ADD, "present", record).await.map(|()| serde_json::Value::Null)
    }

    async fn remove(&self, _: &Zone, record: &TxtRecord, _: Option<&serde_json::Value>) -> Result<(), Failure> {
        self.run(REMOVE, "cleanup", record).await
    }
}

impl Runner {
    async fn run(&self, doing: &str, action: &str, record: &TxtRecord) -> Result<(), Failure> {
        let _turn = self.program.turn.lock().await;
        let failure = |code: Code, fact: String| Failure::new(code, doing).about(self.name.as_str()).fact(fact);
        let started = Command::new(&self.program.path)
            .args([action, &format!("{}.", record.name), &record.value])
            .env_clear()
            .env("PATH", SEARCHED)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        let child =
            started.map_err(|error| failure(Code::ProviderUnreachable, format!("the program cannot be started: {error}")))?;
        let mut group = Group::of(child);
        let (out, err) = (group.child.stdout.take(), group.child.stderr.take());
        let ending = tokio::time::timeout(self.program.timeout, async {
            let printed = async { tokio::join!(beginning(out), beginning(err)) };
            let ended = async {
                let status = group.child.wait().await;
                // What it left behind holds its output open.
                group.kill();
                status
            };
            tokio::join!(ended, printed)
        });
        let (status, (out, err)) = match ending.await {
            Ok((status, printed)) => (status, printed),
            Err(_) => {
                let seconds = self.program.timeout.as_secs();
                return Err(failure(Code::ProviderError, format!("the program did not end within {seconds} seconds")));
            }
        };
        let status = status.map_err(|error| failure(Code::Internal, format!("the program's end is not told: {error}")))?;
        if status.success() {
            tracing::debug!(program = self.name, action, "the program is done");
            return Ok(());
        }
        let message = if err.trim().is_empty() { out } else { err };
        let message = Some(message.trim().to_owned()).filter(|message| !message.is_empty());
        Err(Failure::new(Code::ProviderError, doing).about(self.name.as_str()).said(Some(status.to_string()), message))
    }
}

/// A program and all that it has started: a process group of its own, which ends with this.
struct Group {
    child: Child,
    id: Option<Pid>,
}

impl Group {
    fn of(child: Child) -> Group {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Group { child, id }
    }

    fn kill(&mut self) {
        if let Some(id) = self.id.take() {
            // That nobody is left in the group is the usual case, and no error.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What is printed, as far as it is looked at; all of it is read, so that nobody waits to print.
async fn beginning(printed: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut printed) = printed else { return String::new() };
    let (mut kept, mut octets) = (Vec::new(), [0; 1024]);
    loop {
        let read = match printed.read(&mut octets).await {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let room = LONGEST_OUTPUT.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(octets.get(..room).unwrap_or_default());
    }
    String::from_utf8_lossy(&kept).into_owned()
}
