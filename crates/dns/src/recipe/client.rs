//! The HTTP client of all recipes. It is made at the first call, since reading the machine's roots takes a while.
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::tls::Own;

/// The longest that one exchange may take, from the first octet to the last.
const DEADLINE: Duration = Duration::from_secs(30);

/// The longest that a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(10);

/// The roots that this machine trusts, read once.
static MACHINE: OnceLock<RootCertStore> = OnceLock::new();

fn machine() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a trusted root of this machine cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    roots
}

/// A client with connections that are used again; one serves all recipes whose TLS is as usual.
pub(crate) struct Client {
    extra_roots: Vec<String>,
    proxy: Option<String>,
    made: OnceLock<Result<reqwest::Client, String>>,
    /// Requests handed out to be sent, those that are tried again included.
    sent: AtomicU64,
}

impl Client {
    /// A client that trusts the machine's roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured) and these, in PEM. It
    /// goes through `proxy`, or through the one that the environment names.
    pub(crate) fn new(extra_roots: Vec<String>, proxy: Option<String>) -> Client {
        Client { extra_roots, proxy, made: OnceLock::new(), sent: AtomicU64::new(0) }
    }

    /// How many requests were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Counts one more request.
    pub(crate) fn count(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// The client itself, or why there is none.
    pub(crate) fn ready(&self) -> Result<&reqwest::Client, &str> {
        self.made.get_or_init(|| self.make()).as_ref().map_err(String::as_str)
    }

    /// A client beside the common one, for a page whose TLS is not as usual.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn own(&self, own: Own) -> Result<reqwest::Client, String> {
        self.build(own.config(|| self.roots())?)
    }

    fn make(&self) -> Result<reqwest::Client, String> {
        self.own(Own::default())
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = MACHINE.get_or_init(machine).clone();
        for pem in &self.extra_roots {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|error| format!("an extra root cannot be read: {error}"))?;
                roots.add(certificate).map_err(|error| format!("an extra root cannot be used: {error}"))?;
            }
        }
        Ok(roots)
    }

    fn build(&self, tls: ClientConfig) -> Result<reqwest::Client, String> {
        let mut builder = reqwest::Client::builder();
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(|error| error.without_url().to_string())?);
        }
        builder
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("certkeep/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // What is tried again, and how often, is decided in one place.
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT)
            .timeout(DEADLINE)
            .build()
            .map_err(|error| error.without_url().to_string())
    }
}
