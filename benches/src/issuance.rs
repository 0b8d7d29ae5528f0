//! From application to certificate, beside lego, uacme and certbot, against the same Pebble and the same PowerDNS.
//!
//! Every client makes RSA-2048 keys and has an account already. The peers are run as their users run them, with the
//! shortest pauses that they can be told to make; certkeep is asked by `create` and polled by `get`.
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use certkeep_testkit::peers::{DnsRouter, Pebble, PebbleOptions, PowerDns};
use serde_json::{Value, json};

use crate::median;
use crate::service::{Service, add_client};

const ROUNDS: usize = 9;
pub(crate) const ZONE: &str = "example.test";
/// Between two polls of certkeep's API.
const POLL: Duration = Duration::from_millis(5);

/// The world that all clients share.
pub(crate) struct World {
    pub(crate) dns: PowerDns,
    router: DnsRouter,
    pub(crate) pebble: Pebble,
    folder: tempfile::TempDir,
}

/// A program that gets one certificate and ends.
struct Peer {
    name: &'static str,
    command: fn(&World, &str) -> Command,
}

pub(crate) async fn measure(certkeep: &Path) {
    let world = World::start().await;
    world.prepare_peers();

    let (folder, config) = (world.folder.path().join("data"), world.folder.path().join("certkeep.toml"));
    std::fs::write(&config, world.certkeep_config("rsa2048")).expect("written");
    let client = add_client(certkeep, &folder);
    let mut service = Service::start(certkeep, &folder, Some(&config));
    service.login(&client).await;
    let mut ours = Vec::new();
    let mut processor = Vec::new();
    let mut theirs: Vec<(&str, Vec<f64>, Vec<f64>)> = Vec::new();
    let peers = [lego(), uacme(), certbot()];
    for round in 0..=ROUNDS {
        let before = service.processor();
        let took = apply(&service, &world, &format!("a{round}.{ZONE}")).await;
        // The first of each registers an account.
        if round > 0 {
            ours.push(took);
            processor.push(service.processor() - before);
        }
        for (index, peer) in peers.iter().enumerate() {
            let (wall, used) = run(peer.command, &world, peer.name, &format!("b{round}-{index}.{ZONE}"));
            if theirs.len() <= index {
                theirs.push((peer.name, Vec::new(), Vec::new()));
            }
            if round > 0 {
                theirs[index].1.push(wall);
                theirs[index].2.push(used);
            }
        }
    }
    let (ours, processor) = (median(ours), median(processor));
    println!("\n| client | from application to certificate | certkeep's share of it | processor time |\n|---|---|---|---|");
    println!("| certkeep | {ours:.3} s | | {processor:.3} s |");
    for (name, wall, used) in theirs {
        let wall = median(wall);
        println!("| {name} | {wall:.3} s | {:.2} | {:.3} s |", ours / wall, median(used));
    }
}

/// Applies for a name; answers how long it took, in seconds.
pub(crate) async fn apply(service: &Service, world: &World, name: &str) -> f64 {
    let began = Instant::now();
    let created = service.post("certificate/create", &world.application(name)).await;
    assert_eq!(created["errcode"], 0, "{created}");
    let list: Value =
        serde_json::from_str(&service.get("certificate/list", "&sort_by=id&order_by=desc&page_size=1").await).expect("JSON");
    let id = list["certificate_list"][0]["id"].clone();
    loop {
        let answer: Value = serde_json::from_str(&service.get("certificate/get", &format!("&id={id}")).await).expect("JSON");
        match answer["certificate"]["apply_status"].as_str() {
            Some("issuance_success") => return began.elapsed().as_secs_f64(),
            Some("issuing") => tokio::time::sleep(POLL).await,
            _ => panic!("{answer}"),
        }
    }
}

/// Runs a peer to its end; answers wall and processor seconds.
fn run(command: fn(&World, &str) -> Command, world: &World, name: &str, domain: &str) -> (f64, f64) {
    let peer = command(world, domain);
    let used = world.folder.path().join("used");
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["-o"]).arg(&used).args(["-f", "%U %S"]).arg(peer.get_program()).args(peer.get_args());
    timed.envs(peer.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let began = Instant::now();
    let output = timed.output().expect("the Debian package time is installed");
    let wall = began.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{name}: {said}");
    let used = std::fs::read_to_string(used).expect("what time wrote");
    (wall, used.split_whitespace().map(|n| n.parse::<f64>().expect("seconds")).sum())
}

