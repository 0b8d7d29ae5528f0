//! PowerDNS: an authority with an HTTP API.
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use super::port::{free_port, loopback};
use super::process::{Process, Program, Release, launch};
use super::{http_client, txt, zone};
use crate::wait::{PATIENCE, eventually};

const PDNS_SERVER: Program =
    Program { name: "pdns_server", package: "pdns-server (and pdns-backend-lmdb)", release: Release::Here };

/// A running PowerDNS with the LMDB backend, which takes concurrent writes (the SQLite one answers some with 500).
#[derive(Debug)]
pub struct PowerDns {
    process: Process,
    setup: Setup,
    zones: Vec<String>,
}

#[derive(Clone, Debug)]
struct Setup {
    dns: SocketAddr,
    api: SocketAddr,
    key: String,
    mark: String,
}

impl PowerDns {
    /// Starts a PowerDNS that is primary for `zones`.
    pub async fn start(zones: &[&str]) -> Self {
        let zones: Vec<String> = zones.iter().map(|&zone| zone.trim_end_matches('.').to_owned()).collect();
        let (process, setup, ()) = launch(PDNS_SERVER, prepare, async |setup: Setup| {
            for zone in &zones {
                setup.add_zone(zone).await.ok()?;
            }
            zone::served(setup.dns, &zones, &setup.mark).await
        })
        .await;
        Self { process, setup, zones }
    }

    /// Root of the HTTP API as clients are configured with it, without `/api/v1`.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.setup.api)
    }

    /// The key for the header `X-API-Key`.
    pub fn api_key(&self) -> &str {
        &self.setup.key
    }

    /// Where it answers questions, by UDP and TCP.
    pub fn dns_addr(&self) -> SocketAddr {
        self.setup.dns
    }

    /// Adds a zone and waits until it is served; panics if the API refuses it.
    pub async fn add_zone(&mut self, name: &str) {
        let name = name.trim_end_matches('.').to_owned();
        if let Err(said) = self.setup.add_zone(&name).await {
            self.process.fail(said);
        }
        let added = [name];
        eventually(PATIENCE, format!("zone {} in PowerDNS", added[0]), async || {
            zone::served(self.setup.dns, &added, &self.setup.mark).await
        })
        .await;
        self.zones.extend(added);
    }

    /// Makes `owner` an alias of `target`.
    pub async fn add_cname(&self, owner: &str, target: &str) {
        self.set(owner, "CNAME", &[&format!("{}.", target.trim_end_matches('.'))]).await;
    }

    /// Replaces the record set of `owner` and `rtype` by `contents` (presentation format); an empty one deletes it.
    ///
    /// Panics if no zone of this server ends `owner` or the API refuses the change.
    pub async fn set(&self, owner: &str, rtype: &str, contents: &[&str]) {
        let owner = owner.trim_end_matches('.');
        let Some(zone) = zone::zone_of(&self.zones, owner) else { self.process.fail(format!("no zone for {owner}")) };
        let change = json!({
            "name": format!("{owner}."),
            "type": rtype,
            "ttl": zone::TTL,
            "changetype": if contents.is_empty() { "DELETE" } else { "REPLACE" },
            "records": contents.iter().map(|content| record(content)).collect::<Vec<_>>(),
        });
        let path = format!("/zones/{zone}.");
        if let Err(said) = self.setup.call(Method::PATCH, &path, &json!({ "rrsets": [change] })).await {
            self.process.fail(said);
        }
    }

    /// The TXT values it has at `name`; panics if it does not answer.
    pub async fn txt(&self, name: &str) -> Vec<String> {
        txt(self.setup.dns, name).await.unwrap_or_else(|error| self.process.fail(format!("no TXT answer: {error}")))
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

/// Every cache is off: a test sees a change in the next answer.
fn prepare(folder: &Path, command: &mut Command) -> Setup {
    let setup = Setup { dns: loopback(free_port()), api: loopback(free_port()), key: zone::mark(), mark: zone::mark() };
    command
        .args(["--daemon=no", "--guardian=no", "--write-pid=no", "--setuid=", "--setgid=", "--disable-syslog=yes"])
        .args(["--loglevel=4", "--security-poll-suffix=", "--receiver-threads=1", "--distributor-threads=1"])
        .args(["--launch=lmdb", "--lmdb-filename=zones.lmdb", "--lmdb-sync-mode=nosync", "--lmdb-shards=1"])
        .args(["--zone-cache-refresh-interval=0", "--cache-ttl=0", "--query-cache-ttl=0", "--negquery-cache-ttl=0"])
        .args(["--api=yes", "--webserver=yes", "--webserver-allow-from=127.0.0.0/8"])
        .arg(format!("--config-dir={}", folder.display()))
        .arg(format!("--socket-dir={}", folder.display()))
        .arg(format!("--local-address={}", setup.dns.ip()))
        .arg(format!("--local-port={}", setup.dns.port()))
        .arg(format!("--webserver-address={}", setup.api.ip()))
        .arg(format!("--webserver-port={}", setup.api.port()))
        .arg(format!("--api-key={}", setup.key));
    setup
}

impl Setup {
    /// Adds a zone; one that is there already is left alone, so that a start can be asked again.
    async fn add_zone(&self, zone: &str) -> Result<(), String> {
        let apex = format!("{zone}.");
        let name_server = format!("ns1.{zone}.");
        let rrset = |name: &str, rtype: &str, content: &str| json!({ "name": name, "type": rtype, "ttl": zone::TTL, "records": [record(content)] });
        let body = json!({
            "name": apex,
            "kind": "Native",
            "soa_edit_api": "INCREASE",
            "nameservers": [],
            "rrsets": [
                rrset(&apex, "SOA", &zone::soa(zone, &self.mark)),
                rrset(&apex, "NS", &name_server),
                rrset(&apex, "A", "127.0.0.1"),
                rrset(&name_server, "A", "127.0.0.1"),
            ],
        });
        match self.call(Method::POST, "/zones", &body).await {
            Err(said) if said.starts_with("409") => Ok(()),
            outcome => outcome,
        }
    }

    /// Calls the API; the error opens with the HTTP status if there was an answer.
    async fn call(&self, method: Method, path: &str, body: &Value) -> Result<(), String> {
        let answer = http_client("")
            .request(method, format!("http://{}/api/v1/servers/localhost{path}", self.api))
            .header("X-API-Key", &self.key)
            .json(body)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("{} {}", status.as_u16(), answer.text().await.unwrap_or_default()))
    }
}

fn record(content: &str) -> Value {
    json!({ "content": content, "disabled": false })
}
