//! What can be moved: the CA's clock, the windows of its certificates, and the root that a chain leads to.

use certkeep_sandbox::{Fault, Options, RetryAfter, Sandbox, Times};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use x509_parser::extensions::ParsedExtension;
use x509_parser::parse_x509_certificate;

use crate::acme_client::{Client, Reply, b64, csr, ders};
use crate::certificates::{verify, verify_by};

const NAMES: [&str; 1] = ["a.example.com"];

async fn start() -> (Sandbox, Client) {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    (sandbox, client)
}

/// The certificate identifier of RFC 9773 §4.1.
fn renewal_id(chain: &Reply) -> String {
    let leaf = ders(&chain.body).remove(0);
    let (_, leaf) = parse_x509_certificate(&leaf).unwrap();
    let key_id = leaf.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    });
    format!("{}.{}", b64(key_id.unwrap()), b64(leaf.raw_serial()))
}

async fn info(client: &Client, id: &str) -> (Value, String) {
    let reply = client.http.get(format!("{}/{id}", client.url("renewalInfo"))).send().await.unwrap();
    let retry_after = reply.headers()["retry-after"].to_str().unwrap().to_owned();
    (serde_json::from_str(&reply.text().await.unwrap()).unwrap(), retry_after)
}

#[tokio::test]
async fn windows_are_moved_with_a_page_that_says_why() {
    let (sandbox, client) = start().await;
    let id = renewal_id(&client.certificate(&sandbox, &NAMES).await);
    assert!(info(&client, &id).await.0.get("explanationURL").is_none());
    let (start, end) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    sandbox.faults().set_renewal_window(Some((start.parse().unwrap(), end.parse().unwrap())));
    sandbox.faults().set_renewal_retry_after(Some(RetryAfter::Seconds(60)));
    let (document, retry_after) = info(&client, &id).await;
    assert_eq!((&document["suggestedWindow"]["start"], &document["suggestedWindow"]["end"]), (&start.into(), &end.into()));
    assert_eq!(retry_after, "60");
    let page = client.http.get(document["explanationURL"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(page.status(), 200);
    sandbox.faults().set_renewal_window(None);
    assert_ne!(info(&client, &id).await.0["suggestedWindow"]["start"], start);
}

#[tokio::test]
async fn a_window_that_is_over_is_proposed_as_asked() {
    let (sandbox, client) = start().await;
    let id = renewal_id(&client.certificate(&sandbox, &NAMES).await);
    sandbox.faults().set(Fault::RenewalDue, Times::Next(1));
    let (document, _) = info(&client, &id).await;
    let end: Timestamp = document["suggestedWindow"]["end"].as_str().unwrap().parse().unwrap();
    let (later, _) = info(&client, &id).await;
    let usual: Timestamp = later["suggestedWindow"]["start"].as_str().unwrap().parse().unwrap();
    assert!(end < usual, "{document} {later}");
}

#[tokio::test]
async fn the_clock_of_the_ca_can_be_wrong() {
    let (sandbox, client) = start().await;
    let begins = async || {
        let chain = ders(&client.certificate(&sandbox, &NAMES).await.body);
        let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
        leaf.validity().not_before.timestamp()
    };
    let right = begins().await;
    for hours in [1, -1] {
        sandbox.faults().set_clock_offset(SignedDuration::from_hours(hours));
        let moved = begins().await - right;
        assert!((hours * 3600..hours * 3600 + 60).contains(&moved), "{hours} h: {moved} s");
    }
}

#[tokio::test]
async fn two_chains_lead_to_two_roots() {
    let (sandbox, client) = start().await;
    let (_, order) = client.authorized(&sandbox, &NAMES).await;
    let url = client.finalize(&order, &csr(&NAMES)).await.member("certificate");
    let default = client.read(&url).await;
    let alternate = default
        .headers
        .get_all("link")
        .iter()
        .find_map(|link| link.to_str().unwrap().strip_suffix(">;rel=\"alternate\"")?.strip_prefix('<'))
        .unwrap();
    let (first, second) = (ders(&default.body), ders(&client.read(alternate).await.body));
    assert_eq!(first[0], second[0]);
    verify(&sandbox, &first, NAMES[0]).unwrap();
    verify(&sandbox, &second, NAMES[0]).unwrap_err();
    verify_by(&sandbox.other_root_pem(), &second, NAMES[0]).unwrap();
    verify_by(&sandbox.other_root_pem(), &first, NAMES[0]).unwrap_err();
}
