//! Port to the locks of zones that hold across processes.
use std::time::Duration;

use async_trait::async_trait;

use super::store::StoreError;

/// One writer per zone, among all processes that serve one store. A lock ends by itself: it outlives nobody for longer than
/// its lease, by the time of the store.
#[async_trait]
pub trait ZoneLocks: Send + Sync {
    /// Takes the lock of a zone for this long; answers whether it is the holder's now. Whoever holds it prolongs it so.
    async fn take(&self, zone: &str, holder: &str, lease: Duration) -> Result<bool, StoreError>;

    /// Gives a lock back; one that is another's by now stays as it is.
    async fn give_back(&self, zone: &str, holder: &str) -> Result<(), StoreError>;
}
