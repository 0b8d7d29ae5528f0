//! A small ACME CA and an authoritative DNS server, both on loopback inside this process.
//!
//! The CA truly validates DNS-01: it asks the DNS server over UDP and refuses what is wrong.
//! The DNS server is changed through the HTTP API of PowerDNS, so that any client that drives
//! a real PowerDNS drives this one. Whatever can go wrong goes wrong on request ([`Faults`]).
//!
//! It serves the demo, tests and rehearsals. It knows nothing of certkeep: no crate of the
//! workspace may enter here, no disk, no configuration, no network beyond loopback. Every
//! certificate says that it is a sandbox's.
//!
//! Start reading at [`Sandbox::start`]; then `ca` (one file per ACME resource) and `dns`.

mod ca;
mod clock;
mod dns;
mod door;
mod faults;
mod hang_up;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ca::{Authority, Ca, IssueError, ServerIdentity, Setup, random_token};
use dns::{Content, DnsServer, Records};
use door::{Door, Site};

pub use dns::RecordError;
pub use faults::{Fault, Faults, RetryAfter, Times};

/// Longest lifetime of a leaf; the authority, which outlives it, still fits four-digit years.
const MAX_VALIDITY: Duration = Duration::from_secs(100 * 366 * 86_400);

/// What kind of sandbox is wanted.
#[derive(Clone)]
pub struct Options {
    /// The zones the DNS server is authoritative for.
    pub zones: Vec<String>,
    /// Lifetime of the certificates, from a second to a hundred years; fractions are dropped.
    pub validity: Duration,
    /// Key identifier and HMAC key of the external account that new accounts must show
    /// (RFC 8555 §7.3.4).
    pub require_eab: Option<(String, Vec<u8>)>,
    /// How long a valid authorization serves further orders of its account; none, when `None`.
    pub authorization_reuse: Option<Duration>,
    /// TCP port of the CA; 0 is any.
    pub acme_port: u16,
    /// UDP and TCP port of the DNS server; 0 is any.
    pub dns_port: u16,
    /// TCP port of the DNS API; 0 is any.
    pub dns_api_port: u16,
}

impl Default for Options {
    /// `example.com`, 90 days, no external account, no reuse, free ports.
    fn default() -> Self {
        Options {
            zones: vec!["example.com".to_owned()],
            validity: Duration::from_secs(90 * 86_400),
            require_eab: None,
            authorization_reuse: None,
            acme_port: 0,
            dns_port: 0,
            dns_api_port: 0,
        }
    }
}

/// Why a sandbox could not be started, or not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// A key or certificate of the sandbox could not be made.
    #[error("the sandbox's own certificates could not be made: {0}")]
    Certificates(String),
    /// A port could not be taken.
    #[error("{what} could not listen")]
    Listen {
        /// Which of the servers.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The lifetime asked for is shorter than a second or longer than a hundred years.
    #[error("a certificate lives from a second to a hundred years")]
    Validity,
    /// A zone could not be made.
    #[error("the zone could not be made")]
    Zone(#[from] RecordError),
}

/// What became of an order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placed {
    /// Its names, in lower case.
    pub names: Vec<String>,
    /// Whether a certificate was issued; there is never more than one.
    pub certified: bool,
    /// Whether the client answered any of its challenges, or found one answered.
    pub answered: bool,
}

/// A running sandbox; dropping it ends it.
pub struct Sandbox {
    acme: Door,
    api: Door,
    ca: Arc<Ca>,
    dns: DnsServer,
    dns_api_key: String,
    dns_api_url: String,
    directory_url: String,
    faults: Arc<Faults>,
    issuing_root_pem: String,
    records: Arc<Records>,
    tls_root_pem: String,
}

impl Sandbox {
    /// Starts the CA, the DNS server and its API; all accept from when this returns. They live on
    /// the caller's Tokio runtime.
    ///
    /// # Errors
    /// When a port is taken, a zone is not a domain name or the lifetime is out of range.
    pub async fn start(options: Options) -> Result<Sandbox, SandboxError> {
        let validity = Duration::from_secs(options.validity.as_secs());
        if validity.is_zero() || validity > MAX_VALIDITY {
            return Err(SandboxError::Validity);
        }
        let records = Arc::new(Records::default());
        for zone in &options.zones {
            records.add_zone(zone)?;
        }
        let faults = Arc::new(Faults::default());

        let dns = DnsServer::start(options.dns_port, Arc::clone(&records), Arc::clone(&faults))
            .await
            .map_err(listen("the DNS server"))?;

        let dns_api_key = random_token();
        let routes = dns::router(Arc::clone(&records), Arc::clone(&faults), dns_api_key.clone());
        let api = Site::take(options.dns_api_port).and_then(|site| site.open(routes, None)).map_err(listen("the DNS API"))?;

        let identity = ServerIdentity::new().map_err(certificates)?;
        let tls_root_pem = identity.root_pem.clone();
        let tls = tls_config(identity)?;
        let site = Site::take(options.acme_port).map_err(listen("the CA"))?;
        let base = format!("https://{}", site.address());
        let ca = Arc::new(Ca::new(Setup {
            base: base.clone(),
            authority: Authority::new(validity).map_err(certificates)?,
            dns: dns.address(),
            faults: Arc::clone(&faults),
            external_account: options.require_eab,
            authorization_reuse: options.authorization_reuse,
        }));
        let acme = site.open(ca::router(Arc::clone(&ca)), Some(tls)).map_err(listen("the CA"))?;

        Ok(Sandbox {
            directory_url: format!("{base}/directory"),
            dns_api_url: format!("http://{}", api.address()),
            issuing_root_pem: ca.issuing_root_pem(),
            acme,
            api,
            ca,
            dns,
            dns_api_key,
            faults,
            records,
            tls_root_pem,
        })
    }

