//! The certificate that is presented, switched while connections stand.
use std::sync::{Arc, Mutex, PoisonError};

use certkeep_engine::webserver::Served;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::watch;

/// A certificate cannot be presented: its key does not fit it, or is of a kind that TLS does not know.
#[derive(Debug, thiserror::Error)]
#[error("the certificate {name:?} cannot be presented")]
pub struct Unpresentable {
    name: String,
    #[source]
    source: rustls::Error,
}

/// What new connections are greeted with.
pub(super) struct Presented(Mutex<Latest>);

struct Latest {
    served: watch::Receiver<Served>,
    config: Arc<ServerConfig>,
}

impl Presented {
    pub(super) fn new(mut served: watch::Receiver<Served>) -> Result<Presented, Unpresentable> {
        let config = config(&served.borrow_and_update())?;
        Ok(Presented(Mutex::new(Latest { served, config })))
    }

    /// The configuration for a new connection. A certificate that was switched before the connection came is in it, and
    /// session tickets of the former are not honoured: a resumed session would go on under the old certificate.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.served.has_changed().unwrap_or(false) {
            let switched = config(&latest.served.borrow_and_update());
            match switched {
                Ok(config) => latest.config = config,
                Err(error) => {
                    tracing::error!(name = error.name, cause = %error.source, "presenting the former certificate");
                }
            }
        }
        Arc::clone(&latest.config)
    }
}

/// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1.
fn config(served: &Served) -> Result<Arc<ServerConfig>, Unpresentable> {
    let chain = served.chain.certificates().iter().map(|der| CertificateDer::from(der.clone())).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(served.key.expose_pkcs8().to_vec()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let built = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = built.map_err(|source| Unpresentable { name: served.name.clone(), source })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
