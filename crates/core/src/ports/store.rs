//! Port to durable memory. Every method is one transaction; what it answers was committed.
use std::error::Error;

use async_trait::async_trait;
use secrecy::SecretString;

use super::audit::Audit;
use super::clients::Clients;
use super::inventory::{Certificates, Uploads};
use super::issuances::Issuances;
use super::ledger::{Ledger, Renewals};
use super::overview::Overview;
use super::people::People;
use crate::issuance::IssuanceId;

/// Why the store did not do as asked. `Display` never repeats the source.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What was read cannot have been written by certkeep, or not under this sealing key.
    #[error("{what} cannot be read back")]
    Corrupt {
        /// Table and row.
        what: String,
        /// What was wrong with it.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The lease was taken over by somebody else; nothing was written.
    #[error("the lease of issuance {} is no longer ours", .0.0)]
    LeaseLost(IssuanceId),
    /// The database did not answer, or refused.
    #[error("the store cannot {doing} now")]
    Unavailable {
        /// The operation.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// How often something was changed that processes remember. What is remembered of it is void when its number differs
/// from the one read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Clients, users, and the tokens of both.
    pub access: i64,
    /// Entries, and settings.
    pub certificates: i64,
}

/// All of the store.
#[async_trait]
pub trait Store: Audit + Certificates + Clients + Issuances + Ledger + Overview + People + Renewals + Settings + Uploads {
    /// Grows with every change that another process may have made: of clients and users everywhere, of tokens, entries and settings
    /// where several processes serve one store.
    async fn epoch(&self) -> Result<Epoch, StoreError>;

    /// Returns when the epoch may have grown: soon after it did, and within a second in any case.
    async fn nudged(&self);

    /// Sets the value of a key that has none; answers the value that it has now.
    async fn first_setting(&self, key: &str, value: &SecretString) -> Result<SecretString, StoreError>;
}

/// Single values, all of them sealed.
#[async_trait]
pub trait Settings: Send + Sync {
    /// The value of a key.
    async fn setting(&self, key: &str) -> Result<Option<SecretString>, StoreError>;

    /// Sets the value of a key.
    async fn set_setting(&self, key: &str, value: &SecretString) -> Result<(), StoreError>;
}
