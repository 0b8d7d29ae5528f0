//! A provider connected to a simulated vendor.
use std::collections::BTreeMap;
use std::sync::Arc;

use certkeep_core::application::{AuthEntry, AuthValue};
use certkeep_core::failure::Failure;
use certkeep_core::issuance::TxtRecord;
use certkeep_core::ports::{DnsProvider, DnsProviders as _};
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_testkit::vendor::{Account, Service, Vendor};

/// Where challenge records stand in the scenario.
pub(super) const NAME: &str = "_acme-challenge.host.example.com";

/// A simulated vendor with two zones, one below the other.
pub(super) struct Bench {
    pub(super) vendor: Vendor,
    flag: &'static str,
}

impl Bench {
    pub(super) async fn start(service: Service) -> Bench {
        Bench::with_zones(service, &["example.com", "sub.example.com", "notexample.com"]).await
    }

    pub(super) async fn with_zones(service: Service, zones: &[&str]) -> Bench {
        let flag = match service {
            Service::Alidns => "alidns",
            Service::Cloudflare => "cloudflare",
            Service::DigitalOcean => "digitalocean",
            Service::HttpReq => "httpreq",
        };
        Bench { vendor: Vendor::start(service, Account::with_zones(zones)).await, flag }
    }

    /// The provider, as a process that was just started has it.
    pub(super) fn provider(&self) -> Arc<dyn DnsProvider> {
        self.provider_with(&self.vendor.parameters())
    }

    /// The provider with a secret that is not the account's.
    pub(super) fn wrong_provider(&self) -> Arc<dyn DnsProvider> {
        let mut parameters = self.vendor.parameters();
        let (_, secret) = parameters.last_mut().unwrap();
        secret.insert_str(0, WRONG);
        self.provider_with(&parameters)
    }

    pub(super) fn provider_with(&self, parameters: &[(&str, String)]) -> Arc<dyn DnsProvider> {
        let registry = Registry::new(RegistryOptions {
            extra_roots: vec![self.vendor.root()],
            endpoints: BTreeMap::from([(self.flag.to_owned(), self.vendor.url())]),
            ..RegistryOptions::default()
        });
        connect(&registry, self.flag, parameters).unwrap()
    }

    /// Fails the test when a secret is in what was told of a failure, or a request went where the vendor has nothing.
    pub(super) fn discreet(&self, failures: &[Failure]) {
        let (_, secret) = self.vendor.credentials();
        for failure in failures {
            for told in [failure.to_string(), format!("{failure:?}"), serde_json::to_string(failure).unwrap()] {
                assert!(!told.contains(&secret) && !told.contains(WRONG), "{told}");
            }
        }
        let strangers: Vec<_> = self.vendor.requests().into_iter().filter(|seen| !seen.known).collect();
        assert!(strangers.is_empty(), "{strangers:?}");
    }
}

const WRONG: &str = "WRONG";

/// A provider with these parameters, the texts given as texts.
pub(super) fn connect(registry: &Registry, flag: &str, parameters: &[(&str, String)]) -> Result<Arc<dyn DnsProvider>, Failure> {
    let entry = |(k, v): &(&str, String)| AuthEntry { k: (*k).to_owned(), value: AuthValue::Text(v.as_str().into()) };
    let given: Vec<AuthEntry> = parameters.iter().map(entry).collect();
    registry.connect(flag, &registry.descriptor(flag).unwrap().parameters(&given).unwrap())
}

/// A challenge record; two numbers make two values as long as real ones.
pub(super) fn record(name: &str, number: usize) -> TxtRecord {
    TxtRecord { name: name.parse().unwrap(), value: format!("{number}_{}-", "v".repeat(41 - number.to_string().len())) }
}
