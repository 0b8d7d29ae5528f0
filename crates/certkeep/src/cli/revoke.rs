//! `certkeep revoke`: takes the certificate that an entry holds out of the world, and has another one applied for. Works
//! beside a service that runs, which begins with that within a minute.
use std::sync::Arc;

use certkeep_acme::AcmeIssuer;
use certkeep_core::audit::Action;
use certkeep_core::certificate::{Certificate, CertificateId};
use certkeep_core::ports::{Certificates, RevocationReason};
use certkeep_core::time::SystemClock;
use certkeep_engine::revoking::{RevokeError, apply_anew, revoke, revoke_and_delete};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::client::object;
use super::ending::print;
use super::visit::{audited, runtime, with_store};
use super::{CommandError, Place};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The certificate's name or number
    #[arg(value_name = "NAME|ID")]
    certificate: String,
    /// Why
    #[arg(long, value_enum, default_value_t = Reason::Unspecified)]
    reason: Reason,
    /// Do not apply for another one at once
    #[arg(long, conflicts_with = "delete")]
    no_renew: bool,
    /// Delete the entry as well
    #[arg(long)]
    delete: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Reason {
    /// No reason is told
    Unspecified,
    /// The private key is known to somebody else
    KeyCompromise,
    /// The owner's name, or another fact in it, has changed
    AffiliationChanged,
    /// Another certificate has taken its place
    Superseded,
    /// The names are given up
    CessationOfOperation,
}

impl From<Reason> for RevocationReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::AffiliationChanged => RevocationReason::AffiliationChanged,
            Reason::CessationOfOperation => RevocationReason::CessationOfOperation,
            Reason::KeyCompromise => RevocationReason::KeyCompromise,
            Reason::Superseded => RevocationReason::Superseded,
            Reason::Unspecified => RevocationReason::Unspecified,
        }
    }
}

#[derive(Serialize)]
struct Revoked<'a> {
    id: i64,
    name: &'a str,
    reason: Reason,
    renewing: bool,
    deleted: bool,
}

pub(super) fn run(place: &Place, arguments: &Arguments) -> Result<(), CommandError> {
    let config = place.config()?;
    let cas = config.engine_settings()?.cas;
    let location = config.location(&place.data)?;
    let runtime = runtime()?;
    runtime.block_on(with_store(&location, async |store| {
        let unknown = || CommandError::NoCertificate(arguments.certificate.clone());
        let entry = find(store, &arguments.certificate).await?.ok_or_else(unknown)?;
        let issuer = AcmeIssuer::new(Arc::new(SystemClock));
        let reason = arguments.reason.into();
        let revoking = async {
            if arguments.delete {
                return revoke_and_delete(store, &issuer, &cas, entry.id, reason).await.map(|()| false);
            }
            match revoke(store, &issuer, &cas, entry.id, reason).await {
                Ok(()) if !arguments.no_renew => apply_anew(store, entry.id, store.clock().now()).await,
                revoked => revoked.map(|()| false),
            }
        };
        let revoking = async {
            revoking.await.map_err(|error| match error {
                RevokeError::Entry(error) => CommandError::Entry(error),
                RevokeError::Failure(failure) => CommandError::Ca(failure),
                RevokeError::Forbidden(_) | RevokeError::NotFound => unknown(),
                RevokeError::Store(error) => error.into(),
            })
        };
        let renewing = audited(store, Action::CertificateRevoke, &entry.name, revoking).await?;
        if arguments.json {
            let (id, name, reason) = (entry.id.0, entry.name.as_str(), arguments.reason);
            return print(&object(&Revoked { id, name, reason, renewing, deleted: arguments.delete }));
        }
        let then = match (renewing, arguments.delete) {
            (_, true) => " and deleted",
            (true, false) => "; another one is applied for",
            (false, false) => "",
        };
        print(&format!("{} is revoked{then}\n", entry.name))
    }))
}

/// The entry of this name, or else of this number.
async fn find(store: &dyn Certificates, certificate: &str) -> Result<Option<Certificate>, CommandError> {
    if let Some(entry) = store.certificate_by_name(certificate).await? {
        return Ok(Some(entry));
    }
    match certificate.parse() {
        Ok(number) => Ok(store.certificate(CertificateId(number)).await?),
        Err(_) => Ok(None),
    }
}
