//! The scenario against a real PowerDNS.
use std::sync::Arc;

use certkeep_core::failure::Code;
use certkeep_core::issuance::TxtRecord;
use certkeep_core::ports::DnsProvider;
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_testkit::peers::PowerDns;
use futures::future::join_all;

use super::bench::{NAME, connect, record};

fn provider(server: &PowerDns, key: &str) -> Arc<dyn DnsProvider> {
    let registry = Registry::new(RegistryOptions::default());
    connect(&registry, "pdns", &[("Host", server.api_url()), ("APIKey", key.to_owned())]).unwrap()
}

async fn values(server: &PowerDns, name: &str) -> Vec<String> {
    let mut values = server.txt(name).await;
    values.sort_unstable();
    values
}

#[tokio::test]
async fn values_come_and_go_beside_a_neighbour() {
    let server = PowerDns::start(&["example.com", "sub.example.com"]).await;
    server.set(NAME, "TXT", &["\"a neighbour; \\\"quoted\\\"\""]).await;
    server.set(NAME, "A", &["192.0.2.7"]).await;
    let neighbour = values(&server, NAME).await;
    let (first, second) = (record(NAME, 1), record(NAME, 2));
    for order in [[&first, &second], [&second, &first]] {
        let provider = provider(&server, server.api_key());
        let zone = provider.find_zone(&first.name).await.unwrap();
        assert_eq!(zone.name, "example.com");
        for record in [&first, &second, &first] {
            provider.add(&zone, record).await.unwrap();
        }
        let with = |records: &[&TxtRecord]| {
            let mut all: Vec<String> = records.iter().map(|r| r.value.clone()).chain(neighbour.clone()).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(values(&server, NAME).await, with(&[&first, &second]));
        for _ in 0..2 {
            provider.remove(&zone, order[0], None).await.unwrap();
            assert_eq!(values(&server, NAME).await, with(&[order[1]]));
        }
        provider.remove(&zone, order[1], Some(&serde_json::Value::Null)).await.unwrap();
        assert_eq!(values(&server, NAME).await, neighbour);
    }
}

#[tokio::test]
async fn values_at_a_name_of_their_own_come_and_go_at_once() {
    let server = PowerDns::start(&["example.com", "sub.example.com"]).await;
    let provider = provider(&server, server.api_key());
    let name = "_acme-challenge.sub.example.com";
    let records: Vec<TxtRecord> = (1..=5).map(|number| record(name, number)).collect();
    let zone = provider.find_zone(&records[0].name).await.unwrap();
    assert_eq!(zone.name, "sub.example.com");
    assert!(join_all(records.iter().map(|record| provider.add(&zone, record))).await.iter().all(Result::is_ok));
    let mut expected: Vec<String> = records.iter().map(|record| record.value.clone()).collect();
    expected.sort_unstable();
    assert_eq!(values(&server, name).await, expected);
    let removals = join_all(records.iter().map(|record| provider.remove(&zone, record, None))).await;
    assert!(removals.iter().all(Result::is_ok));
    assert_eq!(values(&server, name).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let server = PowerDns::start(&["example.com"]).await;
    let name = NAME.parse().unwrap();
    let failure = provider(&server, "not-the-key").find_zone(&name).await.unwrap_err();
    assert_eq!(failure.code, Code::CredentialsRejected, "{failure}");
    assert!(!failure.to_string().contains("not-the-key"));
    let right = provider(&server, server.api_key());
    let failure = right.find_zone(&"_acme-challenge.example.org".parse().unwrap()).await.unwrap_err();
    assert_eq!(failure.code, Code::ZoneNotFound, "{failure}");
    let registry = Registry::new(RegistryOptions::default());
    let parameters = [("Host", format!("{}/elsewhere", server.api_url())), ("APIKey", server.api_key().to_owned())];
    let failure = connect(&registry, "pdns", &parameters).unwrap().find_zone(&name).await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderUnreadable, "{failure}");
    let mut zone = right.find_zone(&name).await.unwrap();
    zone.saved["id"] = "example.org.".into();
    let failure = right.add(&zone, &record(NAME, 1)).await.unwrap_err();
    assert_eq!(failure.code, Code::ZoneNotFound, "{failure}");
    // A zone that is no longer there holds no record of ours.
    right.remove(&zone, &record(NAME, 1), None).await.unwrap();
}
