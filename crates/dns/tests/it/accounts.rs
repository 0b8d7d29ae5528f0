//! Accounts of names, at a simulated acme-dns: opened once, kept, and told where the CNAME has to lead.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test at once")]
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use certkeep_core::application::{AuthEntry, AuthValue};
use certkeep_core::caa::RelevantSet;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{DnsProvider, DnsProviders as _, Propagation, Resolver, Settings, Sighting, StoreError};
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_testkit::vendor::{Account, Table, Vendor};
use secrecy::{ExposeSecret as _, SecretString};

const NAME: &str = "_acme-challenge.host.example.com";
const TARGET: &str = "8e5700ea-a4bf-41c7-8a77-e990661dcc6a.auth.acme-dns.example";
const VALUE: &str = "1_vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv-";

/// Where lego's HTTP storage would be: it knows one name's account, or none.
const STORAGE: &str = r#"
[[route]]
get = "//accounts.example.net/host.example.com"
auth.none = true
when = "account | length == 2"
op = "static"
reply.json = '{"fulldomain": "8e5700ea-a4bf-41c7-8a77-e990661dcc6a.auth.acme-dns.example", "subdomain": "8e5700ea-a4bf-41c7-8a77-e990661dcc6a", "username": "{{ secret.uuid }}", "password": "{{ secret.token }}", "server_url": "https://auth.acme-dns.example"}'

[[route]]
get = "//accounts.example.net/"
auth.none = true
op = "static"
reply.json = '{"host.example.com": {"fulldomain": "8e5700ea-a4bf-41c7-8a77-e990661dcc6a.auth.acme-dns.example", "subdomain": "8e5700ea-a4bf-41c7-8a77-e990661dcc6a", "username": "{{ secret.uuid }}", "password": "{{ secret.token }}"}}'

[[route]]
get = "//accounts.example.net/{domain}"
auth.none = true
op = "static"
reply = { status = 404, text = "not found" }

[[route]]
post = "//accounts.example.net/{domain}"
auth.none = true
op = "static"
must = { bad_account = "path.domain == 'host.example.com' and body.password == secret.token and body.username == secret.uuid" }
reply = { status = 200 }
"#;

#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, String>>);

#[async_trait]
impl Settings for Memory {
    async fn setting(&self, key: &str) -> Result<Option<SecretString>, StoreError> {
        Ok(self.0.lock().unwrap().get(key).map(|value| value.as_str().into()))
    }

    async fn set_setting(&self, key: &str, value: &SecretString) -> Result<(), StoreError> {
        self.0.lock().unwrap().insert(key.to_owned(), value.expose_secret().to_owned());
        Ok(())
    }
}

/// Follows nothing: the tests say themselves where a CNAME leads.
struct Following;

#[async_trait]
impl Resolver for Following {
    async fn follow(&self, name: &DnsName) -> Result<DnsName, Failure> {
        Ok(name.clone())
    }

    async fn confirm_zone(&self, _: &Zone, _: &DnsName) -> Result<(), Failure> {
        Ok(())
    }

    async fn await_visible(&self, _: &Zone, _: &[TxtRecord], _: Propagation) -> Result<Sighting, Failure> {
        Ok(Sighting::default())
    }

    async fn caa(&self, _: &DnsName) -> Result<RelevantSet, Failure> {
        Ok(RelevantSet::default())
    }

    async fn texts(&self, _: &DnsName) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }
}

/// An acme-dns, and perhaps somebody who keeps accounts of it.
struct Server(Vendor);

impl Server {
    /// `more` zones beside its own tell the storage whether it knows the name.
    async fn start(knows: bool) -> Server {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../testkit/vendors/acme-dns.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let text =
            text.replace("\"auth.acme-dns.example\"]\nparams", "\"auth.acme-dns.example\", \"accounts.example.net\"]\nparams");
        let table = Table::parse(&format!("{text}{STORAGE}")).unwrap();
        let zones: &[&str] = if knows { &["auth.acme-dns.example", "known.example"] } else { &["auth.acme-dns.example"] };
        Server(Vendor::start(table, Account::empty(zones)).await)
    }

    /// A process of its own, with what it remembers of earlier ones and what it is told besides the server's address.
    fn process(&self, memory: Option<&Arc<Memory>>, more: &[(&str, &str)]) -> Arc<dyn DnsProvider> {
        let registry = Registry::new(RegistryOptions {
            extra_roots: vec![self.0.root()],
            proxy: Some(self.0.proxy()),
            resolver: Some(Arc::new(Following)),
            memory: memory.map(|memory| Arc::clone(memory) as Arc<dyn Settings>),
            ..RegistryOptions::default()
        });
        let given = [("APIBase", "https://auth.acme-dns.example")].into_iter().chain(more.iter().copied());
        let given: Vec<AuthEntry> = given.map(|(k, v)| AuthEntry { k: k.into(), value: AuthValue::Text(v.into()) }).collect();
        registry.connect("acme-dns", &registry.descriptor("acme-dns").unwrap().parameters(&given).unwrap()).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        let seen = self.0.requests();
        assert!(seen.iter().all(|seen| seen.known), "{seen:?}");
        seen.into_iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
    }

