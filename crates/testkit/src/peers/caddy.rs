//! Caddy as an ACME server: other code than Pebble's, with a CA of its own.
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::json;

use super::http_client;
use super::port::{free_port, loopback};
use super::process::{Process, Program, Release, launch};

/// The one of Debian 12 asks the machine's own resolver and no other.
const CADDY: Program = Program { name: "caddy", package: "caddy", release: Release::Next };

/// The name of the CA within Caddy.
const CA: &str = "peer";

/// A running Caddy that issues for a day, by HTTP-01 and DNS-01.
#[derive(Debug)]
pub struct Caddy {
    process: Process,
    directory_url: String,
    root_pem: String,
}

impl Caddy {
    /// Starts a Caddy that validates through the resolver `dns`.
    pub async fn start(dns: SocketAddr) -> Self {
        let (process, (directory_url, _), root_pem) = launch(
            CADDY,
            |folder, command| {
                let here = loopback(free_port());
                let configuration = configuration(here, dns, &folder.join("storage"));
                fs::write(folder.join("caddy.json"), configuration.to_string()).expect("the temporary folder can be written");
                command.args(["run", "--config", "caddy.json"]).env("HOME", folder);
                let root: PathBuf = folder.join("storage/pki/authorities").join(CA).join("root.crt");
                (format!("https://localhost:{}/acme/{CA}/directory", here.port()), root)
            },
            async |(directory, root): (String, PathBuf)| {
                let root = fs::read_to_string(root).ok().filter(|pem| pem.contains("-----END CERTIFICATE-----"))?;
                let answer = http_client(&root).get(directory).send().await.ok()?;
                answer.error_for_status().ok().map(|_| root)
            },
        )
        .await;
        Self { process, directory_url, root_pem }
    }

    /// Where ACME clients begin (RFC 8555 §7.1.1); HTTPS.
    pub fn directory_url(&self) -> &str {
        &self.directory_url
    }

    /// The root of its own HTTPS and of what it issues; a new one at each start.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

/// Its own certificate is from its own CA, too.
fn configuration(here: SocketAddr, dns: SocketAddr, storage: &std::path::Path) -> serde_json::Value {
    let server = json!({
        "listen": [here.to_string()],
        "automatic_https": { "disable_redirects": true },
        "routes": [{
            "match": [{ "host": ["localhost"] }],
            "handle": [{
                "handler": "acme_server",
                "ca": CA,
                "lifetime": "24h",
                "challenges": ["dns-01", "http-01"],
                "resolvers": [dns.to_string()],
            }],
        }],
        "tls_connection_policies": [{}],
    });
    json!({
        "admin": { "disabled": true },
        "storage": { "module": "file_system", "root": storage },
        "apps": {
            "pki": { "certificate_authorities": { CA: { "name": "certkeep testkit", "install_trust": false } } },
            "http": { "servers": { "acme": server } },
            "tls": { "automation": { "policies": [{
                "subjects": ["localhost"],
                "issuers": [{ "module": "internal", "ca": CA }],
            }] } },
        },
    })
}
