//! lego, an ACME client of others, against the sandbox and its PowerDNS API.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Output, Stdio};

use certkeep_sandbox::{Fault, Options, Sandbox, Times};
use tempfile::TempDir;
use tokio::process::Command;

use crate::acme_client::ders;
use crate::certificates::verify;

/// Runs lego to its end; it is killed with the test.
async fn lego(sandbox: &Sandbox, home: &Path, names: &[&str], more: &[&str]) -> Output {
    let roots = home.join("roots.pem");
    fs::write(&roots, sandbox.tls_root_pem()).unwrap();
    let mut command = Command::new("lego");
    command
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LEGO_CA_CERTIFICATES", &roots)
        .env("PDNS_API_URL", sandbox.dns_api_url())
        .env("PDNS_API_KEY", sandbox.dns_api_key())
        .env("PDNS_POLLING_INTERVAL", "1")
        .args(["--server", sandbox.directory_url()])
        .args(["--email", "admin@example.com", "--accept-tos"])
        .args(["--dns", "pdns", "--dns.resolvers"])
        .arg(sandbox.dns_addr().to_string())
        // lego would ask the zone's name servers at port 53.
        .arg("--dns.disable-cp")
        .arg("--path")
        .arg(home);
    for name in names {
        command.args(["--domains", name]);
    }
    let child = command
        .args(more)
        .arg("run")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| match error.kind() {
            ErrorKind::NotFound => panic!("lego is missing: apt-get install lego"),
            _ => panic!("lego does not start: {error}"),
        });
    child.wait_with_output().await.unwrap()
}

fn story(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn chain(home: &TempDir, name: &str) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    let path = home.path().join("certificates").join(format!("{name}.crt"));
    ders(&fs::read_to_string(path).unwrap())
}

#[tokio::test]
async fn lego_gets_a_certificate() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let home = TempDir::new().unwrap();
    let output = lego(&sandbox, home.path(), &["a.example.com"], &[]).await;
    assert!(output.status.success(), "{}", story(&output));
    verify(&sandbox, &chain(&home, "a.example.com"), "a.example.com").unwrap();
    assert_eq!((sandbox.orders(), sandbox.issued()), (1, 1));
    assert!(sandbox.txt_records().is_empty(), "lego has cleaned up");
}

#[tokio::test]
async fn lego_gets_wildcard_and_base_in_one_order() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let home = TempDir::new().unwrap();
    let names = ["*.example.com", "example.com"];
    let output = lego(&sandbox, home.path(), &names, &["--key-type", "rsa2048"]).await;
    assert!(output.status.success(), "{}", story(&output));
    let chain = chain(&home, "_.example.com");
    verify(&sandbox, &chain, "any.example.com").unwrap();
    verify(&sandbox, &chain, "example.com").unwrap();
    assert!(sandbox.txt_records().is_empty(), "lego has cleaned up");
}

#[tokio::test]
async fn lego_comes_through_bad_nonces() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    sandbox.faults().set(Fault::BadNonce, Times::Every(3));
    let home = TempDir::new().unwrap();
    let output = lego(&sandbox, home.path(), &["a.example.com"], &[]).await;
    assert!(output.status.success(), "{}", story(&output));
    assert!(sandbox.faults().fired(Fault::BadNonce) >= 2);
}

#[tokio::test]
async fn lego_shows_an_external_account() {
    let options = Options { require_eab: Some(("kid-1".to_owned(), b"sixteen byte key".to_vec())), ..Options::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let home = TempDir::new().unwrap();
    let hmac = crate::acme_client::b64(b"sixteen byte key");
    let more = ["--eab", "--kid", "kid-1", "--hmac", &hmac];
    let output = lego(&sandbox, home.path(), &["a.example.com"], &more).await;
    assert!(output.status.success(), "{}", story(&output));

    let home = TempDir::new().unwrap();
    let output = lego(&sandbox, home.path(), &["a.example.com"], &[]).await;
    assert!(!output.status.success());
    assert_eq!(sandbox.issued(), 1);
}

#[tokio::test]
async fn lego_is_refused_when_the_record_is_wrong() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    sandbox.faults().set(Fault::WrongTxtView, Times::Always);
    let home = TempDir::new().unwrap();
    let output = lego(&sandbox, home.path(), &["a.example.com"], &[]).await;
    assert!(!output.status.success());
    let story = story(&output);
    assert!(story.contains("urn:ietf:params:acme:error:incorrectResponse"), "{story}");
    assert_eq!(sandbox.issued(), 0);
    assert!(sandbox.txt_records().is_empty(), "lego has cleaned up");
}
