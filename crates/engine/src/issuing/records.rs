//! Taking challenge records down: at the end of every issuance, and later what was left over.
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use certkeep_core::application::{AuthEntry, Delegation};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{ChallengeRecord, Fence, RecordId};
use certkeep_core::ports::{DnsProvider, DnsProviders, StoreError};
use certkeep_core::provider::Parameters;
use certkeep_core::renewal::retry_at;
use futures::future::join_all;

use super::{LATE, Notes, Run, later};
use crate::Engine;
use crate::draw::draw;

/// How long an issuance waits for the removal of its records before it leaves them to the loop.
pub(super) const REMOVAL_DEADLINE: Duration = Duration::from_secs(60);

impl Run {
    /// Takes every journalled record down, as far as it goes; the rest stays in the journal and is tried again.
    pub(super) async fn take_down(&self) {
        let records = match self.engine.store().records(self.issuance.id).await {
            Ok(records) => records,
            Err(error) => {
                tracing::warn!(
                    issuance = self.issuance.id.0,
                    error = &error as &dyn std::error::Error,
                    "records not removed yet"
                );
                return;
            }
        };
        let all = join_all(records.iter().map(|record| self.engine.remove_record(record, Some(self.fence), &self.notes)));
        match tokio::time::timeout(REMOVAL_DEADLINE, all).await {
            Ok(noted) => {
                let gone: Vec<_> =
                    records.iter().zip(&noted).filter(|(_, noted)| noted.is_ok()).map(|(record, _)| record.id).collect();
                self.put_up.lock().unwrap_or_else(PoisonError::into_inner).retain(|record| !gone.contains(&record.id));
                for error in noted.into_iter().filter_map(Result::err) {
                    tracing::warn!(
                        issuance = self.issuance.id.0,
                        error = &error as &dyn std::error::Error,
                        "journal not written"
                    );
                }
            }
            Err(_) => tracing::warn!(issuance = self.issuance.id.0, "the removal of records takes long and is left for later"),
        }
    }
}

impl Engine {
    /// Takes a record down and out of the journal, or remembers to try again; notes what came of it.
    ///
    /// # Errors
    /// The store's: the journal does not tell what became of the record.
    pub(crate) async fn remove_record(
        &self,
        record: &ChallengeRecord,
        fence: Option<Fence>,
        notes: &Notes,
    ) -> Result<(), StoreError> {
        let Some(id) = record.id else { return Ok(()) };
        if self.store().is_wanted_elsewhere(record).await? {
            return self.record_removed(id, fence).await;
        }
        let name = record.record.name.as_str();
        match notes.act("take the record down", name, self.remove_at_provider(record), |()| Vec::new()).await {
            Ok(()) => self.record_removed(id, fence).await,
            Err(failure) => {
                let failures = record.failed_removals.saturating_add(1);
                let again = retry_at(self.now(), failures, failure.not_before, draw());
                tracing::warn!(name, %failure, %again, "challenge record not removed yet");
                self.store().removal_failed(id, again).await
            }
        }
    }

    async fn record_removed(&self, id: RecordId, fence: Option<Fence>) -> Result<(), StoreError> {
        let now = self.now();
        self.store().record_removed(id, fence, now, later(now, LATE)).await
    }

    /// What an issuance has put up that was broken off: the lease may have been lost before, and whoever holds it now may have
    /// removed the records too early. What the journal does not know any more is written into it again.
    pub(super) async fn may_be_late(&self, records: Vec<ChallengeRecord>) {
        self.inner.late_records.lock().unwrap_or_else(PoisonError::into_inner).extend(records);
        if let Err(error) = self.journal_late().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "records are journalled anew later");
        }
    }

    /// Writes into the journal what may have been put up too late.
    ///
    /// # Errors
    /// The store's: it is remembered for the next time.
    pub(crate) async fn journal_late(&self) -> Result<(), StoreError> {
        let remembered = || self.inner.late_records.lock().unwrap_or_else(PoisonError::into_inner);
        let late = std::mem::take(&mut *remembered());
        if late.is_empty() {
            return Ok(());
        }
        let journalled = self.store().journal_late(&late, self.now()).await;
        if journalled.is_err() {
            remembered().extend(late);
        }
        journalled
    }

    /// By the parameters that the record was written with. Where those have been exchanged since in the configuration of
    /// its delegation, by the new ones.
    async fn remove_at_provider(&self, record: &ChallengeRecord) -> Result<(), Failure> {
        let failure = match self.remove_by(record, &record.auth).await {
            Err(failure) if matches!(failure.code, Code::CredentialsRejected | Code::CredentialsForbidden) => failure,
            other => return other,
        };
        match Delegation::of(&self.inner.settings.delegations, &record.record.name) {
            Some(new) if new.dns_provider == record.dns_provider && new.auth != record.auth => {
                self.remove_by(record, &new.auth).await
            }
            _ => Err(failure),
        }
    }

    async fn remove_by(&self, record: &ChallengeRecord, auth: &[AuthEntry]) -> Result<(), Failure> {
        let provider = connect(self.providers(), &record.dns_provider, auth)?;
        provider.remove(&record.zone, &record.record, record.handle.as_ref()).await
    }
}

/// A provider ready to be called, by parameters that were accepted earlier.
pub(crate) fn connect(providers: &dyn DnsProviders, flag: &str, auth: &[AuthEntry]) -> Result<Arc<dyn DnsProvider>, Failure> {
    providers.connect(flag, &parameters(providers, flag, auth)?)
}

/// The checked parameters of an application that was accepted earlier; a changed descriptor may refuse them now.
pub(crate) fn parameters(providers: &dyn DnsProviders, flag: &str, auth: &[AuthEntry]) -> Result<Parameters, Failure> {
    let doing = "read the parameters";
    let descriptor = providers.descriptor(flag).ok_or_else(|| {
        Failure::new(Code::ProviderParameter, doing).about(flag).fact("certkeep no longer knows this DNS provider")
    })?;
    descriptor.parameters(auth).map_err(|problems| {
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key()).collect();
        Failure::new(Code::ProviderParameter, doing).about(keys.join(", "))
    })
}
