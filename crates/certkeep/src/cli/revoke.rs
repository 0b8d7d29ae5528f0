//! `certkeep revoke`: takes the certificate that an entry holds out of the world. Works beside a service that runs.
use std::sync::Arc;

use certkeep_acme::AcmeIssuer;
use certkeep_core::audit::Action;
use certkeep_core::certificate::{Certificate, CertificateId};
use certkeep_core::ports::{Certificates, RevocationReason};
use certkeep_core::time::SystemClock;
use certkeep_engine::revoking::{RevokeError, revoke};
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
        let revoking = async {
            revoke(store, &issuer, &cas, entry.id, arguments.reason.into()).await.map_err(|error| match error {
                RevokeError::Failure(failure) => CommandError::Ca(failure),
                RevokeError::Forbidden(_) | RevokeError::NotFound => unknown(),
                RevokeError::Store(error) => error.into(),
            })
        };
        audited(store, Action::CertificateRevoke, &entry.name, revoking).await?;
        let revoked = Revoked { id: entry.id.0, name: &entry.name, reason: arguments.reason };
        print(&if arguments.json { object(&revoked) } else { format!("{} is revoked\n", entry.name) })
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
