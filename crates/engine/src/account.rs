//! The account at the CA: its key is changed so that a kill at any instant leaves a way on.
use certkeep_core::failure::Failure;
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::ports::{CertificateAuthority, Issuer, Store, StoreError};
use secrecy::{ExposeSecret, SecretString};

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
    let place = format!("{NEXT}{}", ca.directory);
    let kept = store.setting(&place).await?.filter(|kept| !kept.expose_secret().is_empty());
    let next = match kept {
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
