//! Issuances, their records, and due work.
mod accounts;
mod history;
pub(crate) mod journal;
pub(crate) mod leases;
mod outcome;
pub(crate) mod starting;

use async_trait::async_trait;
use certkeep_core::certificate::CertificateId;
use certkeep_core::failure::Failure;
use certkeep_core::issuance::{AcmeAccount, ChallengeRecord, Fence, Issuance, IssuanceId, IssuanceSummary, Lease, RecordId};
use certkeep_core::ports::{Issuances, Outcome, StoreError};
use certkeep_core::schedule::Pace;
use jiff::Timestamp;

use crate::SqlStore;
use crate::again::repeated;
use crate::error::unavailable;
use crate::rows::instant;

use starting::due_entries;

/// The earliest due instant of each kind of work, each from an index.
pub(crate) const NEXT_DUE: &str = concat!(
    "SELECT MIN(due_at) FROM (",
    due_entries!(""),
    " UNION ALL SELECT 9, MIN(due_at) FROM issuances WHERE due_at IS NOT NULL
      UNION ALL SELECT 9, MIN(due_at) FROM challenge_records WHERE due_at IS NOT NULL
      UNION ALL SELECT 9, MIN(renewal_ask_at) FROM certificates WHERE renewal_ask_at IS NOT NULL
     ) AS work"
);

#[async_trait]
impl Issuances for SqlStore {
    async fn start_due(&self, now: Timestamp, limit: u32, pace: Pace) -> Result<u64, StoreError> {
        repeated(|| starting::start_due(self, now, limit, pace)).await
    }

    async fn lease(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<Lease>, StoreError> {
        repeated(|| leases::lease(self, now, until, limit)).await
    }

    async fn save(&self, issuance: &Issuance, fence: Fence, until: Timestamp) -> Result<(), StoreError> {
        repeated(|| leases::save(self, issuance, fence, until)).await
    }

    async fn release(&self, id: IssuanceId, fence: Fence, again: Option<Timestamp>) -> Result<(), StoreError> {
        repeated(|| leases::release(self, id, fence, again)).await
    }

    async fn journal(&self, records: Vec<ChallengeRecord>, fence: Fence) -> Result<Vec<ChallengeRecord>, StoreError> {
        repeated(|| journal::journal(self, &records, fence)).await
    }

    async fn record_added(&self, id: RecordId, handle: &serde_json::Value) -> Result<(), StoreError> {
        repeated(|| journal::added(self, id, handle)).await
    }

    async fn records(&self, issuance: IssuanceId) -> Result<Vec<ChallengeRecord>, StoreError> {
        journal::of(self, issuance).await
    }

    async fn record_removed(
        &self,
        id: RecordId,
        fence: Option<Fence>,
        now: Timestamp,
        again: Timestamp,
    ) -> Result<(), StoreError> {
        repeated(|| journal::removed(self, id, fence, now, again)).await
    }

    async fn journal_late(&self, records: &[ChallengeRecord], now: Timestamp) -> Result<(), StoreError> {
        repeated(|| journal::journal_late(self, records, now)).await
    }

    async fn finish(&self, issuance: &Issuance, fence: Fence, outcome: &Outcome) -> Result<(), StoreError> {
        repeated(|| outcome::finish(self, issuance, fence, outcome)).await
    }

    async fn failures_in_a_row(&self, id: CertificateId) -> Result<u32, StoreError> {
        outcome::failures_in_a_row(self, id).await
    }

    async fn last_failure(&self, id: CertificateId) -> Result<Option<Failure>, StoreError> {
        outcome::last_failure(self, id).await
    }

    async fn issuances(&self, id: CertificateId) -> Result<Vec<IssuanceSummary>, StoreError> {
        history::of(self, id).await
    }

    async fn due_removals(&self, now: Timestamp, limit: u32) -> Result<Vec<ChallengeRecord>, StoreError> {
        journal::due_removals(self, now, limit).await
    }

    async fn is_wanted_elsewhere(&self, record: &ChallengeRecord) -> Result<bool, StoreError> {
        journal::is_wanted_elsewhere(self, record).await
    }

    async fn removal_failed(&self, id: RecordId, again: Timestamp) -> Result<(), StoreError> {
        repeated(|| journal::removal_failed(self, id, again)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let due: Option<i64> =
            sqlx::query_scalar(NEXT_DUE).fetch_one(self.readers()).await.map_err(unavailable("look for due work"))?;
        due.map(|at| instant("due work", 0, at)).transpose()
    }

    async fn acme_account(&self, directory: &str) -> Result<Option<AcmeAccount>, StoreError> {
        accounts::of(self, directory).await
    }

    async fn first_acme_account(&self, account: &AcmeAccount) -> Result<AcmeAccount, StoreError> {
        repeated(|| accounts::first(self, account)).await?;
        let kept = accounts::of(self, &account.directory).await?;
        // Nobody takes an account away.
        Ok(kept.unwrap_or_else(|| account.clone()))
    }

    async fn keep_acme_account(&self, account: &AcmeAccount) -> Result<(), StoreError> {
        repeated(|| accounts::keep(self, account)).await
    }
}
