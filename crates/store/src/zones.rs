//! Locks of zones, where several nodes may write. Each question is one statement, and its clock the database's.
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use certkeep_core::ports::{StoreError, ZoneLocks};

use crate::SqlStore;
use crate::again::repeated;
use crate::error::unavailable;

/// A row is there while somebody holds the lock, or has not given it back.
const TAKE: &str = "INSERT INTO zone_locks (zone, holder, ends_at)
     VALUES ($1, $2, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) + $3)
     ON CONFLICT (zone) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at
     WHERE zone_locks.holder = excluded.holder
        OR zone_locks.ends_at <= CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";

impl SqlStore {
    /// The locks that hold across the nodes of a database; `None` for a folder, which one process serves alone.
    pub fn zone_locks(&self) -> Option<Arc<dyn ZoneLocks>> {
        self.0.others.as_ref().map(|_| Arc::new(Locks(self.clone())) as Arc<dyn ZoneLocks>)
    }
}

struct Locks(SqlStore);

#[async_trait]
impl ZoneLocks for Locks {
    async fn take(&self, zone: &str, holder: &str, lease: Duration) -> Result<bool, StoreError> {
        let lease = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX / 2);
        repeated(|| async {
            let taken = sqlx::query(TAKE).bind(zone).bind(holder).bind(lease).execute(self.0.writer()).await;
            Ok(taken.map_err(unavailable("lock a zone"))?.rows_affected() == 1)
        })
        .await
    }

    async fn give_back(&self, zone: &str, holder: &str) -> Result<(), StoreError> {
        repeated(|| async {
            let statement = sqlx::query("DELETE FROM zone_locks WHERE zone = $1 AND holder = $2");
            statement.bind(zone).bind(holder).execute(self.0.writer()).await.map_err(unavailable("unlock a zone"))?;
            Ok(())
        })
        .await
    }
}
