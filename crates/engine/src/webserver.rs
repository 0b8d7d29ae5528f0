//! Which certificate certkeep's own HTTPS serves (contract §5).
use certkeep_core::certificate::{CertificateId, Kind};
use certkeep_core::material::{Chain, PrivateKey, self_signed};
use certkeep_core::ports::{Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use crate::error::{Invalid, UseCaseError};
use crate::{Engine, Ports};

/// The name of the self-signed certificate made at the first start.
pub const DEFAULT: &str = "default";

/// The number of the entry that is served, or [`DEFAULT`]. A number, since names change.
const SERVED: &str = "webserver.https_cert";
/// Key and chain of the default, in PEM, one after the other: two processes at their first start keep the same pair.
const DEFAULT_PAIR: &str = "webserver.default";
/// Where in the pair the chain begins.
const CHAIN: &str = "-----BEGIN CERTIFICATE-----";

/// Whether the listener presents this entry.
pub(crate) async fn is_served(store: &dyn Store, id: CertificateId) -> Result<bool, StoreError> {
    let chosen = store.setting(SERVED).await?;
    Ok(chosen.is_some_and(|chosen| chosen.expose_secret().parse() == Ok(id.0)))
}

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
    if let Some(served) = ports.store.setting(DEFAULT_PAIR).await?.and_then(|pair| read_pair(&pair)) {
        return Ok(served);
    }
    let (chain, key) = self_signed("certkeep", ports.clock.now()).map_err(|e| UseCaseError::Internal(e.to_string()))?;
    let pair = SecretString::from(key.to_pem().expose_secret().to_owned() + &chain.to_pem());
    let kept = ports.store.first_setting(DEFAULT_PAIR, &pair).await?;
    Ok(read_pair(&kept).unwrap_or(Served { name: DEFAULT.to_owned(), id: None, chain, key }))
}

fn read_pair(pair: &SecretString) -> Option<Served> {
    let pair = pair.expose_secret();
    let (key, chain) = pair.split_at_checked(pair.find(CHAIN)?)?;
    let (key, chain) = (PrivateKey::parse_pem(key).ok()?, Chain::parse_pem(chain).ok()?);
    Some(Served { name: DEFAULT.to_owned(), id: None, chain, key })
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

    /// Presents what another process has chosen, or made of what we present.
    pub(crate) async fn reload_served(&self) -> Result<(), UseCaseError> {
        let _alone = self.inner.changes.lock().await;
        let served = load(&self.inner.ports).await?;
        let is_new = {
            let now = self.inner.served.borrow();
            (now.id, &now.name, &now.chain) != (served.id, &served.name, &served.chain)
        };
        if is_new {
            self.inner.served.send_replace(served);
        }
        Ok(())
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
