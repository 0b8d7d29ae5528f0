//! BIND: an authority that takes updates signed by TSIG (RFC 2136, RFC 8945).
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;

use super::port::{free_port, loopback};
use super::process::{Process, Program, Release, launch};
use super::tsig::{Keys, Tsig};
use super::{txt, zone};

const NAMED: Program = Program { name: "named", package: "bind9", release: Release::Here };

/// A running BIND.
#[derive(Debug)]
pub struct Bind {
    process: Process,
    dns: SocketAddr,
    keys: Keys,
}

impl Bind {
    /// Starts a BIND that is primary for `zones`; the keys may change every name and type in them.
    pub async fn start(zones: &[&str]) -> Self {
        let zones: Vec<String> = zones.iter().map(|&zone| zone.to_owned()).collect();
        let keys = Keys::random();
        let (process, (dns, _), ()) = launch(
            NAMED,
            |folder, command| {
                let (dns, mark) = (loopback(free_port()), zone::mark());
                for zone in &zones {
                    fs::write(folder.join(format!("{zone}.zone")), zone::master_file(zone, &mark))
                        .expect("the temporary folder can be written");
                }
                fs::write(folder.join("named.conf"), configuration(dns, &keys, &zones))
                    .expect("the temporary folder can be written");
                // -g: in the foreground, and the log of the start on stderr as well (-f sends that to syslog).
                command.args(["-g", "-n", "1", "-c", "named.conf"]);
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

/// Relative paths are those of the child's working folder; whatever would be shared by two instances (pid file, lock,
/// control channel, session key) is off or inside it.
fn configuration(dns: SocketAddr, keys: &Keys, zones: &[String]) -> String {
    let mut text = format!(
        r#"options {{
    directory ".";
    pid-file none;
    lock-file none;
    session-keyfile "session.key";
    listen-on port {} {{ {}; }};
    listen-on-v6 {{ none; }};
    allow-query {{ 127.0.0.0/8; }};
    recursion no;
    dnssec-validation no;
    empty-zones-enable no;
    notify no;
}};
controls {{ }};
"#,
        dns.port(),
        dns.ip(),
    );
    for Tsig { name, algorithm, secret } in keys.each() {
        let _ = writeln!(text, r#"key "{name}" {{ algorithm {algorithm}; secret "{secret}"; }};"#);
    }
    let grants: String = keys.each().map(|key| format!("grant {} zonesub ANY; ", key.name)).concat();
    for zone in zones {
        let _ = writeln!(text, r#"zone "{zone}" {{ type primary; file "{zone}.zone"; update-policy {{ {grants}}}; }};"#);
    }
    text
}
