//! Challenge names that lead into another provider's zone: who writes there is told by the configuration.
use std::sync::Arc;

use certkeep_core::application::{AuthEntry, Delegation};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::ports::{DnsProvider, DnsProviders};
use certkeep_core::provider::{Descriptor, Parameters};
use certkeep_engine::Ports;
use certkeep_engine::inventory::ApplicationInput;
use certkeep_store::SqlStore;
use certkeep_testkit::clock::MovableClock;
use certkeep_testkit::peers::{Bind, DnsRouter, Fault, Pebble, PebbleOptions, PowerDns, RecordType, ResponseCode};
use certkeep_testkit::wait::{PATIENCE, eventually};
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::house::{Running, ports, settings};
use super::peers::{pdns, rfc2136};

const NAMES: &str = "pbx.example.test,www.example.test";
const TARGET: &str = "pbx.challenges.test";

/// Two providers, of which the second has the zone that the first one's pbx is delegated to, and a CA that asks both.
struct Stage {
    served: PowerDns,
    challenges: Bind,
    router: DnsRouter,
    pebble: Pebble,
    folder: TempDir,
}

impl Stage {
    async fn set() -> Stage {
        let (served, challenges) = tokio::join!(PowerDns::start(&["example.test"]), Bind::start(&["challenges.test"]));
        served.add_cname("_acme-challenge.pbx.example.test", TARGET).await;
        let routes = [("example.test", served.dns_addr()), ("challenges.test", challenges.dns_addr())];
        let router = DnsRouter::start(routes).await;
        let pebble = Pebble::start(PebbleOptions::new(router.dns_addr())).await;
        Stage { served, challenges, router, pebble, folder: TempDir::new().expect("a folder") }
    }

    /// An engine whose configuration names BIND, by these parameters, for the targets.
    async fn start(&self, auth: Vec<AuthEntry>, wrap: impl FnOnce(Ports) -> Ports) -> Running {
        let options = certkeep_store::Options { folder: self.folder.path().to_owned(), key_file: None };
        let open = || async { SqlStore::open_exclusive(&options).await.ok() };
        let store = eventually(PATIENCE, "the data folder", open).await;
        let mut settings = settings(&self.pebble.directory_url(), self.pebble.tls_root_pem());
        let suffix = "challenges.test".parse().unwrap();
        settings.delegations = vec![Delegation { suffix, dns_provider: "rfc2136".to_owned(), auth }];
        let ports = ports(&store, &MovableClock::running(), self.router.dns_addr());
        Running::start(store, wrap(ports), settings).await
    }

    fn input(&self) -> ApplicationInput {
        ApplicationInput { dns_provider: Some("pdns".to_owned()), auth: Some(pdns(&self.served)) }
    }

    async fn nothing_is_left(&self) {
        assert_eq!(self.challenges.txt(TARGET).await, Vec::<String>::new());
        assert_eq!(self.served.txt("_acme-challenge.www.example.test").await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_certificate_by_two_providers() {
    let stage = Stage::set().await;
    let auth = rfc2136(stage.challenges.dns_addr(), stage.challenges.tsig());
    let running = stage.start(auth, |ports| ports).await;
    let id = running.apply(NAMES, stage.input()).await;
    running.issued(id).await;
    let asked = stage.router.asked();
    let looked_at = |name: &str| asked.iter().any(|asked| asked.qtype == RecordType::TXT && asked.name == name);
    assert!(looked_at(TARGET) && looked_at("_acme-challenge.www.example.test"));
    stage.nothing_is_left().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_before_a_kill_is_removed_by_the_key_that_the_configuration_has_now() {
    let stage = Stage::set().await;
    let (old, new) = (stage.challenges.tsig(), stage.challenges.tsig_sha512());
    let running = stage.start(rfc2136(stage.challenges.dns_addr(), old), |ports| ports).await;
    // Nobody sees the record, so that the issuance waits where it is.
    stage.router.inject(Fault::at("challenges.test").qtype(RecordType::TXT).code(ResponseCode::NXDomain));
    running.apply(NAMES, stage.input()).await;
    let awaited = || async {
        let asked = stage.router.asked();
        asked.iter().any(|asked| asked.qtype == RecordType::TXT && asked.name == TARGET).then_some(())
    };
    eventually(PATIENCE, "the wait for the record", awaited).await;
    running.kill().await;
    assert_eq!(stage.challenges.txt(TARGET).await.len(), 1);

    stage.router.heal();
    let refuse = |ports: Ports| {
        let providers = Arc::new(Refusing { others: ports.providers, key: old.name.clone() });
        Ports { providers, ..ports }
    };
    let running = stage.start(rfc2136(stage.challenges.dns_addr(), new), refuse).await;
    let id = running.by_name("pbx.example.test.pem").await;
    running.issued(id).await;
    stage.nothing_is_left().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_before_a_kill_is_removed_though_the_configuration_knows_no_delegation_any_more() {
    let stage = Stage::set().await;
    let auth = rfc2136(stage.challenges.dns_addr(), stage.challenges.tsig());
    let running = stage.start(auth, |ports| ports).await;
    stage.router.inject(Fault::at("challenges.test").qtype(RecordType::TXT).code(ResponseCode::NXDomain));
    running.apply(NAMES, stage.input()).await;
    let up = || async { (stage.challenges.txt(TARGET).await.len() == 1).then_some(()) };
    eventually(PATIENCE, "the record to stand", up).await;
    running.kill().await;

    stage.router.heal();
    let store = {
        let options = certkeep_store::Options { folder: stage.folder.path().to_owned(), key_file: None };
        eventually(PATIENCE, "the data folder", || async { SqlStore::open_exclusive(&options).await.ok() }).await
    };
    let settings = settings(&stage.pebble.directory_url(), stage.pebble.tls_root_pem());
    let ports = ports(&store, &MovableClock::running(), stage.router.dns_addr());
    let running = Running::start(store, ports, settings).await;
    let id = running.by_name("pbx.example.test.pem").await;
    running.issued(id).await;
    stage.nothing_is_left().await;
    running.stop().await;
}

/// Providers of which one no longer takes a key.
struct Refusing {
    others: Arc<dyn DnsProviders>,
    key: String,
}

impl DnsProviders for Refusing {
    fn descriptors(&self) -> Vec<&Descriptor> {
        self.others.descriptors()
    }

    fn descriptor(&self, flag: &str) -> Option<&Descriptor> {
        self.others.descriptor(flag)
    }

    fn connect(&self, flag: &str, parameters: &Parameters) -> Result<Arc<dyn DnsProvider>, Failure> {
        if parameters.text("TSIGKey").is_some_and(|key| key.expose_secret() == self.key) {
            return Err(Failure::new(Code::CredentialsRejected, "remove record"));
        }
        self.others.connect(flag, parameters)
    }

    fn asks_for_zones(&self, flag: &str, parameters: &Parameters) -> bool {
        self.others.asks_for_zones(flag, parameters)
    }
}
