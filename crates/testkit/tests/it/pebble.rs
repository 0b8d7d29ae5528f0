use std::fs;
use std::path::Path;
use std::process::Stdio;

use certkeep_testkit::peers::{DnsRouter, ExternalAccount, Pebble, PebbleOptions, PowerDns, RecordType, free_port, http_client};
use serde_json::Value;
use tokio::process::Command;

use crate::process_exists;

/// A resolver's address at which nobody answers: enough for tests that never get to a validation.
fn no_resolver() -> PebbleOptions {
    PebbleOptions::new(([127, 0, 0, 1], free_port()).into())
}

async fn directory(pebble: &Pebble) -> Value {
    let client = http_client(pebble.tls_root_pem());
    let text = client.get(pebble.directory_url()).send().await.expect("the root is right").text().await;
    serde_json::from_str(&text.expect("there is a body")).expect("the directory is JSON")
}

#[tokio::test]
async fn the_directory_is_read_by_https_with_the_root_given() {
    let pebble = Pebble::start(no_resolver()).await;
    let directory = directory(&pebble).await;
    assert!(directory["newOrder"].is_string(), "{directory}");
    assert!(pebble.issuing_root_pem().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_ne!(pebble.issuing_root_pem(), pebble.tls_root_pem());

    let stranger = http_client(pebble.issuing_root_pem()).get(pebble.directory_url()).send().await;
    assert!(stranger.is_err(), "another root is not enough");
}

#[tokio::test]
async fn an_external_account_is_asked_for_when_there_is_one() {
    let account = ExternalAccount {
        key_id: "kid-1".into(),
        hmac_key: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W".into(),
    };
    let bound = PebbleOptions { external_account: Some(account), ..no_resolver() };
    let (bound, free) = tokio::join!(Pebble::start(bound), Pebble::start(no_resolver()));
    assert_eq!(directory(&bound).await["meta"]["externalAccountRequired"], true);
    assert_eq!(directory(&free).await["meta"]["externalAccountRequired"], false);
}

#[tokio::test]
async fn it_is_gone_with_its_handle_and_a_second_one_lives_on() {
    let (first, second) = tokio::join!(Pebble::start(no_resolver()), Pebble::start(no_resolver()));
    let pid = first.pid();
    assert!(process_exists(pid));
    drop(first);
    assert!(!process_exists(pid));
    directory(&second).await;
}

#[tokio::test]
async fn a_client_gets_the_certificate_that_the_options_describe() {
    let powerdns = PowerDns::start(&["example.test"]).await;
    let router = DnsRouter::start([("example.test", powerdns.dns_addr())]).await;
    let options = PebbleOptions { validity_seconds: 600, chain_length: 2, ..PebbleOptions::new(router.dns_addr()) };
    let pebble = Pebble::start(options).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };

    let lego = Command::new("lego")
        .args(["--accept-tos", "--email", "somebody@example.test", "--dns", "pdns", "--dns.disable-cp"])
        .args(["--dns.resolvers", &router.dns_addr().to_string(), "--server", &pebble.directory_url()])
        .args(["--domains", "*.example.test", "--path"])
        .arg(folder.path().join("lego"))
        .arg("run")
        .env("PDNS_API_URL", powerdns.api_url())
        .env("PDNS_API_KEY", powerdns.api_key())
        .env("LEGO_CA_CERTIFICATES", file("https-root.pem", pebble.tls_root_pem()))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("lego is missing: install the Debian package lego");
    let said = String::from_utf8_lossy(&lego.stderr);
    assert!(lego.status.success(), "{said}\n{}", pebble.log_tail());

    let issued = folder.path().join("lego/certificates/_.example.test.crt");
    let root = file("issuing-root.pem", pebble.issuing_root_pem());
    let verified = openssl(&["verify", "-CAfile"], &root, &["-untrusted"], &issued).await;
    assert!(verified, "the chain leads to the root");
    assert_eq!(fs::read_to_string(&issued).unwrap().matches("BEGIN CERTIFICATE").count(), 3, "leaf, two intermediates");
    assert!(lasts(&issued, 300).await, "it is valid for ten minutes");
    assert!(!lasts(&issued, 660).await, "and for no longer");
    assert!(powerdns.txt("_acme-challenge.example.test").await.is_empty(), "lego tidied up");
    let question = ("_acme-challenge.example.test", RecordType::TXT);
    assert!(router.asked().iter().any(|asked| (asked.name.as_str(), asked.qtype) == question));
}

/// Whether openssl says yes to `certificate`.
async fn openssl(before: &[&str], root: &Path, between: &[&str], certificate: &Path) -> bool {
    let output = Command::new("openssl")
        .args(before)
        .arg(root)
        .args(between)
        .arg(certificate)
        .arg(certificate)
        .output()
        .await
        .expect("openssl is missing: install the Debian package openssl");
    output.status.success()
}

/// Whether `certificate` is still valid in so many seconds.
async fn lasts(certificate: &Path, seconds: u32) -> bool {
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-checkend", &seconds.to_string(), "-in"])
        .arg(certificate)
        .output()
        .await
        .expect("openssl is missing: install the Debian package openssl");
    output.status.success()
}
