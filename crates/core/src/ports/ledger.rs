//! The part of the store that holds what was spent at CAs, and what they said of renewals.
use async_trait::async_trait;
use jiff::Timestamp;

use super::store::StoreError;
use crate::certificate::CertificateId;
use crate::ledger::{Asked, Event, Limit, Refusal, Spending};
use crate::material::Chain;
use crate::renewal::Validity;
use crate::renewal_info::Choice;

/// What was spent at each CA; a CA goes by its directory URL.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Counts an event ([`crate::ledger::spend`]), unless the CA would surely refuse what is asked
    /// ([`crate::ledger::earliest`]): then nothing is counted, and the refusal is answered.
    async fn spend_if_free(
        &self,
        directory: &str,
        limits: &[Limit],
        asked: &Asked<'_>,
        event: &Event<'_>,
        now: Timestamp,
    ) -> Result<Option<Refusal>, StoreError>;

    /// Counts events, all of them or none.
    async fn spend(&self, directory: &str, limits: &[Limit], events: &[Event<'_>], now: Timestamp) -> Result<(), StoreError>;

    /// All that is counted at a CA.
    async fn spendings(&self, directory: &str) -> Result<Vec<Spending>, StoreError>;

    /// Forgets what says nothing any more ([`Spending::is_over`]); answers how many.
    async fn sweep_spendings(&self, now: Timestamp) -> Result<u64, StoreError>;
}

/// A certificate whose CA is to be asked when it had better be renewed (RFC 9773).
#[derive(Clone, Debug)]
pub struct Question {
    /// The entry.
    pub certificate: CertificateId,
    /// The number of the version that is held.
    pub version: i64,
    /// The directory URL of the CA that issued it.
    pub directory: String,
    /// What is held.
    pub chain: Chain,
    /// Its life.
    pub validity: Validity,
    /// What was chosen by the last answer.
    pub kept: Option<Choice>,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The instant chosen within the CA's window; `None` leaves what was chosen before.
    pub choice: Option<Choice>,
    /// A page for people that says why.
    pub explanation_url: Option<String>,
    /// When to ask again.
    pub ask_at: Timestamp,
}

/// When an entry is renewed, and what is kept of its CA's word about that (RFC 9773).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenewalState {
    /// When the next issuance begins; absent while one runs, and where none is planned.
    pub next_issuance: Option<Timestamp>,
    /// The CA's window, and the instant that was chosen in it.
    pub choice: Option<Choice>,
    /// The CA's page for people that says why.
    pub explanation_url: Option<String>,
    /// When the CA is asked again; absent where there is nobody to ask.
    pub ask_at: Option<Timestamp>,
}

/// Questions to CAs about renewals.
#[async_trait]
pub trait Renewals: Send + Sync {
    /// Up to `limit` questions that are due. They are due again at `again`, whatever becomes of whoever asks.
    async fn questions(&self, now: Timestamp, again: Timestamp, limit: u32) -> Result<Vec<Question>, StoreError>;

    /// Keeps an answer, if the version is still the one that is held. The next issuance begins at the instant chosen; where
    /// one has failed, is under way or was asked for, that stays as it is.
    async fn answered(&self, question: &Question, told: &Told) -> Result<(), StoreError>;

    /// When an entry is renewed; nothing is planned for one that does not exist.
    async fn renewal_state(&self, id: CertificateId) -> Result<RenewalState, StoreError>;
}
