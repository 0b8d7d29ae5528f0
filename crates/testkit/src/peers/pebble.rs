//! Pebble: an ACME CA that validates for real and misbehaves on purpose.
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::json;

use super::http_client;
use super::port::{free_port, loopback};
use super::process::{Process, Program, Release, launch};

/// A Pebble with renewal information and profiles.
const NEWER: Program = Program { name: "pebble", package: "pebble", release: Release::Next };
const PEBBLE: Program = Program { name: "pebble", package: "pebble", release: Release::Here };

/// How a Pebble behaves. Build it by [`PebbleOptions::new`] and change what a test is about.
#[derive(Clone, Debug)]
pub struct PebbleOptions {
    /// The resolver it validates through.
    pub dns: SocketAddr,
    /// How many percent of good nonces it refuses, so that every client has to try again now and then.
    pub bad_nonce_percent: u8,
    /// The only accounts it lets register, if any (RFC 8555 §7.3.4); without one it asks for no binding.
    pub external_account: Option<ExternalAccount>,
    /// Seconds from the start of a certificate's validity to its end.
    pub validity_seconds: u64,
    /// How many intermediates lie between a leaf and the root.
    pub chain_length: u8,
    /// How many further roots have signed the topmost intermediate: an alternate chain leads to each (RFC 8555 §7.4.2).
    pub alternate_roots: u8,
    /// How many percent of new orders find an authorization of an earlier one still valid.
    pub authorization_reuse_percent: u8,
    /// Names it refuses to issue for (`rejectedIdentifier`), with all below them.
    pub blocked_domains: Vec<String>,
    /// Whether it sleeps up to some seconds before each validation.
    pub sleep: bool,
    /// Whether it enforces changes that are announced for the protocol.
    pub strict: bool,
    /// Whether it is the Pebble of a newer Debian, which has renewal information and the profiles `default` and
    /// `shortlived`.
    pub newer: bool,
}

/// An account that the CA knows beforehand.
#[derive(Clone, Debug)]
pub struct ExternalAccount {
    /// Key identifier.
    pub key_id: String,
    /// MAC key, base64url without padding; at least 32 bytes.
    pub hmac_key: String,
}

impl PebbleOptions {
    /// Validates through `dns` without sleeping, refuses 10 % of nonces, issues for 90 days below one intermediate and
    /// never reuses an authorization.
    pub fn new(dns: SocketAddr) -> Self {
        Self {
            dns,
            bad_nonce_percent: 10,
            external_account: None,
            validity_seconds: 90 * 24 * 60 * 60,
            chain_length: 1,
            alternate_roots: 0,
            authorization_reuse_percent: 0,
            blocked_domains: vec!["blocked.test".into()],
            sleep: false,
            strict: false,
            newer: false,
        }
    }
}

/// A running Pebble.
#[derive(Debug)]
pub struct Pebble {
    process: Process,
    setup: Setup,
    issuing_root_pem: String,
    alternate_roots: u8,
}

#[derive(Clone, Debug)]
struct Setup {
    acme: SocketAddr,
    management: SocketAddr,
    tls_root_pem: String,
}

impl Pebble {
    /// Starts a Pebble.
    pub async fn start(options: PebbleOptions) -> Self {
        let (process, setup, issuing_root_pem) = launch(
            if options.newer { NEWER } else { PEBBLE },
            |folder, command| prepare(&options, folder, command),
            async |setup: Setup| {
                setup.fetch(setup.acme, "/dir").await?;
                setup.fetch(setup.management, "/roots/0").await
            },
        )
        .await;
        Self { process, setup, issuing_root_pem, alternate_roots: options.alternate_roots }
    }

    /// Where ACME clients begin (RFC 8555 §7.1.1); HTTPS.
    pub fn directory_url(&self) -> String {
        format!("https://{}/dir", self.setup.acme)
    }

    /// Root of the management interface; HTTPS by the same root as the directory.
    pub fn management_url(&self) -> String {
        format!("https://{}", self.setup.management)
    }

    /// The root certificate of its own HTTPS; not the one it issues by.
    pub fn tls_root_pem(&self) -> &str {
        &self.setup.tls_root_pem
    }

    /// The root certificate of what it issues; a new one at each start.
    pub fn issuing_root_pem(&self) -> &str {
        &self.issuing_root_pem
    }

    /// The further root certificates of what it issues, as many as were asked for.
    pub async fn alternate_root_pems(&self) -> Vec<String> {
        let mut roots = Vec::new();
        for number in 1..=self.alternate_roots {
            roots.extend(self.setup.fetch(self.setup.management, &format!("/roots/{number}")).await);
        }
        roots
    }