    /// The ACME directory, `https://127.0.0.1:PORT/directory`; `localhost` is served as well.
    pub fn directory_url(&self) -> &str {
        &self.directory_url
    }

    /// The root to trust for the HTTPS of the directory, in PEM.
    pub fn tls_root_pem(&self) -> &str {
        &self.tls_root_pem
    }

    /// The root of the certificates the CA issues, in PEM.
    pub fn issuing_root_pem(&self) -> &str {
        &self.issuing_root_pem
    }

    /// The root that the alternate chains of the issued certificates lead to, in PEM. It goes by the common name
    /// `certkeep sandbox other root`; that of the default chains is `certkeep sandbox root`.
    pub fn other_root_pem(&self) -> String {
        self.ca.other_root_pem()
    }

    /// Where the DNS server answers, over UDP and TCP.
    pub fn dns_addr(&self) -> SocketAddr {
        self.dns.address()
    }

    /// Where the PowerDNS API is, without `/api/v1`.
    pub fn dns_api_url(&self) -> &str {
        &self.dns_api_url
    }

    /// The `X-API-Key` of the PowerDNS API.
    pub fn dns_api_key(&self) -> &str {
        &self.dns_api_key
    }

    /// The switches for what shall go wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Every TXT record of every zone: its name without the last dot, and its value.
    pub fn txt_records(&self) -> Vec<(String, String)> {
        self.records.txt()
    }

    /// How many certificates were issued.
    pub fn issued(&self) -> usize {
        self.ca.issued()
    }

    /// How many orders were placed.
    pub fn orders(&self) -> usize {
        self.ca.orders()
    }

    /// What became of each order, in no particular order.
    pub fn placed(&self) -> Vec<Placed> {
        self.ca.placed()
    }

    /// How many certificates an order has said it replaces (RFC 9773 §5).
    pub fn replaced(&self) -> usize {
        self.ca.replaced()
    }

    /// How many certificates were revoked.
    pub fn revoked(&self) -> usize {
        self.ca.revoked()
    }

    /// Serves one more zone; one that is there stays as it is.
    ///
    /// # Errors
    /// When it is not a domain name.
    pub fn add_zone(&self, zone: &str) -> Result<(), RecordError> {
        self.records.add_zone(zone)
    }

    /// Puts records of one type at a name in the place of those that are there, in the longest
    /// zone that holds the name. `contents` are as in a zone file; none removes the records.
    ///
    /// # Errors
    /// When the name is in no zone or a content is not of this type.
    pub fn set_record(&self, name: &str, kind: &str, contents: &[&str]) -> Result<(), RecordError> {
        let owner = dns::parse_name(name)?;
        let content = Content::parse(&owner, kind, dns::TTL, contents)?;
        self.records.replace(&owner, content)
    }

    /// Puts TXT records that say `values` at a name; none removes them.
    ///
    /// # Errors
    /// When the name is in no zone or has an alias.
    pub fn set_txt(&self, name: &str, values: &[&str]) -> Result<(), RecordError> {
        let owner = dns::parse_name(name)?;
        self.records.replace(&owner, Content::txt(values))
    }

    /// Makes `name` an alias of `target`, which may be in any zone, here or elsewhere.
    ///
    /// # Errors
    /// When the name is in no zone or has other records.
    pub fn set_cname(&self, name: &str, target: &str) -> Result<(), RecordError> {
        let target = dns::parse_name(target)?.to_ascii();
        self.set_record(name, "CNAME", &[&target])
    }

    /// Shuts the CA's port: its connections end and new ones are refused.
    ///
    /// # Errors
    /// When the port is lost to another process; [`Sandbox::open_ca`] tries to get it back.
    pub async fn shut_ca(&self) -> Result<(), SandboxError> {
        self.acme.shut().await.map_err(listen("the CA"))
    }

    /// Opens the CA's port again.
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub async fn open_ca(&self) -> Result<(), SandboxError> {
        self.acme.open().await.map_err(listen("the CA"))
    }

    /// Shuts the DNS API's port: its connections end and new ones are refused.
    ///
    /// # Errors
    /// When the port is lost to another process; [`Sandbox::open_dns_api`] tries to get it back.
    pub async fn shut_dns_api(&self) -> Result<(), SandboxError> {
        self.api.shut().await.map_err(listen("the DNS API"))
    }

    /// Opens the DNS API's port again.
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub async fn open_dns_api(&self) -> Result<(), SandboxError> {
        self.api.open().await.map_err(listen("the DNS API"))
    }

    /// Ends the sandbox; its ports are free when this returns.
    pub async fn stop(mut self) {
        self.ca.abandon_work();
        self.acme.end().await;
        self.api.end().await;
        self.dns.end().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.ca.abandon_work();
    }
}

fn listen(what: &'static str) -> impl FnOnce(std::io::Error) -> SandboxError {
    move |source| SandboxError::Listen { what, source }
}

fn certificates(error: IssueError) -> SandboxError {
    SandboxError::Certificates(error.to_string())
}

fn tls_config(identity: ServerIdentity) -> Result<Arc<rustls::ServerConfig>, SandboxError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let failed = |error: rustls::Error| SandboxError::Certificates(error.to_string());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate], identity.key)
        .map_err(failed)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
