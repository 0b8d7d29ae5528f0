//! A server as a child process: started on free ports, waited for, ended with its handle.
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, future};

use tempfile::TempDir;

use crate::wait::{PATIENCE, within};

/// How often a peer is started anew when another process took its port in between.
const ATTEMPTS: usize = 5;

/// The child's output, in its folder.
const LOG: &str = "log";

/// What the peers write, in lower case, when they cannot have their port; the last is BIND's.
const PORT_TAKEN: [&str; 2] = ["address already in use", "unable to listen on any configured interfaces"];

/// How many lines of the log a panic shows.
const TAIL: usize = 40;

/// Where Debian keeps servers; not on the `PATH` of ordinary users.
const ADMINISTRATOR_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A program that the tests need, and where it comes from.
#[derive(Clone, Copy)]
pub(super) struct Program {
    /// Name of the executable.
    pub(super) name: &'static str,
    /// The Debian package that has it.
    pub(super) package: &'static str,
    /// Which of Debian's.
    pub(super) release: Release,
}

/// A release of Debian.
#[derive(Clone, Copy, Debug)]
pub(super) enum Release {
    /// The machine's own: its package is installed.
    Here,
    /// The next one: its package is unpacked beside the build by `./test newer`, since it cannot be installed here.
    Next,
}

/// Where the packages of the next release are unpacked, in place of `target/peers` of the workspace.
const UNPACKED: &str = "CERTKEEP_NEWER_PEERS";

impl Program {
    /// A command that runs the program; panics with the package's name if it is absent.
    pub(super) fn command(self) -> Command {
        let found = self.folders().into_iter().map(|folder| folder.join(self.name)).find(|candidate| candidate.is_file());
        match (found, self.release) {
            (Some(executable), _) => Command::new(executable),
            (None, Release::Here) => panic!("{} is missing: install the Debian package {}", self.name, self.package),
            (None, Release::Next) => {
                panic!("{} of a newer Debian package {} is missing: ./test newer unpacks it", self.name, self.package)
            }
        }
    }

    fn folders(self) -> Vec<PathBuf> {
        match self.release {
            Release::Here => {
                let path = env::var_os("PATH").unwrap_or_default();
                env::split_paths(&path).chain(ADMINISTRATOR_FOLDERS.iter().map(PathBuf::from)).collect()
            }
            Release::Next => {
                let unpacked = env::var_os(UNPACKED).map(PathBuf::from);
                let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers");
                vec![unpacked.unwrap_or_else(usual).join("usr/bin")]
            }
        }
    }
}

/// A running child with its folder and log.
#[derive(Debug)]
pub(super) struct Process {
    // Dropped after `Drop::drop` has ended the child, so nothing writes into the folder while it is removed.
    folder: TempDir,
    name: &'static str,
    child: Child,
}

/// Why a start came to nothing.
enum Stopped {
    /// The port was taken between picking and binding: worth another try.
    PortTaken,
    /// The child ended by itself.
    Ended,
}

/// Starts `program` and waits until `ready` yields.
///
/// `prepare` writes the configuration into the folder it is given, adds arguments to the command and returns what the
/// handle will need to know (ports, keys); it runs anew for each attempt. `ready` is asked until it yields, and must
/// only do so for an answer that this very child can have given.
pub(super) async fn launch<S: Clone, R, F: Future<Output = Option<R>>>(
    program: Program,
    mut prepare: impl FnMut(&Path, &mut Command) -> S,
    mut ready: impl FnMut(S) -> F,
) -> (Process, S, R) {
    for _ in 0..ATTEMPTS {
        let mut command = program.command();
        let folder = tempfile::Builder::new().prefix("peer-").tempdir().expect("a temporary folder can be made");
        let setup = prepare(folder.path(), &mut command);
        let mut process = Process::spawn(program, command, folder);
        // Side by side: a stranger on the port may take the question and never answer.
        let answer = tokio::select! {
            Some(stopped) = within(PATIENCE, || future::ready(process.stopped())) => Err(stopped),
            answer = within(PATIENCE, || ready(setup.clone())) => process.stopped().map_or(Ok(answer), Err),
        };
        match answer {
            Ok(Some(answer)) => return (process, setup, answer),
            Ok(None) => process.fail(format_args!("no good answer within {PATIENCE:?}")),
            Err(Stopped::Ended) => process.fail("ended at its start"),
            Err(Stopped::PortTaken) => {}
        }
    }
    panic!("{} found its ports taken {ATTEMPTS} times in a row", program.name)
}

impl Process {
    fn spawn(program: Program, mut command: Command, folder: TempDir) -> Self {
        let log = File::create(folder.path().join(LOG)).expect("a log file can be made");
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be doubled"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.name));
        Self { folder, name: program.name, child }
    }

    /// The child's process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The last lines the child wrote.
    pub(super) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines.split_at(lines.len().saturating_sub(TAIL)).1.join("\n")
    }

    fn log(&self) -> String {
        let bytes = fs::read(self.folder.path().join(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn stopped(&mut self) -> Option<Stopped> {
        let ended = self.child.try_wait().expect("a child's state can be read").is_some();
        // Read after the state: what a child wrote before its end is then complete.
        let log = self.log().to_lowercase();
        if PORT_TAKEN.iter().any(|words| log.contains(words)) {
            return Some(Stopped::PortTaken);
        }
        ended.then_some(Stopped::Ended)
    }

    /// Panics with `what` and the log's end.
    pub(super) fn fail(&self, what: impl std::fmt::Display) -> ! {
        panic!("{}: {what}; its log:\n{}", self.name, self.log_tail())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only for a child that has ended already; waiting for it is needed in both cases.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: Program = Program { name: "sh", package: "dash", release: Release::Here };

    #[test]
    #[should_panic(expected = "no-such-server is missing: install the Debian package no-such-package")]
    fn a_missing_program_is_named_with_its_package() {
        Program { name: "no-such-server", package: "no-such-package", release: Release::Here }.command();
    }

    #[test]
    #[should_panic(expected = "no-such-server of a newer Debian package no-such-package is missing: ./test newer unpacks it")]
    fn a_missing_newer_program_is_named_with_the_way_to_it() {
        Program { name: "no-such-server", package: "no-such-package", release: Release::Next }.command();
    }

    #[tokio::test]
    #[should_panic(expected = "sh: ended at its start; its log:\nbad line 7")]
    async fn a_child_that_ends_is_told_with_its_log() {
        let prepare = |_: &Path, command: &mut Command| {
            command.args(["-c", "echo bad line 7; exit 1"]);
        };
        launch(SHELL, prepare, async |()| None::<()>).await;
    }

    #[tokio::test]
    async fn folder_and_child_go_with_the_handle() {
        let prepare = |folder: &Path, command: &mut Command| {
            command.args(["-c", "echo ready; exec sleep 60"]);
            folder.to_owned()
        };
        let (process, folder, ()) = launch(SHELL, prepare, async |folder: PathBuf| {
            (fs::read_to_string(folder.join(LOG)).ok()? == "ready\n").then_some(())
        })
        .await;
        assert_eq!(process.log_tail(), "ready");
        drop(process);
        assert!(!folder.exists());
    }
}
