//! A client for the peers' HTTP interfaces.
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// An HTTP client that trusts the certificates in `roots_pem` and no others, and heeds no proxy setting.
pub fn http_client(roots_pem: &str) -> reqwest::Client {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
        roots.add(root.expect("the roots are PEM")).expect("a root can be an anchor of trust");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .user_agent("certkeep-testkit")
        .build()
        .expect("the client's settings fit together")
}
