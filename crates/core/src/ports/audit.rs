//! The part of the store that remembers who did what.
use async_trait::async_trait;

use super::store::StoreError;
use crate::audit::{Deed, Entry, Head};

/// Which entries are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditRange {
    /// Those after this one, in their order.
    After(i64),
    /// Those before this one, the latest first; `i64::MAX` begins with the last one.
    Before(i64),
}

/// The chain of entries (see [`crate::audit`]). Nothing in it is ever changed or taken away.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Adds an entry at the end of the chain, wherever that is by then; answers it.
    async fn add_audit(&self, deed: &Deed) -> Result<Entry, StoreError>;

    /// Entries, at most so many.
    async fn audit(&self, range: AuditRange, most: u32) -> Result<Vec<Entry>, StoreError>;

    /// The end of the chain, as it was written down beside it.
    async fn audit_head(&self) -> Result<Head, StoreError>;
}