    fn discreet(&self, failure: &Failure) {
        let told = format!("{failure} {failure:?}");
        assert!(!self.0.secrets().iter().any(|secret| told.contains(secret.as_str())), "{told}");
    }
}

async fn add(provider: &Arc<dyn DnsProvider>, name: &str) -> Result<(), Failure> {
    let record = TxtRecord { name: name.parse().unwrap(), value: VALUE.into() };
    let zone = provider.find_zone(&record.name).await?;
    let handle = provider.add(&zone, &record).await?;
    provider.remove(&zone, &record, Some(&handle)).await
}

#[tokio::test]
async fn an_account_is_opened_once_and_waits_for_its_cname() {
    let (server, memory) = (Server::start(false).await, Arc::<Memory>::default());
    for _ in 0..2 {
        let failure = add(&server.process(Some(&memory), &[]), NAME).await.unwrap_err();
        assert_eq!((failure.code, failure.evidence.subject.as_deref()), (Code::DelegationMissing, Some(NAME)), "{failure}");
        assert_eq!(failure.evidence.facts, [format!("{NAME}. CNAME {TARGET}.")]);
        assert!(failure.is_retried(), "it goes on by itself once the CNAME is there");
        server.discreet(&failure);
    }
    assert_eq!(server.asked(), ["POST /register"]);
    // The CNAME is there now, and the resolver follows it.
    add(&server.process(Some(&memory), &[]), TARGET).await.unwrap();
    assert_eq!(server.asked(), ["POST /register", "POST /update"]);
    assert_eq!(server.0.txt(TARGET), [VALUE]);
}

#[tokio::test]
async fn two_applications_of_a_name_at_once_open_one_account() {
    let (server, memory) = (Server::start(false).await, Arc::<Memory>::default());
    let provider = server.process(Some(&memory), &[]);
    let (one, two) = tokio::join!(add(&provider, NAME), add(&provider, NAME));
    assert_eq!([one.unwrap_err().code, two.unwrap_err().code], [Code::DelegationMissing; 2]);
    assert_eq!(server.asked(), ["POST /register"]);
}

#[tokio::test]
async fn a_cname_to_an_account_that_nobody_knows_is_told() {
    let (server, memory) = (Server::start(false).await, Arc::<Memory>::default());
    let failure = add(&server.process(Some(&memory), &[]), TARGET).await.unwrap_err();
    assert_eq!((failure.code, failure.evidence.subject.as_deref()), (Code::ZoneNotFound, Some(TARGET)), "{failure}");
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn where_nothing_is_kept_no_account_is_opened() {
    let server = Server::start(false).await;
    let failure = add(&server.process(None, &[]), NAME).await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderParameter, "{failure}");
    assert_eq!(server.asked(), Vec::<String>::new());
    let (user, password) = (server.0.credential("uuid"), server.0.credential("token"));
    let account = [("Username", user.as_str()), ("Password", &password), ("Subdomain", TARGET.split('.').next().unwrap())];
    add(&server.process(None, &account), TARGET).await.unwrap();
    assert_eq!(server.asked(), ["POST /update"]);
}

#[tokio::test]
async fn networks_that_may_update_go_along() {
    let (server, memory) = (Server::start(false).await, Arc::<Memory>::default());
    let failure = add(&server.process(Some(&memory), &[("AllowList", "192.0.2.0/24, nonsense")]), NAME).await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderParameter, "{failure}");
    assert_eq!(failure.evidence.their_code.as_deref(), Some("invalid_allowfrom_cidr"));
    let allowed = [("AllowList", "192.0.2.0/24, 2001:db8::/32")];
    let failure = add(&server.process(Some(&memory), &allowed), NAME).await.unwrap_err();
    assert_eq!(failure.code, Code::DelegationMissing, "{failure}");
}

#[tokio::test]
async fn somebody_else_may_keep_the_accounts() {
    let storage = [("StorageBaseURL", "https://accounts.example.net")];
    let server = Server::start(true).await;
    let failure = add(&server.process(None, &storage), NAME).await.unwrap_err();
    assert_eq!(failure.code, Code::DelegationMissing, "{failure}");
    add(&server.process(None, &storage), TARGET).await.unwrap();
    assert_eq!(server.asked(), ["GET /host.example.com", "GET /", "POST /update"]);

    let server = Server::start(false).await;
    let failure = add(&server.process(None, &storage), NAME).await.unwrap_err();
    assert_eq!(failure.code, Code::DelegationMissing, "{failure}");
    assert_eq!(server.asked(), ["GET /host.example.com", "POST /register", "POST /host.example.com"]);
}
