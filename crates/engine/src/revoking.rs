//! Revoking the certificate that an entry holds (RFC 8555 §7.6).
use certkeep_core::certificate::{CertificateId, Role};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::people::Act;
use certkeep_core::ports::{Issuer, RevocationReason, Revoker, Store, StoreError};

use crate::Cas;

/// Why a certificate is not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The CA was not reached, or refuses.
    #[error("{0}")]
    Failure(Box<Failure>),
    /// This is not allowed.
    #[error("this is not allowed: {} is missing", .0.as_str())]
    Forbidden(Act),
    /// The entry does not exist, is no server certificate, or holds nothing yet.
    #[error("there is no such server certificate")]
    NotFound,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl From<Failure> for RevokeError {
    fn from(failure: Failure) -> Self {
        RevokeError::Failure(Box::new(failure))
    }
}

/// Revokes the current version of an entry at the CA that issued it, or the first one where that is not known: as our
/// account there, or by the certificate's own key where there is no account or the CA does not take it for the owner's.
/// The entry stays as it is, and is renewed as before.
///
/// # Errors
/// [`RevokeError`]; a certificate that is revoked already is none.
pub async fn revoke(
    store: &dyn Store,
    issuer: &dyn Issuer,
    cas: &Cas,
    id: CertificateId,
    reason: RevocationReason,
) -> Result<(), RevokeError> {
    let entry = store.certificate(id).await?.ok_or(RevokeError::NotFound)?;
    if !matches!(entry.role, Role::Server(_)) {
        return Err(RevokeError::NotFound);
    }
    let version = store.current_version(id).await?.ok_or(RevokeError::NotFound)?;
    let issued_by = version.directory.as_deref().and_then(|directory| cas.at(directory));
    let ca = &issued_by.unwrap_or(&cas.first).ca;
    let account = store.acme_account(&ca.directory).await?.filter(|account| account.registered);
    let by_account = match &account {
        Some(account) => Some(issuer.revoke(ca, Revoker::Account(account), &version.chain, reason).await),
        None => None,
    };
    match (by_account, &version.key) {
        (Some(Ok(())), _) => {}
        (Some(Err(failure)), Some(key)) if is_not_ours(&failure) => {
            issuer.revoke(ca, Revoker::CertificateKey(key), &version.chain, reason).await?;
        }
        (Some(Err(failure)), _) => return Err(failure.into()),
        (None, Some(key)) => issuer.revoke(ca, Revoker::CertificateKey(key), &version.chain, reason).await?,
        (None, None) => {
            let fact = "There is no account at this CA, and the certificate's key is not kept.";
            return Err(Failure::new(Code::RevocationRefused, "revoke certificate").about(entry.name).fact(fact).into());
        }
    }
    tracing::info!(id = id.0, "revoked");
    Ok(())
}

/// Whether the CA may say otherwise to whoever holds the key.
fn is_not_ours(failure: &Failure) -> bool {
    matches!(failure.code, Code::AccountRefused | Code::RevocationRefused)
}
