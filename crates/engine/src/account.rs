//! The account at the CA: its key is changed so that a kill at any instant leaves a way on, which a service that runs takes
//! by itself.
use std::time::Duration;

use certkeep_core::failure::Failure;
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::ports::{CertificateAuthority, Issuer, Store, StoreError};
use secrecy::{ExposeSecret, SecretString};

use crate::Engine;

/// Between two looks for changes that were interrupted.
const LOOK_INTERVAL: Duration = Duration::from_secs(600);

/// Where the next key of an account is kept until it is the account's, before the directory's URL.
const NEXT: &str = "acme.next_account.";

/// Why an account has the key that it had.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The CA was not reached, or refuses.
    #[error("{0}")]
    Failure(Box<Failure>),
    /// There is no account at this CA that could have another key.
    #[error("there is no account at this CA yet")]
    NoAccount,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl From<Failure> for RotateError {
    fn from(failure: Failure) -> Self {
        RotateError::Failure(Box::new(failure))
    }
}

/// Gives our account at the CA another key (RFC 8555 §7.3.5). The key is kept before the CA hears of it: after a kill the
/// next call goes on with the same one.
///
/// # Errors
/// [`RotateError`]; the next key stays kept.
pub async fn rotate(store: &dyn Store, issuer: &dyn Issuer, ca: &CertificateAuthority) -> Result<AcmeAccount, RotateError> {
    let known = store.acme_account(&ca.directory).await?.filter(|account| account.registered);
    let account = known.ok_or(RotateError::NoAccount)?;
    let place = place(&ca.directory);
    let next = match next_key(store, &ca.directory).await? {
        Some(credentials) => AcmeAccount { directory: ca.directory.clone(), credentials, registered: false },
        None => {
            let next = issuer.new_account(ca)?;
            store.set_setting(&place, &next.credentials).await?;
            next
        }
    };
    let rolled = issuer.roll_over(ca, &account, &next).await?;
    store.keep_acme_account(&rolled).await?;
    store.set_setting(&place, &SecretString::default()).await?;
    tracing::info!(directory = ca.directory, "the account has another key");
    Ok(rolled)
}

/// Whether a change of the account's key at this CA was begun and not brought to its end.
pub(crate) async fn is_rotating(store: &dyn Store, directory: &str) -> Result<bool, StoreError> {
    Ok(next_key(store, directory).await?.is_some())
}

async fn next_key(store: &dyn Store, directory: &str) -> Result<Option<SecretString>, StoreError> {
    Ok(store.setting(&place(directory)).await?.filter(|kept| !kept.expose_secret().is_empty()))
}

fn place(directory: &str) -> String {
    format!("{NEXT}{directory}")
}

impl Engine {
    /// Brings a change of an account's key to its end that was interrupted; answers whether the account has the key that
    /// the CA knows now.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn finish_rotation(&self, ca: &CertificateAuthority) -> Result<bool, StoreError> {
        let _alone = self.inner.accounts.lock().await;
        if !is_rotating(self.store(), &ca.directory).await? {
            // Whoever held the lock before has done it.
            return Ok(true);
        }
        match rotate(self.store(), self.inner.ports.issuer.as_ref(), ca).await {
            Ok(_) => Ok(true),
            Err(RotateError::Store(error)) => Err(error),
            Err(error) => {
                tracing::warn!(directory = ca.directory, %error, "a change of the account's key is not brought to its end yet");
                Ok(false)
            }
        }
    }
}

/// Looks at the start, and every now and then, for changes of keys that were interrupted.
pub(crate) async fn finish_rotations(engine: Engine) {
    loop {
        for choice in engine.inner.settings.cas.iter() {
            let directory = &choice.ca.directory;
            let finished = match is_rotating(engine.store(), directory).await {
                Ok(true) => engine.finish_rotation(&choice.ca).await.map(drop),
                looked => looked.map(drop),
            };
            if let Err(error) = finished {
                tracing::warn!(directory, error = &error as &dyn std::error::Error, "the keys of accounts are not looked at");
            }
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
