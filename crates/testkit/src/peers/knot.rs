//! Knot DNS: a second authority that takes updates signed by TSIG, stricter than BIND in places.
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;

use super::port::{free_port, loopback};
use super::process::{Process, Program, Release, launch};
use super::tsig::{Keys, Tsig};
use super::{txt, zone};

const KNOTD: Program = Program { name: "knotd", package: "knot", release: Release::Here };

/// A running Knot DNS.
#[derive(Debug)]
pub struct Knot {
    process: Process,
    dns: SocketAddr,
    keys: Keys,
}

impl Knot {
    /// Starts a Knot that is primary for `zones`; the keys may change and transfer all of them.
    pub async fn start(zones: &[&str]) -> Self {
        let zones: Vec<String> = zones.iter().map(|&zone| zone.to_owned()).collect();
        let keys = Keys::random();
        let (process, (dns, _), ()) = launch(
            KNOTD,
            |folder, command| {
                let (dns, mark) = (loopback(free_port()), zone::mark());
                for zone in &zones {
                    fs::write(folder.join(format!("{zone}.zone")), zone::master_file(zone, &mark))
                        .expect("the temporary folder can be written");
                }
                let folder_text = folder.to_str().expect("a temporary folder's path is text");
                fs::write(folder.join("knot.conf"), configuration(folder_text, dns, &keys, &zones))
                    .expect("the temporary folder can be written");
                command.args(["-c", "knot.conf"]);
                (dns, mark)
            },
            async |(dns, mark)| zone::served(dns, &zones, &mark).await,
        )
        .await;
        Self { process, dns, keys }
    }

    /// Where it answers, by UDP and TCP.
    pub fn dns_addr(&self) -> SocketAddr {
        self.dns
    }

    /// A key of hmac-sha256.
    pub fn tsig(&self) -> &Tsig {
        &self.keys.sha256
    }

    /// A key of hmac-sha512.
    pub fn tsig_sha512(&self) -> &Tsig {
        &self.keys.sha512
    }

    /// The TXT values it has at `name`; panics if it does not answer.
    pub async fn txt(&self, name: &str) -> Vec<String> {
        txt(self.dns, name).await.unwrap_or_else(|error| self.process.fail(format!("no TXT answer: {error}")))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

/// Control socket, databases and zones stay in the peer's folder; nothing is written back to the zone files, and
/// updates are kept in memory alone.
fn configuration(folder: &str, dns: SocketAddr, keys: &Keys, zones: &[String]) -> String {
    let mut text = format!(
        "server:
  rundir: \"{folder}\"
  listen: {}@{}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: \"{folder}\"
log:
  - target: stderr
    any: info
key:
",
        dns.ip(),
        dns.port(),
    );
    for Tsig { name, algorithm, secret } in keys.each() {
        let _ = writeln!(text, "  - id: {name}\n    algorithm: {algorithm}\n    secret: \"{secret}\"");
    }
    let _ = write!(
        text,
        "acl:
  - id: change
    key: [{}]
    action: [update, transfer]
template:
  - id: default
    storage: \"{folder}\"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
",
        keys.each().map(|key| key.name.as_str()).join(", "),
    );
    for zone in zones {
        let _ = writeln!(text, "  - domain: {zone}\n    file: {zone}.zone\n    acl: change");
    }
    text
}
