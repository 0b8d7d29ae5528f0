//! One server for all tests of a run, each of which may be a process of its own.
//!
//! Whoever comes first starts a keeper, a small shell script that runs the server. Each user holds a shared lock on a
//! file; the keeper ends the server, and itself, once it found nobody holding it several times in a row.
use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Access, SETTINGS, as_user, our_uid, program, unprivileged};
use crate::wait::PATIENCE;

/// Runs the server at port `$2`, of the program `$1`, with the settings that follow.
const KEEPER: &str = r#"(
exec 8>keeper.lock 9>users.lock
flock -n -x 8 || exit 1
program=$1 port=$2; shift 2
"$program" -D data -p "$port" "$@" 8>&- 9>&- >log 2>&1 </dev/null &
server=$!
idle=0
while [ $idle -lt 4 ] && kill -0 $server 2>/dev/null; do
  sleep 4
  if flock -n -x 9; then
    idle=$((idle + 1))
    [ $idle -ge 4 ] || flock -u 9
  else
    idle=0
  fi
done
kill -QUIT $server 2>/dev/null
wait $server
rm -rf data log access password
) &"#;

/// How to reach the server, and the lock that keeps it running.
pub(super) fn server() -> (Access, File) {
    let folder = folder();
    let users = open(&folder.join("users.lock"));
    // Waits while the keeper clears up.
    users.lock_shared().expect("a file can be locked");
    let starting = open(&folder.join("starting.lock"));
    starting.lock().expect("a file can be locked");
    let keeper = open(&folder.join("keeper.lock"));
    let access = match keeper.try_lock() {
        // Nobody keeps a server.
        Ok(()) => {
            drop(keeper);
            start(&folder)
        }
        Err(_) => read(&folder),
    };
    (access, users)
}

/// One folder for each user of the machine.
fn folder() -> PathBuf {
    let folder = env::temp_dir().join(format!("peer-postgres-{}", our_uid()));
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => panic!("{}: {error}", folder.display()),
        _ => folder,
    }
}

fn open(path: &Path) -> File {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.unwrap_or_else(|error| panic!("{} cannot be opened: {error}", path.display()));
    if let Some((uid, gid)) = unprivileged() {
        chown(path, Some(uid), Some(gid)).expect("root may give a file away");
    }
    file
}

/// The port and the password, a line each.
fn read(folder: &Path) -> Access {
    let text = fs::read_to_string(folder.join("access")).expect("whoever started the server wrote how to reach it");
    let mut lines = text.lines();
    let port = lines.next().and_then(|port| port.parse().ok()).expect("a port");
    Access { port, password: lines.next().expect("a password").to_owned() }
}

fn start(folder: &Path) -> Access {
    let _ = fs::remove_dir_all(folder.join("data"));
    let access = Access::make(folder);
    fs::write(folder.join("access"), format!("{}\n{}\n", access.port, access.password)).expect("the folder can be written");
    as_user(Path::new("/bin/sh"))
        .args(["-c", KEEPER, "keeper"])
        .arg(program("postgres"))
        .arg(access.port.to_string())
        .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // It outlives the test that starts it.
        .process_group(0)
        .status()
        .expect("a shell can be started");
    let patience = Instant::now() + PATIENCE;
    while !access.answers() {
        assert!(Instant::now() < patience, "no answer from PostgreSQL: {}", log(folder));
        std::thread::sleep(Duration::from_millis(20));
    }
    access
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}
