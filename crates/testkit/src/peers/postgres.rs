//! PostgreSQL: a database of its own for each test, in a server that all tests of a run share; or a whole server, for
//! tests that stop it.
mod shared;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::port::free_port;
use super::zone;
use crate::wait::{PATIENCE, eventually};

/// Where Debian keeps PostgreSQL, one folder for each version.
const HOME: &str = "/usr/lib/postgresql";
/// The Debian package that has it.
const PACKAGE: &str = "postgresql";
/// Whom the server runs as when the tests run as root, which it refuses.
const USER: &str = "postgres";
/// It need not be safe against a loss of power, nor serve anybody else.
const SETTINGS: [&str; 6] = [
    "fsync=off",
    "full_page_writes=off",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=32MB",
    "max_connections=300",
];

/// An empty database in a server that the tests share; gone with its handle.
#[derive(Debug)]
pub struct PostgresDatabase {
    access: Access,
    name: String,
    // The server runs for as long as somebody uses it.
    _use: fs::File,
}

impl PostgresDatabase {
    /// Makes an empty database; starts the server if this is its first use for a while.
    pub async fn make() -> PostgresDatabase {
        let made = tokio::task::spawn_blocking(|| {
            let (access, using) = shared::server();
            let name = access.make_database();
            PostgresDatabase { access, name, _use: using }
        });
        made.await.expect("the database can be made")
    }

    /// Where it is, password included.
    pub fn url(&self) -> String {
        self.access.url(&self.name)
    }

    /// What the statement answers, a line for each row; panics if it is refused.
    pub fn ask(&self, statement: &str) -> String {
        self.access.psql(&self.name, statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// How many transactions there have been in it, single statements included; those of the last second may be missing.
    pub fn transactions(&self) -> u64 {
        let statement = format!("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{}'", self.name);
        let count = self.access.psql("postgres", &statement).expect("the server answers");
        count.trim().parse().expect("a number")
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        // Whoever still holds a connection is thrown out. A database that stays goes with the server.
        let _ = self.access.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// What a server of one's own is told besides: it speaks TLS, to whoever wants it.
const TLS: [&str; 3] = ["ssl=on", "ssl_cert_file=../server.crt", "ssl_key_file=../server.key"];

/// A server of one's own, which can be stopped and started; killed with its handle.
#[derive(Debug)]
pub struct PostgresServer {
    folder: TempDir,
    access: Access,
    settings: &'static [&'static str],
    child: Option<Child>,
}

impl PostgresServer {
    /// Starts a server with an empty database.
    pub async fn start() -> PostgresServer {
        Self::start_with(&[]).await
    }

    /// The same with settings of its own, each `name=value`, which override the usual ones.
    pub async fn start_with(settings: &'static [&'static str]) -> PostgresServer {
        let folder = tempfile::Builder::new().prefix("peer-").tempdir().expect("a temporary folder can be made");
        let access = Access::make(folder.path());
        make_certificate(folder.path());
        let mut server = PostgresServer { folder, access, settings, child: None };
        server.resume().await;
        server
    }

    /// Where its database is, password included.
    pub fn url(&self) -> String {
        self.access.url("postgres")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.access.port))
    }

    /// What the statement answers, a line for each row; panics if it is refused.
    pub fn ask(&self, statement: &str) -> String {
        self.access.psql("postgres", statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// Where its database is through a proxy, password included.
    pub fn url_by(&self, proxy: SocketAddr) -> String {
        self.url().replace(&self.address().to_string(), &proxy.to_string())
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("a log of ours")
    }

    /// The file with the certificate that it shows, for 127.0.0.1, in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.crt")
    }

    /// Ends it at once, as a crash would, and waits until it is gone.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = Command::new("kill").args(["-QUIT", &child.id().to_string()]).status();
            let _ = child.wait();
        }
    }

    /// Starts it anew where it was.
    pub async fn resume(&mut self) {
        let mut command = self.access.server(self.folder.path());
        command.args(TLS.iter().chain(self.settings).flat_map(|setting| ["-c", setting]));
        self.child = Some(command.spawn().unwrap_or_else(|error| panic!("postgres cannot be started: {error}")));
        let access = self.access.clone();
        eventually(PATIENCE, "PostgreSQL", || async { access.answers().then_some(()) }).await;
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Makes a certificate and its key, which have to be the server's own.
fn make_certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate can be made");
    for (name, text) in [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())] {
        let path = folder.join(name);
        fs::write(&path, text).expect("the folder can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a file of ours");
        if let Some((uid, gid)) = unprivileged() {
            chown(&path, Some(uid), Some(gid)).expect("root may give a file away");
        }
    }
}

