//! Keys that sign DNS updates, and updates by the reference client.
use std::net::SocketAddr;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt;

use super::process::{Program, Release};

const NSUPDATE: Program = Program { name: "nsupdate", package: "bind9-dnsutils", release: Release::Here };

/// A TSIG key (RFC 8945) that one server accepts; made for it and worthless after it, so it may be printed.
#[derive(Clone, Debug)]
pub struct Tsig {
    /// Name of the key.
    pub name: String,
    /// Algorithm as configuration files write it, for example `hmac-sha256`.
    pub algorithm: String,
    /// Secret in base64.
    pub secret: String,
}

impl Tsig {
    /// A key with a random secret of `length` bytes.
    pub(super) fn random(name: &str, algorithm: &str, length: usize) -> Self {
        let mut secret = vec![0; length];
        aws_lc_rs::rand::fill(&mut secret).expect("the machine has random bytes");
        Self { name: name.into(), algorithm: algorithm.into(), secret: STANDARD.encode(secret) }
    }

    /// Sends `commands` (lines of nsupdate such as `add a.example.test 60 A 127.0.0.1`) as one signed update of `zone`.
    ///
    /// The error is what nsupdate said.
    pub async fn update(&self, server: SocketAddr, zone: &str, commands: &[&str]) -> Result<(), String> {
        let mut script = format!(
            "server {} {}\nzone {zone}\nkey {}:{} {}\n",
            server.ip(),
            server.port(),
            self.algorithm,
            self.name,
            self.secret,
        );
        for command in commands {
            script.push_str(command);
            script.push('\n');
        }
        script.push_str("send\n");

        let mut child = tokio::process::Command::from(NSUPDATE.command())
            .arg("-t")
            .arg("5")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut stdin = child.stdin.take().expect("the child's input is a pipe");
        stdin.write_all(script.as_bytes()).await.map_err(|error| error.to_string())?;
        drop(stdin);
        let output = child.wait_with_output().await.map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned())
    }
}

/// The keys of one server: one of each algorithm that clients are tested with.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) sha256: Tsig,
    pub(super) sha512: Tsig,
}

impl Keys {
    pub(super) fn random() -> Self {
        Self {
            sha256: Tsig::random("certkeep-sha256", "hmac-sha256", 32),
            sha512: Tsig::random("certkeep-sha512", "hmac-sha512", 64),
        }
    }

    pub(super) fn each(&self) -> [&Tsig; 2] {
        [&self.sha256, &self.sha512]
    }
}
