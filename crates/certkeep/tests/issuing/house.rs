//! The engine on real adapters, with a sandbox for the outside world.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use certkeep_acme::AcmeIssuer;
use certkeep_core::application::{AuthEntry, AuthValue, Names};
use certkeep_core::certificate::{ApplyStatus, Certificate, CertificateId, ListQuery, Role, Server, SortBy};
use certkeep_core::failure::Failure;
use certkeep_core::material::KeyType;
use certkeep_core::ports::{CertificateAuthority, Issuances, Propagation, Renewals};
use certkeep_core::renewal::Policy;
use certkeep_core::schedule::Pace;
use certkeep_core::time::Clock;
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_dns::resolver::{Authoritative, DnsResolver, ResolverOptions};
use certkeep_engine::inventory::{ApplicationInput, Create, Entry};
use certkeep_engine::{Choice, Engine, Ports, Settings};
use certkeep_sandbox::{Options, Sandbox};
use certkeep_store::SqlStore;
use certkeep_testkit::clock::MovableClock;
use certkeep_testkit::peers::DnsRouter;
use certkeep_testkit::wait::{PATIENCE, eventually};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The outside world, a data folder, and a clock.
pub(crate) struct House {
    pub(crate) sandbox: Sandbox,
    /// The DNS that certkeep asks: knows the sandbox's zones, and denies every other name.
    pub(crate) router: DnsRouter,
    pub(crate) clock: MovableClock,
    pub(crate) folder: TempDir,
}

/// A running engine.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    pub(crate) store: SqlStore,
    stop: watch::Sender<bool>,
    work: JoinHandle<()>,
}

impl House {
    pub(crate) async fn new(options: Options) -> House {
        let zones = options.zones.clone();
        let sandbox = Sandbox::start(options).await.expect("the sandbox starts");
        let router = DnsRouter::start(zones.iter().map(|zone| (zone.as_str(), sandbox.dns_addr()))).await;
        House { sandbox, router, clock: MovableClock::running(), folder: TempDir::new().expect("a folder") }
    }

    pub(crate) fn ports(&self, store: &SqlStore) -> Ports {
        ports(store, &self.clock, self.router.dns_addr())
    }

    pub(crate) fn settings(&self) -> Settings {
        settings(self.sandbox.directory_url(), self.sandbox.tls_root_pem())
    }

    /// The store of the data folder; waits until an engine that was killed has let go of it.
    pub(crate) async fn store(&self) -> SqlStore {
        let options = certkeep_store::Options { folder: self.folder.path().to_owned(), key_file: None };
        eventually(PATIENCE, "the data folder", || async { SqlStore::open_exclusive(&options).await.ok() }).await
    }

    /// Moves the clock on where it is in the first minutes of an hour, or nearly: renewals in good time do not begin then.
    pub(crate) fn leave_the_rush(&self) {
        let into_the_hour = self.clock.now().as_second().rem_euclid(3600);
        if !(150..3570).contains(&into_the_hour) {
            self.clock.advance(SignedDuration::from_secs((150 - into_the_hour).rem_euclid(3600)));
        }
    }

    pub(crate) async fn start(&self) -> Running {
        self.start_with(|ports| ports, self.settings()).await
    }

    pub(crate) async fn start_with(&self, wrap: impl FnOnce(Ports) -> Ports, settings: Settings) -> Running {
        let store = self.store().await;
        Running::start(store.clone(), wrap(self.ports(&store)), settings).await
    }

    /// The parameters of the sandbox's DNS API.
    pub(crate) fn auth(&self) -> Vec<AuthEntry> {
        vec![
            text("Host", self.sandbox.dns_api_url()),
            text("APIKey", self.sandbox.dns_api_key()),
            integer("PropagationTimeout", 3),
            integer("PollingInterval", 1),
        ]
    }

    pub(crate) fn input(&self) -> ApplicationInput {
        ApplicationInput { dns_provider: Some("pdns".to_owned()), auth: Some(self.auth()) }
    }
}

/// The real adapters, all questions of DNS going to one address.
pub(crate) fn ports(store: &SqlStore, clock: &MovableClock, dns: SocketAddr) -> Ports {
    let options =
        ResolverOptions { servers: vec![dns], authoritative: Authoritative::Fixed(vec![dns]), ..ResolverOptions::default() };
    Ports {
        store: Arc::new(store.clone()),
        providers: Arc::new(Registry::new(RegistryOptions::default())),
        resolver: Arc::new(DnsResolver::new(options).expect("a resolver")),
        issuer: Arc::new(AcmeIssuer::new(Arc::new(clock.clone()))),
        clock: Arc::new(clock.clone()),
    }
}

