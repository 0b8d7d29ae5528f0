//! The part of the store that people look at.
use async_trait::async_trait;
use jiff::Timestamp;

use super::store::StoreError;
use crate::certificate::CertificateId;
use crate::outline::{Calendar, Census, Found, Outline, Search};

/// Reads for people; none of them opens a secret.
#[async_trait]
pub trait Overview: Send + Sync {
    /// One entry in outline.
    async fn outline(&self, id: CertificateId) -> Result<Option<Outline>, StoreError>;

    /// A page of what is looked for.
    async fn search(&self, search: &Search, now: Timestamp) -> Result<Found, StoreError>;

    /// Of the entries that need a human ([`Outline::concern`]) up to `limit`, those that end first, and how many there are.
    async fn concerns(&self, now: Timestamp, limit: u32) -> Result<Found, StoreError>;

    /// What `days` days from `now` on bring.
    async fn calendar(&self, now: Timestamp, days: u32) -> Result<Calendar, StoreError>;

    /// How many there are.
    async fn census(&self) -> Result<Census, StoreError>;
}