/// How to reach a server.
#[derive(Clone)]
struct Access {
    port: u16,
    password: String,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Access {
    /// Makes the files of a server in a folder; the folder belongs to whom it runs as from then on.
    fn make(folder: &Path) -> Access {
        let password = zone::mark();
        let file = folder.join("password");
        fs::write(&file, &password).expect("the folder can be written");
        if let Some((uid, gid)) = unprivileged() {
            for path in [folder, &file] {
                chown(path, Some(uid), Some(gid)).expect("root may give a folder away");
            }
        }
        let made = as_user(&program("initdb"))
            .args(["--no-sync", "--no-instructions", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"])
            .args(["--username", USER, "--pwfile", "password", "--pgdata", "data"])
            .current_dir(folder)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        Access { port: free_port(), password }
    }

    /// A command that runs the server of a folder.
    fn server(&self, folder: &Path) -> Command {
        let log = fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log can be made");
        let mut command = as_user(&program("postgres"));
        command.args(["-D", "data", "-p", &self.port.to_string()]).current_dir(folder).stdin(Stdio::null());
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        command.stdout(log.try_clone().expect("a file handle can be doubled")).stderr(log);
        command
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Whether this very server answers: no other has the password.
    fn answers(&self) -> bool {
        self.psql("postgres", "SELECT 1").is_ok()
    }

    fn make_database(&self) -> String {
        let name = format!("t_{}", zone::mark());
        let made = self.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        made.unwrap_or_else(|error| panic!("no database can be made: {error}"));
        name
    }

    fn psql(&self, database: &str, statement: &str) -> io::Result<String> {
        let output = Command::new(program("psql"))
            .args(["--no-psqlrc", "--quiet", "--no-password", "--no-align", "--tuples-only", "--command", statement])
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--username", USER, database])
            .env("PGPASSWORD", &self.password)
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

/// A program of the newest version that is installed; panics with the package's name if there is none.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir(HOME).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|folder| {
            let version: u32 = folder.file_name().to_str()?.parse().ok()?;
            Some((version, folder.path().join("bin").join(name)))
        })
        .filter(|(_, path)| path.is_file())
        .max();
    let (_, path) = newest.unwrap_or_else(|| panic!("{name} is missing: install the Debian package {PACKAGE}"));
    path
}

/// A command that does not run as root.
fn as_user(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = unprivileged() {
        command.uid(uid).gid(gid);
    }
    command
}

/// Whom the server runs as, when the tests run as root.
fn unprivileged() -> Option<(u32, u32)> {
    if our_uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("users can be read");
    let user = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|user| user[0] == USER);
    let user = user.unwrap_or_else(|| panic!("there is no user {USER}: install the Debian package {PACKAGE}"));
    Some((user[2].parse().expect("a user has a number"), user[3].parse().expect("a group has a number")))
}

fn our_uid() -> u32 {
    fs::metadata("/proc/self").expect("/proc is there").uid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn databases_are_apart_and_go_with_their_handles() {
        let (one, other) = (PostgresDatabase::make().await, PostgresDatabase::make().await);
        one.access.psql(&one.name, "CREATE TABLE a (id INT)").unwrap();
        other.access.psql(&other.name, "SELECT * FROM a").unwrap_err();
        let (access, name) = (one.access.clone(), one.name.clone());
        drop(one);
        access.psql(&name, "SELECT 1").unwrap_err();
        assert!(access.answers());
    }

    #[tokio::test]
    async fn a_server_keeps_its_data_when_it_is_started_anew() {
        let mut server = PostgresServer::start().await;
        server.access.psql("postgres", "CREATE TABLE a (id INT)").unwrap();
        server.stop();
        assert!(!server.access.answers());
        server.resume().await;
        server.access.psql("postgres", "SELECT * FROM a").unwrap();
    }
}
