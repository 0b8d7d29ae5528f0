//! An authority of our own, and certificates below it for whatever host is asked for.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The authority's root, which a client has to trust.
pub(super) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    made: Mutex<BTreeMap<String, Arc<CertifiedKey>>>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// The one of this process.
    pub(super) fn shared() -> Arc<Authority> {
        static AUTHORITY: OnceLock<Arc<Authority>> = OnceLock::new();
        Arc::clone(AUTHORITY.get_or_init(|| Arc::new(Authority::new())))
    }

    fn new() -> Authority {
        let key = KeyPair::generate().expect("keys can be made");
        let mut root = CertificateParams::new(Vec::new()).expect("no names are valid names");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.distinguished_name.push(rcgen::DnType::CommonName, "certkeep testkit: simulated vendors");
        let pem = root.self_signed(&key).expect("a root can sign itself").pem();
        Authority { pem, issuer: Issuer::new(root, key), made: Mutex::default() }
    }

    /// The root in PEM.
    pub(super) fn root(&self) -> String {
        self.pem.clone()
    }

    fn certificate(&self, host: &str) -> Arc<CertifiedKey> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let key = KeyPair::generate().expect("keys can be made");
            let names = vec![host.to_owned(), "127.0.0.1".to_owned()];
            let leaf = CertificateParams::new(names).expect("a server's name is a valid name");
            let leaf = leaf.signed_by(&key, &self.issuer).expect("a root can sign");
            let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let key = any_supported_type(&der).expect("the key is of a usual type");
            Arc::new(CertifiedKey::new(vec![leaf.der().clone()], key))
        };
        Arc::clone(made.entry(host.to_owned()).or_insert_with(make))
    }
}

impl ResolvesServerCert for Authority {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certificate(hello.server_name().unwrap_or("localhost")))
    }
}

/// How a server with this authority speaks TLS.
pub(super) fn configured(authority: Arc<Authority>) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_cert_resolver(authority);
    Arc::new(config)
}