    /// What it knows of a certificate, by the serial number in hexadecimal: `Valid`, `Revoked` and the like.
    pub async fn certificate_status(&self, serial: &str) -> Option<String> {
        let told = self.setup.fetch(self.setup.management, &format!("/cert-status-by-serial/{serial}")).await?;
        let told: serde_json::Value = serde_json::from_str(&told).ok()?;
        Some(told.get("Status")?.as_str()?.to_owned())
    }

    /// Has it answer `document` to whoever asks for renewal information about this certificate (PEM); only a newer one can.
    pub async fn set_renewal_info(&self, certificate: &str, document: &serde_json::Value) {
        let client = http_client(&self.setup.tls_root_pem);
        let order = json!({ "certificate": certificate, "ariResponse": document.to_string() });
        let sent = client.post(format!("{}/set-renewal-info/", self.management_url())).body(order.to_string()).send().await;
        let done = sent.and_then(reqwest::Response::error_for_status);
        if let Err(error) = done {
            self.process.fail(format_args!("renewal information cannot be set: {error}"));
        }
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

impl Setup {
    async fn fetch(&self, server: SocketAddr, path: &str) -> Option<String> {
        let answer = http_client(&self.tls_root_pem).get(format!("https://{server}{path}")).send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }
}

fn prepare(options: &PebbleOptions, folder: &Path, command: &mut Command) -> Setup {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("the temporary folder can be written");
    let (acme, management) = (loopback(free_port()), loopback(free_port()));
    let https = Https::generate();
    write("certificate.pem", &https.certificate_pem);
    write("key.pem", &https.key_pem);
    let mac_keys: serde_json::Map<_, _> =
        options.external_account.iter().map(|account| (account.key_id.clone(), json!(account.hmac_key))).collect();
    let configuration = json!({ "pebble": {
        "listenAddress": acme.to_string(),
        "managementListenAddress": management.to_string(),
        "certificate": "certificate.pem",
        "privateKey": "key.pem",
        // Where HTTP-01 and TLS-ALPN-01 would be validated: nothing listens there.
        "httpPort": free_port(),
        "tlsPort": free_port(),
        "ocspResponderURL": "",
        "externalAccountBindingRequired": options.external_account.is_some(),
        "externalAccountMACKeys": mac_keys,
        "domainBlocklist": options.blocked_domains,
        "retryAfter": { "authz": 1, "order": 1 },
        // Up to 2.4 validity is one number, later versions have it in profiles; each ignores the other's key.
        "certificateValidityPeriod": options.validity_seconds,
        "profiles": {
            "default": { "description": "the tests' profile", "validityPeriod": options.validity_seconds },
            "shortlived": { "description": "six days", "validityPeriod": 6 * 24 * 60 * 60 },
        },
    }});
    write("pebble.json", &configuration.to_string());
    command
        .args(["-config", "pebble.json", "-dnsserver", &options.dns.to_string()])
        .arg(format!("-strict={}", options.strict))
        .env("PEBBLE_WFE_NONCEREJECT", options.bad_nonce_percent.to_string())
        .env("PEBBLE_AUTHZREUSE", options.authorization_reuse_percent.to_string())
        .env("PEBBLE_CHAIN_LENGTH", options.chain_length.to_string())
        .env("PEBBLE_ALTERNATE_ROOTS", options.alternate_roots.to_string())
        .env("PEBBLE_VA_ALWAYS_VALID", "0")
        .env("PEBBLE_VA_NOSLEEP", if options.sleep { "0" } else { "1" });
    Setup { acme, management, tls_root_pem: https.root_pem }
}

/// A certificate for loopback below a root that nobody else has, so that an answer accepted by this root comes from
/// this very Pebble.
struct Https {
    root_pem: String,
    certificate_pem: String,
    key_pem: String,
}

impl Https {
    fn generate() -> Self {
        let mut root = CertificateParams::default();
        root.distinguished_name.push(DnType::CommonName, "certkeep testkit: Pebble's own HTTPS");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root_key = KeyPair::generate().expect("a key can be made");
        let root_pem = root.self_signed(&root_key).expect("a root can be made").pem();

        let mut leaf = CertificateParams::new(["localhost".into(), "127.0.0.1".into()]).expect("the names are valid");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let leaf_key = KeyPair::generate().expect("a key can be made");
        let signed = leaf.signed_by(&leaf_key, &Issuer::new(root, root_key)).expect("a certificate can be made");
        Self { root_pem, certificate_pem: signed.pem(), key_pem: leaf_key.serialize_pem() }
    }
}
