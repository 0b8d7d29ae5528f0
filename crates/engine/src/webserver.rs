//! Which certificate certkeep's own HTTPS serves (contract §5).
use certkeep_core::certificate::{CertificateId, Kind};
use certkeep_core::material::{Chain, PrivateKey, self_signed};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use crate::error::{Invalid, UseCaseError};
use crate::{Engine, Ports};

/// The name of the self-signed certificate made at the first start.
pub const DEFAULT: &str = "default";

/// The number of the entry that is served, or [`DEFAULT`]. A number, since names change.
const SERVED: &str = "webserver.https_cert";
const DEFAULT_CHAIN: &str = "webserver.default.chain";
const DEFAULT_KEY: &str = "webserver.default.key";

/// What the listener presents.
#[derive(Clone, Debug)]
pub struct Served {
    /// A certificate's name, or [`DEFAULT`].
    pub name: String,
    /// Its entry; `None` for the default.
    pub id: Option<CertificateId>,
    /// Leaf first.
    pub chain: Chain,
    /// The leaf's key.
    pub key: PrivateKey,
}

/// Reads what is to be served; makes the default at the first start.
pub(crate) async fn load(ports: &Ports) -> Result<Served, UseCaseError> {
    let chosen = ports.store.setting(SERVED).await?;
    if let Some(id) = chosen.and_then(|id| id.expose_secret().parse().ok()) {
        match version(ports, CertificateId(id)).await {
            Ok(served) => return Ok(served),
            // A service without any HTTPS helps nobody.
            Err(error) => {
                tracing::error!(id, error = &error as &dyn std::error::Error, "serving the default certificate instead")
            }
        }
    }
    default(ports).await
}

async fn default(ports: &Ports) -> Result<Served, UseCaseError> {
    let chain = ports.store.setting(DEFAULT_CHAIN).await?;
    let key = ports.store.setting(DEFAULT_KEY).await?;
    if let (Some(chain), Some(key)) = (chain, key) {
        let chain = Chain::parse_pem(chain.expose_secret());
        let key = PrivateKey::parse_pem(key.expose_secret());
        if let (Ok(chain), Ok(key)) = (chain, key) {
            return Ok(Served { name: DEFAULT.to_owned(), id: None, chain, key });
        }
    }
    let (chain, key) = self_signed("certkeep", ports.clock.now()).map_err(|e| UseCaseError::Internal(e.to_string()))?;
    ports.store.set_setting(DEFAULT_KEY, &key.to_pem()).await?;
    ports.store.set_setting(DEFAULT_CHAIN, &SecretString::from(chain.to_pem())).await?;
    Ok(Served { name: DEFAULT.to_owned(), id: None, chain, key })
}

/// The current version of an entry, as the listener wants it.
async fn version(ports: &Ports, id: CertificateId) -> Result<Served, UseCaseError> {
    let entry = ports.store.certificate(id).await?.ok_or(UseCaseError::NotFound)?;
    let version = ports.store.current_version(id).await?.ok_or(UseCaseError::NotFound)?;
    let key = version.key.ok_or(UseCaseError::NotFound)?;
    Ok(Served { name: entry.name, id: Some(id), chain: version.chain, key })
}

impl Engine {
    /// What the listener presents, now and whenever it changes.
    pub fn served(&self) -> watch::Receiver<Served> {
        self.inner.served.subscribe()
    }

    /// The name of what the listener presents: the API's `https_cert`.
    pub fn https_certificate(&self) -> String {
        self.inner.served.borrow().name.clone()
    }

    /// Presents another certificate from now on; connections that stand are not touched.
    ///
    /// # Errors
    /// [`UseCaseError::Invalid`] when there is no such server certificate, or it holds nothing yet; the store's.
    pub async fn serve_https_with(&self, name: &str) -> Result<(), UseCaseError> {
        let _alone = self.inner.changes.lock().await;
        let ports = &self.inner.ports;
        let served = if name == DEFAULT {
            default(ports).await
        } else {
            match ports.store.certificate_by_name(name).await? {
                Some(entry) if entry.kind() == Kind::Server => version(ports, entry.id).await,
                _ => Err(UseCaseError::NotFound),
            }
        };
        let served = served.map_err(|error| match error {
            UseCaseError::NotFound => UseCaseError::Invalid(vec![Invalid::new(
                "https_cert",
                "oneof",
                "is neither default nor a server certificate that is held",
            )]),
            other => other,
        })?;
        let chosen = served.id.map_or_else(|| DEFAULT.to_owned(), |id| id.0.to_string());
        ports.store.set_setting(SERVED, &SecretString::from(chosen)).await?;
        self.inner.served.send_replace(served);
        Ok(())
    }

    /// The names that [`Engine::serve_https_with`] accepts, the default first (contract §5, `get_menuoptions`).
    ///
    /// # Errors
    /// The store's.
    pub async fn https_choices(&self) -> Result<Vec<String>, UseCaseError> {
        let held = self.store().servable_names().await?;
        Ok(std::iter::once(DEFAULT.to_owned()).chain(held).collect())
    }

    /// Serves an entry's new version or new name, if it is the one served. The caller holds `changes`.
    pub(crate) async fn refresh_served(&self, id: CertificateId) -> Result<(), UseCaseError> {
        if self.inner.served.borrow().id == Some(id) {
            let served = version(&self.inner.ports, id).await?;
            self.inner.served.send_replace(served);
        }
        Ok(())
    }
}
