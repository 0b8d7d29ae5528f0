//! TLS of a page's own: a certificate that the client shows, authorities of the user's own, or, where a parameter says
//! so, a server that need not prove who it is.
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::named_in;
use super::template::{self, Scope};
use crate::page::Tls;

/// What differs from what all recipes have. It holds a key and so has no `Debug`.
#[derive(Default)]
pub(super) struct Own {
    /// What the client shows.
    shown: Option<Arc<CertifiedKey>>,
    /// Who is trusted in the place of the usual ones.
    roots: Option<RootCertStore>,
    unverified: bool,
}

/// Why a page's parameters cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// By the names that the page's users know.
    #[error("{0}")]
    Parameter(String),
    /// A fault of the page.
    #[error(transparent)]
    Template(#[from] minijinja::Error),
}

impl Own {
    /// What the parameters ask for; `None` where TLS is as usual.
    ///
    /// # Errors
    /// The parameter that is of no use.
    pub(super) fn of(tls: &Tls, scope: &Scope) -> Result<Option<Own>, Unusable> {
        let given = |source: &Option<String>| match source {
            Some(source) => Ok(Some(template::text(source, scope)?).filter(|text| !text.trim().is_empty())),
            None => Ok::<_, minijinja::Error>(None),
        };
        let problem = |source: &Option<String>, problem: &str| {
            Unusable::Parameter(format!("{} {problem}", named_in(source.as_deref().unwrap_or_default())))
        };
        let mut own = Own::default();
        match (given(&tls.cert)?, given(&tls.key)?) {
            (None, None) => {}
            (Some(_), None) => return Err(problem(&tls.key, "is missing")),
            (None, Some(_)) => return Err(problem(&tls.cert, "is missing")),
            (Some(cert), Some(key)) => {
                let chain = certificates(&cert).ok_or_else(|| problem(&tls.cert, "is not a certificate in PEM"))?;
                let unfit = || problem(&tls.key, "is not a private key in PEM");
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| unfit())?;
                let shown = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
                    Error::InconsistentKeys(_) => problem(&tls.key, "does not belong to the certificate"),
                    _ => unfit(),
                })?;
                own.shown = Some(Arc::new(shown));
            }
        }
        if let Some(pem) = given(&tls.roots)? {
            let unfit = || problem(&tls.roots, "is not a certificate in PEM");
            let mut roots = RootCertStore::empty();
            for root in certificates(&pem).ok_or_else(unfit)? {
                roots.add(root).map_err(|_| unfit())?;
            }
            own.roots = Some(roots);
        }
        own.unverified = tls.danger_unverified.as_deref().map_or(Ok(false), |source| template::is_true(source, scope))?;
        let usual = own.shown.is_none() && own.roots.is_none() && !own.unverified;
        Ok((!usual).then_some(own))
    }

    /// Whether the server need not prove who it is.
    pub(super) fn is_unverified(&self) -> bool {
        self.unverified
    }

    /// How connections are made; `usual` are the roots where there are none of the page's own.
    ///
    /// # Errors
    /// What the library says.
    pub(super) fn config(self, usual: impl FnOnce() -> Result<RootCertStore, String>) -> Result<ClientConfig, String> {
        let provider = Arc::new(default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = if self.unverified {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        } else {
            builder.with_root_certificates(self.roots.map_or_else(usual, Ok)?)
        };
        let mut config = match self.shown {
            Some(shown) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The certificates of a text in PEM; `None` where one cannot be read, or there is none.
fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>().ok()?;
    (!all.is_empty()).then_some(all)
}

/// Takes any certificate; only what is signed with it is checked.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
