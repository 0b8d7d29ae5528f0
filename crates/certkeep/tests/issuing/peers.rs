//! Applications against real peers: Pebble as the CA, which refuses some nonces, and PowerDNS, BIND and Knot as providers.
use certkeep_core::application::AuthEntry;
use certkeep_core::ports::{Certificates, ExternalAccount};
use certkeep_engine::Settings;
use certkeep_engine::inventory::ApplicationInput;
use certkeep_store::SqlStore;
use certkeep_testkit::clock::MovableClock;
use certkeep_testkit::peers::{Bind, DnsRouter, Knot, Pebble, PebbleOptions, PowerDns, Tsig};
use futures::future::join_all;
use secrecy::SecretString;
use tempfile::TempDir;

use super::house::{Running, integer, ports, settings, text};

/// An engine whose CA is Pebble and whose DNS is a router; both end with it.
struct AtPebble {
    running: Running,
    router: DnsRouter,
    pebble: Pebble,
    _folder: TempDir,
}

impl AtPebble {
    async fn start(router: DnsRouter, options: impl FnOnce(PebbleOptions) -> PebbleOptions) -> AtPebble {
        AtPebble::start_with(router, options, |settings| settings).await
    }

    async fn start_with(
        router: DnsRouter,
        options: impl FnOnce(PebbleOptions) -> PebbleOptions,
        change: impl FnOnce(Settings) -> Settings,
    ) -> AtPebble {
        let pebble = Pebble::start(options(PebbleOptions::new(router.dns_addr()))).await;
        let folder = TempDir::new().expect("a folder");
        let options = certkeep_store::Options { folder: folder.path().to_owned(), key_file: None };
        let store = SqlStore::open_exclusive(&options).await.expect("the data folder opens");
        let ports = ports(&store, &MovableClock::running(), router.dns_addr());
        let settings = change(settings(&pebble.directory_url(), pebble.tls_root_pem()));
        let running = Running::start(store, ports, settings).await;
        AtPebble { running, router, pebble, _folder: folder }
    }

    async fn get(&self, names: &str, provider: &str, auth: Vec<AuthEntry>) {
        let input = ApplicationInput { dns_provider: Some(provider.to_owned()), auth: Some(auth) };
        let id = self.running.apply(names, input).await;
        self.running.issued(id).await;
        let version = self.running.store.current_version(id).await.unwrap().expect("a version");
        let mut got = version.chain.facts().unwrap().dns_names;
        let mut asked: Vec<String> = names.split(',').map(str::to_owned).collect();
        got.sort();
        asked.sort();
        assert_eq!(got, asked);
    }
}

pub(crate) fn pdns(server: &PowerDns) -> Vec<AuthEntry> {
    vec![text("Host", &server.api_url()), text("APIKey", server.api_key()), integer("PollingInterval", 1)]
}

pub(crate) fn rfc2136(server: std::net::SocketAddr, tsig: &Tsig) -> Vec<AuthEntry> {
    vec![
        text("Nameserver", &server.to_string()),
        text("TSIGAlgorithm", &format!("{}.", tsig.algorithm)),
        text("TSIGKey", &tsig.name),
        text("TSIGSecret", &tsig.secret),
        integer("PollingInterval", 1),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_applications_at_once_in_one_zone_of_powerdns() {
    let server = PowerDns::start(&["example.test"]).await;
    let router = DnsRouter::start([("example.test", server.dns_addr())]).await;
    let at = AtPebble::start(router, |options| options).await;
    let names: Vec<String> =
        (0..9).map(|n| format!("pbx{n}.example.test")).chain(["*.example.test,example.test".to_owned()]).collect();
    join_all(names.iter().map(|name| at.get(name, "pdns", pdns(&server)))).await;
    for name in &names {
        let base = name.rsplit(',').next().unwrap();
        assert_eq!(server.txt(&format!("_acme-challenge.{base}")).await, Vec::<String>::new());
    }
    at.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wildcard_and_its_base_name_through_bind_with_tsig() {
    let server = Bind::start(&["example.test"]).await;
    let router = DnsRouter::start([("example.test", server.dns_addr())]).await;
    let at = AtPebble::start(router, |options| PebbleOptions { bad_nonce_percent: 30, ..options }).await;
    at.get("*.example.test,example.test", "rfc2136", rfc2136(server.dns_addr(), server.tsig())).await;
    at.get("pbx.example.test", "rfc2136", rfc2136(server.dns_addr(), server.tsig_sha512())).await;
    assert_eq!(server.txt("_acme-challenge.example.test").await, Vec::<String>::new());
    at.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wildcard_and_its_base_name_through_knot_with_tsig() {
    let server = Knot::start(&["example.test"]).await;
    let router = DnsRouter::start([("example.test", server.dns_addr())]).await;
    let at = AtPebble::start(router, |options| options).await;
    at.get("*.example.test,example.test", "rfc2136", rfc2136(server.dns_addr(), server.tsig())).await;
    assert_eq!(server.txt("_acme-challenge.example.test").await, Vec::<String>::new());
    at.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_name_is_delegated_into_a_zone_of_another_server() {
    let served = PowerDns::start(&["example.test"]).await;
    let challenges = Bind::start(&["challenges.test"]).await;
    served.add_cname("_acme-challenge.pbx.example.test", "pbx.challenges.test").await;
    let router = DnsRouter::start([("example.test", served.dns_addr()), ("challenges.test", challenges.dns_addr())]).await;
    let at = AtPebble::start(router, |options| options).await;
    at.get("pbx.example.test", "rfc2136", rfc2136(challenges.dns_addr(), challenges.tsig())).await;
    assert_eq!(challenges.txt("pbx.challenges.test").await, Vec::<String>::new());
    assert!(!at.router.asked().is_empty());
    at.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_that_wants_an_external_account() {
    let server = PowerDns::start(&["example.test"]).await;
    let router = DnsRouter::start([("example.test", server.dns_addr())]).await;
    // 32 octets in base64url, of no meaning elsewhere.
    let (key_id, hmac_key) = ("kid-of-the-test".to_owned(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".to_owned());
    let external = certkeep_testkit::peers::ExternalAccount { key_id: key_id.clone(), hmac_key: hmac_key.clone() };
    let at = AtPebble::start_with(
        router,
        |options| PebbleOptions { external_account: Some(external), ..options },
        |mut settings| {
            settings.cas.first.ca.external_account =
                Some(ExternalAccount { kid: key_id, hmac_key: SecretString::from(hmac_key) });
            settings
        },
    )
    .await;
    at.get("pbx.example.test", "pdns", pdns(&server)).await;
    assert!(at.pebble.issuing_root_pem().contains("BEGIN CERTIFICATE"));
    at.running.stop().await;
}
