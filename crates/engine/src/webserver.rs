//! Which certificate certkeep's own HTTPS serves (contract §5).
use certkeep_core::certificate::{CertificateId, Kind, ListQuery, Role, SortBy};
use certkeep_core::material::{Chain, PrivateKey, self_signed};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use crate::error::{Invalid, UseCaseError};
use crate::{Engine, Ports};

/// The name of the self-signed certificate made at the first start.
pub const DEFAULT: &str = "default";

const SERVED_NAME: &str = "webserver.https_cert";
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
    if let Some(name) = ports.store.setting(SERVED_NAME).await? {
        match by_name(ports, name.expose_secret()).await {
            Ok(served) => return Ok(served),
            // A service without any HTTPS helps nobody.
            Err(error) => tracing::error!(name = name.expose_secret(), %error, "serving the default certificate instead"),
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

async fn by_name(ports: &Ports, name: &str) -> Result<Served, UseCaseError> {
    if name == DEFAULT {
        return default(ports).await;
    }
    let entry = ports.store.certificate_by_name(name).await?.ok_or(UseCaseError::NotFound)?;
    if !matches!(entry.role, Role::Server(_)) {
        return Err(UseCaseError::NotFound);
    }
    let version = ports.store.current_version(entry.id).await?.ok_or(UseCaseError::NotFound)?;
    let key = version.key.ok_or(UseCaseError::NotFound)?;
    Ok(Served { name: entry.name, id: Some(entry.id), chain: version.chain, key })
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
        let served = by_name(&self.inner.ports, name).await.map_err(|error| match error {
            UseCaseError::NotFound => UseCaseError::Invalid(vec![Invalid::new(
                "https_cert",
                "oneof",
                "is neither default nor a server certificate that is held",
            )]),
            other => other,
        })?;
        self.store().set_setting(SERVED_NAME, &SecretString::from(name)).await?;
        self.inner.served.send_replace(served);
        Ok(())
    }

    /// The names that [`Engine::serve_https_with`] accepts, the default first (contract §5, `get_menuoptions`).
    ///
    /// # Errors
    /// The store's.
    pub async fn https_choices(&self) -> Result<Vec<String>, UseCaseError> {
        let query = ListQuery { page: 1, page_size: 10_000, sort_by: SortBy::Name, descending: false, kind: Some(Kind::Server) };
        let page = self.store().list(&query).await?;
        let held = page.rows.into_iter().filter(|entry| entry.held.is_some()).map(|entry| entry.name);
        Ok(std::iter::once(DEFAULT.to_owned()).chain(held).collect())
    }

    /// Serves an entry's new version or new name at once, if it is the one served.
    pub(crate) async fn refresh_served(&self, id: CertificateId) {
        if self.inner.served.borrow().id != Some(id) {
            return;
        }
        let refreshed = async {
            let entry = self.store().certificate(id).await?.ok_or(UseCaseError::NotFound)?;
            if entry.name != self.inner.served.borrow().name {
                self.store().set_setting(SERVED_NAME, &SecretString::from(entry.name.as_str())).await?;
            }
            by_name(&self.inner.ports, &entry.name).await
        };
        match refreshed.await {
            Ok(served) => {
                self.inner.served.send_replace(served);
            }
            Err(error) => tracing::error!(id = id.0, %error, "the new version is not served yet"),
        }
    }
}
