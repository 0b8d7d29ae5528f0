//! A certificate for loopback, and the root that a client has to trust for it.
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The root in PEM, and a server's configuration with a certificate below it for `127.0.0.1` and `localhost`.
pub(super) fn loopback() -> (String, ServerConfig) {
    let root_key = KeyPair::generate().expect("keys can be made");
    let mut root = CertificateParams::new(Vec::new()).expect("no names are valid names");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name.push(rcgen::DnType::CommonName, "certkeep testkit: simulated vendors");
    let pem = root.self_signed(&root_key).expect("a root can sign itself").pem();
    let issuer = Issuer::new(root, root_key);

    let key = KeyPair::generate().expect("keys can be made");
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let leaf = CertificateParams::new(names).expect("loopback has valid names");
    let leaf = leaf.signed_by(&key, &issuer).expect("a root can sign");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
        .expect("key and certificate belong together");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (pem, config)
}
