//! The part of the store that holds issuances, their records, and accounts at CAs.
use async_trait::async_trait;
use jiff::Timestamp;

use super::inventory::Version;
use super::store::StoreError;
use crate::certificate::CertificateId;
use crate::failure::Failure;
use crate::issuance::{AcmeAccount, ChallengeRecord, Fence, Issuance, IssuanceId, IssuanceSummary, Lease, RecordId};
use crate::schedule::Pace;

/// How an issuance ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It failed; the entry keeps what it holds and is tried again at the instant given, or never.
    Failed(Failure, Option<Timestamp>),
    /// The version is the entry's current one from now on, and it is renewed at the instant given.
    Issued(Box<Version>, Timestamp),
}

/// Issuances, their records, and due work.
#[async_trait]
pub trait Issuances: Send + Sync {
    /// Begins an issuance for up to `limit` entries whose next one is due and which have none; makes them `issuing`.
    /// The most pressing first, applications by turns of their owners, renewals in good time at the pace given, whoever
    /// begins them ([`crate::schedule`]). Answers how many.
    async fn start_due(&self, now: Timestamp, limit: u32, pace: Pace) -> Result<u64, StoreError>;

    /// Leases up to `limit` unfinished issuances that nobody holds, until the instant given.
    async fn lease(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<Lease>, StoreError>;

    /// Saves an issuance as it is and prolongs the lease.
    ///
    /// # Errors
    /// `LeaseLost` when the fence no longer holds; then nothing is written.
    async fn save(&self, issuance: &Issuance, fence: Fence, until: Timestamp) -> Result<(), StoreError>;

    /// Hands a lease back, so that the issuance may be leased at once, or not before `again`.
    async fn release(&self, id: IssuanceId, fence: Fence, again: Option<Timestamp>) -> Result<(), StoreError>;

    /// Writes records into the journal, before they are created; answers them with their numbers.
    async fn journal(&self, records: Vec<ChallengeRecord>, fence: Fence) -> Result<Vec<ChallengeRecord>, StoreError>;

    /// Saves what the provider's `add` answered.
    async fn record_added(&self, id: RecordId, handle: &serde_json::Value) -> Result<(), StoreError>;

    /// The journalled records of an issuance that runs.
    async fn records(&self, issuance: IssuanceId) -> Result<Vec<ChallengeRecord>, StoreError>;

    /// Takes a record out of the journal: it was removed, by who holds the fence or, without one, after its issuance. Where
    /// another may still be about to put it up, because the issuance was leased anew since it was journalled or is not there
    /// any more, it stays to be removed once more at the instant `again`, and is none of the issuance's records any longer.
    /// Nothing is changed of an issuance that runs under another fence.
    async fn record_removed(
        &self,
        id: RecordId,
        fence: Option<Fence>,
        now: Timestamp,
        again: Timestamp,
    ) -> Result<(), StoreError>;

    /// Writes records into the journal anew that were put up under a lease that is lost: whoever holds it now may have
    /// removed them before. They are due for removal at once; those that are in the journal still stay as they are.
    async fn journal_late(&self, records: &[ChallengeRecord], now: Timestamp) -> Result<(), StoreError>;

    /// Ends an issuance, the entry's new state and version in the same transaction.
    ///
    /// # Errors
    /// `LeaseLost` when the fence no longer holds; then nothing is written.
    async fn finish(&self, issuance: &Issuance, fence: Fence, outcome: &Outcome) -> Result<(), StoreError>;

    /// How many issuances of the entry failed in a row, until now.
    async fn failures_in_a_row(&self, id: CertificateId) -> Result<u32, StoreError>;

    /// The last failure of the entry, with its evidence.
    async fn last_failure(&self, id: CertificateId) -> Result<Option<Failure>, StoreError>;

    /// The issuances of an entry, the latest first: the one that runs, and those that are over, of which
    /// [`KEPT_ISSUANCES`](crate::issuance::KEPT_ISSUANCES) are kept.
    async fn issuances(&self, id: CertificateId) -> Result<Vec<IssuanceSummary>, StoreError>;

    /// Records of finished or deleted issuances that are due for removal.
    async fn due_removals(&self, now: Timestamp, limit: u32) -> Result<Vec<ChallengeRecord>, StoreError>;

    /// Whether an issuance that still runs, another than this record's, has journalled the same value at the same name:
    /// a CA may hand the same pending authorization to both (RFC 8555 §7.1.4), and the record has to stay for the other.
    /// A record that is due for removal may be wanted by its own issuance as well, under another number.
    async fn is_wanted_elsewhere(&self, record: &ChallengeRecord) -> Result<bool, StoreError>;

    /// Remembers that a removal failed; it is due again at the instant given.
    async fn removal_failed(&self, id: RecordId, again: Timestamp) -> Result<(), StoreError>;

    /// The earliest instant at which any work is due: an issuance to begin, one to go on with, a record to remove. Renewals
    /// in good time that are held back are due when they may begin.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// The account at a CA.
    async fn acme_account(&self, directory: &str) -> Result<Option<AcmeAccount>, StoreError>;

    /// Keeps the account of a directory that has none; answers the one that it has now. Of several processes that make
    /// one at the same time all go on with the same.
    async fn first_acme_account(&self, account: &AcmeAccount) -> Result<AcmeAccount, StoreError>;

    /// Keeps an account; one directory has one account.
    async fn keep_acme_account(&self, account: &AcmeAccount) -> Result<(), StoreError>;
}