/// What an operator of a private CA would configure.
pub(crate) fn settings(directory: &str, root_pem: &str) -> Settings {
    Settings {
        cas: Choice::of(
            CertificateAuthority {
                directory: directory.to_owned(),
                roots: vec![root_pem.to_owned()],
                contact: vec!["mailto:pbx@example.com".to_owned()],
                external_account: None,
            },
            KeyType::P256,
        )
        .into(),
        renewal: Policy::default(),
        max_server: None,
        max_trusted: None,
        propagation: Propagation { timeout: Duration::from_secs(5), interval: Duration::from_secs(1) },
        delegations: Vec::new(),
        concurrency: 16,
        pace: Pace::default(),
    }
}

impl Running {
    pub(crate) async fn start(store: SqlStore, ports: Ports, settings: Settings) -> Running {
        let engine = Engine::start(ports, settings).await.expect("the engine starts");
        let (stop, stopped) = watch::channel(false);
        let runner = engine.clone();
        let work = tokio::spawn(async move { runner.run(stopped).await });
        Running { engine, store, stop, work }
    }

    /// Applies; answers the new entry's number.
    pub(crate) async fn apply(&self, names: &str, input: ApplicationInput) -> CertificateId {
        let names = Names::parse(names).expect("names");
        let created = self.engine.create(Create::Apply { names, input }, None).await.expect("the application is accepted");
        assert_eq!(created.status, Some(ApplyStatus::Issuing));
        self.by_name(&created.name).await
    }

    pub(crate) async fn by_name(&self, name: &str) -> CertificateId {
        let query = ListQuery { page: 1, page_size: 1000, sort_by: SortBy::Id, descending: false, kind: None };
        let page = self.engine.certificate_list(&query).await.expect("a list");
        page.rows.iter().find(|entry| entry.name == name).expect("the entry is listed").id
    }

    /// The entry once it is no longer `issuing`.
    pub(crate) async fn settled(&self, id: CertificateId) -> Arc<Entry> {
        eventually(PATIENCE, "the end of the issuance", || async {
            let entry = self.engine.certificate(id).await.expect("the entry is there");
            (server(&entry).status != ApplyStatus::Issuing).then_some(entry)
        })
        .await
    }

    /// The entry once a certificate was issued.
    pub(crate) async fn issued(&self, id: CertificateId) -> Arc<Entry> {
        let entry = self.settled(id).await;
        let failure = self.store.last_failure(id).await.expect("the store answers");
        assert_eq!(server(&entry).status, ApplyStatus::IssuanceSuccess, "{failure:?}");
        assert!(entry.held.is_some());
        entry
    }

    /// The failure once an issuance failed.
    pub(crate) async fn failed(&self, id: CertificateId) -> Failure {
        let entry = self.settled(id).await;
        assert_eq!(server(&entry).status, ApplyStatus::IssuanceFail);
        let failure = self.store.last_failure(id).await.expect("the store answers").expect("a failure with evidence");
        assert_eq!(server(&entry).failure, Some(failure.code));
        failure
    }

    /// When the entry is tried again, or renewed.
    pub(crate) async fn next_try(&self, id: CertificateId) -> Timestamp {
        let state = self.store.renewal_state(id).await.expect("the store answers");
        state.next_issuance.expect("another try is planned")
    }

    /// Ends it in order, as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.work.await.expect("the loop ends");
        drop(self.engine);
        self.store.close().await;
    }

    /// Ends it as SIGKILL does: nothing is finished, handed back or closed.
    pub(crate) async fn kill(self) {
        self.work.abort();
        let _ = self.work.await;
    }
}

pub(crate) fn server(entry: &Certificate) -> &Server {
    match &entry.role {
        Role::Server(server) => server,
        Role::Trusted => panic!("a server certificate"),
    }
}

pub(crate) fn text(k: &str, value: &str) -> AuthEntry {
    AuthEntry { k: k.to_owned(), value: AuthValue::Text(value.into()) }
}

pub(crate) fn integer(k: &str, value: i64) -> AuthEntry {
    AuthEntry { k: k.to_owned(), value: AuthValue::Integer(value) }
}
