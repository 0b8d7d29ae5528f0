//! The certificates themselves.

use std::sync::Arc;
use std::time::Duration;

use certkeep_sandbox::{Options, Sandbox, SandboxError};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::extensions::ParsedExtension;
use x509_parser::parse_x509_certificate;

use crate::acme_client::{Client, csr, csr_with, ders};

/// What a TLS client that trusts the issuing root says to a chain.
pub(crate) fn verify(sandbox: &Sandbox, chain: &[CertificateDer<'_>], name: &str) -> Result<(), rustls::Error> {
    verify_by(sandbox.issuing_root_pem(), chain, name)
}

/// What a TLS client that trusts only this root says to a chain.
pub(crate) fn verify_by(root_pem: &str, chain: &[CertificateDer<'_>], name: &str) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ders(root_pem).remove(0)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let name = ServerName::try_from(name).unwrap();
    let (leaf, intermediates) = chain.split_first().unwrap();
    verifier.verify_server_cert(leaf, intermediates, &name, &[], UnixTime::now()).map(|_| ())
}

#[tokio::test]
async fn a_chain_is_trusted_by_the_issuing_root_for_all_its_names() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    let names = ["example.com", "*.example.com", "a.b.example.com"];
    let chain = ders(&client.certificate(&sandbox, &names).await.body);
    for name in ["example.com", "any.example.com", "a.b.example.com"] {
        verify(&sandbox, &chain, name).unwrap();
    }
    assert!(verify(&sandbox, &chain, "b.b.example.com").is_err());
    assert!(verify(&sandbox, &chain[..1], "example.com").is_err(), "not without intermediate");
}

#[tokio::test]
async fn every_certificate_says_that_it_is_a_sandboxs() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    let chain = client.certificate(&sandbox, &["a.example.com"]).await.body;
    let all = [chain.as_str(), sandbox.issuing_root_pem(), sandbox.tls_root_pem()].concat();
    let all = ders(&all);
    assert_eq!(all.len(), 4);
    for der in &all {
        let (_, certificate) = parse_x509_certificate(der).unwrap();
        for subject in [certificate.subject(), certificate.issuer()] {
            let organization = subject.iter_organization().next().unwrap();
            assert_eq!(organization.as_str().unwrap(), "certkeep sandbox - not for production");
        }
    }
}

#[tokio::test]
async fn a_leaf_has_the_extensions_of_a_server_and_a_serial_of_its_own() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    let mut serials = Vec::new();
    let mut key_ids = Vec::new();
    for name in ["a.example.com", "b.example.com"] {
        let chain = ders(&client.certificate(&sandbox, &[name]).await.body);
        let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
        let common_name = leaf.subject().iter_common_name().next().unwrap();
        assert_eq!(common_name.as_str().unwrap(), name);
        assert!(!leaf.is_ca());
        let usage = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && !usage.client_auth && !usage.any);
        let mut ids = [None, None];
        for extension in leaf.iter_extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => ids[0] = Some(id.0.to_vec()),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    ids[1] = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                _ => {}
            }
        }
        let (_, intermediate) = parse_x509_certificate(&chain[1]).unwrap();
        let issuer_id = intermediate.iter_extensions().find_map(|e| match e.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
        assert_eq!(ids[1], issuer_id);
        key_ids.push(ids[0].clone().unwrap());
        serials.push(leaf.raw_serial().to_vec());
    }
    assert!(serials[0] != serials[1] && key_ids[0] != key_ids[1]);
    assert!(serials.iter().all(|serial| serial.len() == 16));
}

#[tokio::test]
async fn a_certificate_lives_as_long_as_asked() {
    for seconds in [1, 60, 47 * 86_400, 100 * 366 * 86_400] {
        let options = Options { validity: Duration::from_secs(seconds), ..Options::default() };
        let sandbox = Sandbox::start(options).await.unwrap();
        let client = Client::registered(&sandbox).await;
        let chain = ders(&client.certificate(&sandbox, &["a.example.com"]).await.body);
        let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
        let validity = leaf.validity();
        let life = validity.not_after.timestamp() - validity.not_before.timestamp();
        assert_eq!(life, i64::try_from(seconds).unwrap());
        let (_, intermediate) = parse_x509_certificate(&chain[1]).unwrap();
        assert!(intermediate.validity().not_after > validity.not_after);
        assert!(intermediate.validity().not_before < validity.not_before);
    }
    for seconds in [0.5, 200.0 * 366.0 * 86_400.0] {
        let options = Options { validity: Duration::from_secs_f64(seconds), ..Options::default() };
        let refused = Sandbox::start(options).await.err();
        assert!(matches!(refused, Some(SandboxError::Validity)), "{seconds}");
    }
}

#[tokio::test]
async fn keys_of_each_kind_are_certified() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    let kinds = [&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
    for kind in kinds {
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        let names = ["a.example.com"];
        let (_, order) = client.authorized(&sandbox, &names).await;
        let order = client.finalize(&order, &csr_with(&names, &key)).await;
        let chain = ders(&client.read(&order.member("certificate")).await.body);
        verify(&sandbox, &chain, names[0]).unwrap();
        let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
        let certified = leaf.public_key().subject_public_key.data.as_ref();
        assert_eq!(certified, key.public_key_raw(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_name_too_long_for_a_common_name_is_in_the_alternative_names() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let client = Client::registered(&sandbox).await;
    let name = format!("{}.{}.example.com", "a".repeat(40), "b".repeat(40));
    let names = [name.as_str()];
    let (_, order) = client.authorized(&sandbox, &names).await;
    let order = client.finalize(&order, &csr(&names)).await;
    let chain = ders(&client.read(&order.member("certificate")).await.body);
    verify(&sandbox, &chain, &name).unwrap();
    let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
    assert!(leaf.subject().iter_common_name().next().is_none());
}
