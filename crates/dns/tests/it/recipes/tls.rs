//! TLS of a page's own: certificates of the client, authorities of the user's own, and none at all.
use std::sync::Arc;

use certkeep_core::application::{AuthEntry, AuthValue};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::ports::{DnsProvider, DnsProviders as _};
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_testkit::vendor::{Account, Table, Vendor as Simulated};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::vendor::{BARE, Folder, Vendor, page, said};

/// An authority of the test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key, in PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A server that lets in only those who show a certificate of this authority.
    fn demanding(&self) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
        let (certificate, key) = self.issue("127.0.0.1");
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn text(k: &str, v: &str) -> AuthEntry {
    AuthEntry { k: k.into(), value: AuthValue::Text(v.into()) }
}

/// The provider of a page whose calls show the certificate `Cert` with the key `Key`.
fn showing(base: &str, root: &str, cert: &str, key: &str) -> Result<Arc<dyn DnsProvider>, Failure> {
    let tls = "tls = { cert = \"{{ Cert }}\", key = \"{{ Key }}\" }\n[zone]";
    let parts = format!("{}[add]\npost = \"/add\"\n[remove]\npost = \"/remove\"\n", BARE.replace("[zone]", tls));
    let folder = Folder::new();
    folder.write("x", &page(&parts).replace("{ k = \"Base\" }", "{ k = \"Base\" }, { k = \"Cert\" }"));
    let options = RegistryOptions {
        pages_folder: Some(folder.0.clone()),
        extra_roots: vec![root.to_owned()],
        ..RegistryOptions::default()
    };
    let registry = Registry::new(options);
    let given = [text("Base", base), text("Cert", cert), text("Key", key)];
    let given: Vec<AuthEntry> = given.into_iter().filter(|entry| entry.value != AuthValue::Text("".into())).collect();
    registry.connect("x", &registry.descriptor("x").unwrap().parameters(&given).unwrap())
}

async fn add(provider: &dyn DnsProvider) -> Result<(), Failure> {
    let name = "_acme-challenge.a.example.com";
    let zone = Zone { name: name.to_owned(), saved: serde_json::json!({"unlisted": true}) };
    let record = TxtRecord { name: name.parse().unwrap(), value: "v".into() };
    provider.add(&zone, &record).await.map(drop)
}

#[tokio::test]
async fn a_certificate_is_shown() {
    let authority = Authority::new();
    let vendor = Vendor::start_with(Some(authority.demanding()), |_| said(200, "{}")).await;
    let (cert, key) = authority.issue("client.example");

    add(&*showing(&vendor.url, &authority.pem(), &cert, &key).unwrap()).await.unwrap();
    let refused = |outcome: Result<(), Failure>| assert_eq!(outcome.unwrap_err().code, Code::ProviderUnreachable);
    refused(add(&*showing(&vendor.url, &authority.pem(), "", "").unwrap()).await);
    let (strange, strange_key) = Authority::new().issue("client.example");
    refused(add(&*showing(&vendor.url, &authority.pem(), &strange, &strange_key).unwrap()).await);
    assert_eq!(vendor.lines(), ["POST /add"]);
}

#[test]
fn a_certificate_that_cannot_be_shown_is_told_before_any_call() {
    let authority = Authority::new();
    let ((cert, key), (_, other)) = (authority.issue("client.example"), authority.issue("client.example"));
    for (cert, key, told) in [
        (cert.as_str(), "", "Key is missing"),
        ("", key.as_str(), "Cert is missing"),
        ("nonsense", &key, "Cert is not a certificate in PEM"),
        (&cert, "nonsense-k3y", "Key is not a private key in PEM"),
        (&cert, &other, "Key does not belong to the certificate"),
    ] {
        let failure = showing("https://127.0.0.1:1", &authority.pem(), cert, key).err().unwrap();
        assert_eq!(failure.code, Code::ProviderParameter);
        let told_all = format!("{failure:?}");
        assert!(told_all.contains(told), "{told_all}");
        assert!(!told_all.contains("nonsense-k3y") && !told_all.contains("BEGIN"), "{told_all}");
    }
}

/// Whether Infoblox, behind a certificate of an authority that this machine does not know, is talked to.
async fn infoblox(vendor: &Simulated, more: &[AuthEntry]) -> Result<(), Failure> {
    let registry = Registry::new(RegistryOptions { proxy: Some(vendor.proxy()), ..RegistryOptions::default() });
    let mut given: Vec<AuthEntry> = vendor.parameters().iter().map(|(k, v)| text(k, v)).collect();
    given.extend(more.iter().cloned());
    let provider = registry.connect("infoblox", &registry.descriptor("infoblox").unwrap().parameters(&given).unwrap())?;
    provider.find_zone(&"_acme-challenge.example.com".parse().unwrap()).await.map(drop)
}

#[tokio::test]
async fn the_server_proves_who_it_is_unless_its_parameter_says_otherwise() {
    let vendor = Simulated::start(Table::of("infoblox").unwrap(), Account::with_zones(&["example.com"])).await;
    let unverified = AuthEntry { k: "SSLVerify".into(), value: AuthValue::Boolean(false) };
    let (own, other) = (text("CACertificate", &vendor.root()), text("CACertificate", &Authority::new().pem()));

    assert_eq!(infoblox(&vendor, &[]).await.unwrap_err().code, Code::ProviderUnreachable);
    infoblox(&vendor, std::slice::from_ref(&unverified)).await.unwrap();
    infoblox(&vendor, std::slice::from_ref(&own)).await.unwrap();
    // Who names an authority means it.
    assert_eq!(infoblox(&vendor, &[other, unverified]).await.unwrap_err().code, Code::ProviderUnreachable);

    let failure = infoblox(&vendor, &[text("CACertificate", "/etc/ssl/ca.pem")]).await.unwrap_err();
    assert_eq!(failure.code, Code::ProviderParameter);
    assert!(format!("{failure:?}").contains("CACertificate is not a certificate in PEM"), "{failure:?}");
}