impl World {
    /// Starts Pebble and PowerDNS, and writes down the root to trust.
    pub(crate) async fn start() -> World {
        let dns = PowerDns::start(&[ZONE]).await;
        let router = DnsRouter::start([(ZONE, dns.dns_addr())]).await;
        let options = PebbleOptions { bad_nonce_percent: 0, ..PebbleOptions::new(router.dns_addr()) };
        let pebble = Pebble::start(options).await;
        let world = World { dns, router, pebble, folder: tempfile::tempdir().expect("a folder") };
        std::fs::write(world.path("root.pem"), world.pebble.tls_root_pem()).expect("written");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the peers need on disk: Pebble's root among the system's, and hooks that speak PowerDNS's API.
    fn prepare_peers(&self) {
        let system = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
        std::fs::write(self.path("bundle.pem"), system + self.pebble.tls_root_pem()).expect("written");
        let patch = format!(
            "curl -fsS -X PATCH -H 'X-API-Key: {}' -H 'Content-Type: application/json' -d \"{{\\\"rrsets\\\":[$r]}}\" {}/api/v1/servers/localhost/zones/{ZONE}.",
            self.dns.api_key(),
            self.dns.api_url()
        );
        let put = r#"r="{\"name\":\"$n\",\"type\":\"TXT\",\"ttl\":1,\"changetype\":\"REPLACE\",\"records\":[{\"content\":\"\\\"$v\\\"\",\"disabled\":false}]}""#;
        let take = r#"r="{\"name\":\"$n\",\"type\":\"TXT\",\"changetype\":\"DELETE\"}""#;
        self.script(
            "uacme-hook",
            &format!(
                "[ \"$2\" = dns-01 ] || exit 1\nn=_acme-challenge.$3. v=$5\ncase $1 in begin) {put};; *) {take};; esac\n{patch}\n"
            ),
        );
        self.script("certbot-auth", &format!("n=_acme-challenge.$CERTBOT_DOMAIN. v=$CERTBOT_VALIDATION\n{put}\n{patch}\n"));
        self.script("certbot-cleanup", &format!("n=_acme-challenge.$CERTBOT_DOMAIN.\n{take}\n{patch}\n"));
        let mut account = self.in_namespace("uacme");
        account.args(["-y", "-t", "RSA", "-a", &self.pebble.directory_url(), "-c"]).arg(self.path("uacme"));
        let output = account.args(["new", "bench@example.com"]).output().expect("unshare runs");
        assert!(output.status.success(), "uacme: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}")).expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("made executable");
    }

    /// uacme trusts the machine's roots only: a mount namespace of its own shows it Pebble's among them.
    fn in_namespace(&self, program: &str) -> Command {
        let mut command = Command::new("unshare");
        let mount = "mount --bind \"$1\" /etc/ssl/certs/ca-certificates.crt && shift && exec \"$@\"";
        command.args(["-m", "sh", "-c", mount, "sh"]).arg(self.path("bundle.pem")).arg(program);
        command
    }

    /// The body of an application for a name.
    pub(crate) fn application(&self, name: &str) -> Value {
        let auth = json!([
            { "k": "Host", "sv": self.dns.api_url() },
            { "k": "APIKey", "sv": self.dns.api_key() },
            { "k": "PollingInterval", "iv": 1 },
        ]);
        json!({ "type": "server", "ca_type": "apply", "issue_to": name, "dns_provider": "pdns", "auth_info_list": auth })
    }

    pub(crate) fn certkeep_config(&self, key_type: &str) -> String {
        let dns = self.router.dns_addr();
        format!(
            "[acme]\ndirectory = {:?}\nroots = [{:?}]\ncontact = [\"mailto:bench@example.com\"]\nkey_type = {key_type:?}\n\
             [dns]\nresolvers = [\"{dns}\"]\nauthoritative = [\"{dns}\"]\n",
            self.pebble.directory_url(),
            self.path("root.pem")
        )
    }
}

fn lego() -> Peer {
    let command = |world: &World, domain: &str| {
        let mut command = Command::new("lego");
        command.env("LEGO_CA_CERTIFICATES", world.path("root.pem")).env("PDNS_API_URL", world.dns.api_url());
        command.env("PDNS_API_KEY", world.dns.api_key()).env("PDNS_POLLING_INTERVAL", "1");
        command.args(["--accept-tos", "-s", &world.pebble.directory_url(), "-m", "bench@example.com", "--key-type", "rsa2048"]);
        command.arg("--path").arg(world.path("lego"));
        command.args(["--dns", "pdns", "--dns.disable-cp", "--dns.resolvers", &world.router.dns_addr().to_string()]);
        command.args(["-d", domain, "run"]);
        command
    };
    Peer { name: "lego", command }
}

fn uacme() -> Peer {
    let command = |world: &World, domain: &str| {
        let mut command = world.in_namespace("uacme");
        command.args(["-y", "-t", "RSA", "-b", "2048", "-a", &world.pebble.directory_url(), "-c"]).arg(world.path("uacme"));
        command.arg("-h").arg(world.path("uacme-hook")).args(["issue", domain]);
        command
    };
    Peer { name: "uacme", command }
}

fn certbot() -> Peer {
    let command = |world: &World, domain: &str| {
        let mut command = Command::new("certbot");
        command.env("REQUESTS_CA_BUNDLE", world.path("root.pem"));
        command.args(["certonly", "-n", "--agree-tos", "-m", "bench@example.com", "--server", &world.pebble.directory_url()]);
        for folder in ["config-dir", "work-dir", "logs-dir"] {
            command.arg(format!("--{folder}")).arg(world.path("certbot").join(folder));
        }
        command.args(["--key-type", "rsa", "--rsa-key-size", "2048", "--manual", "--preferred-challenges", "dns"]);
        command.arg("--manual-auth-hook").arg(world.path("certbot-auth"));
        command.arg("--manual-cleanup-hook").arg(world.path("certbot-cleanup")).args(["-d", domain]);
        command
    };
    Peer { name: "certbot", command }
}
