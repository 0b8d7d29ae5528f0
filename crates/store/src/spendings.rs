//! What was spent at each CA: a row for each bucket that is not full.
use async_trait::async_trait;
use certkeep_core::ledger::{self, ALLOWANCE, Asked, Bucket, Counted, Event, Limit, Refusal, Spending};
use certkeep_core::ports::{Ledger, StoreError};
use jiff::Timestamp;
use sqlx::AnyConnection;

use crate::SqlStore;
use crate::again::{commit, repeated};
use crate::error::unavailable;
use crate::rows::{from_columns, instant, unknown};

const TABLE: &str = "spendings";

struct SpendingRow {
    counted: String,
    key: String,
    full_at: i64,
}

from_columns!(SpendingRow { counted, key, full_at });

impl SpendingRow {
    fn spending(self) -> Result<Spending, StoreError> {
        let counted = Counted::from_word(&self.counted).ok_or_else(|| unknown(TABLE, 0, "counted"))?;
        Ok(Spending { bucket: Bucket { counted, key: self.key }, full_at: instant(TABLE, 0, self.full_at)? })
    }
}

async fn rows_of(db: &mut AnyConnection, directory: &str, buckets: &[Bucket]) -> Result<Vec<Spending>, StoreError> {
    let mut rows = Vec::new();
    for Bucket { counted, key } in buckets {
        let row: Option<SpendingRow> =
            sqlx::query_as("SELECT counted, key, full_at FROM spendings WHERE directory = $1 AND counted = $2 AND key = $3")
                .bind(directory)
                .bind(counted.as_str())
                .bind(key)
                .fetch_optional(&mut *db)
                .await
                .map_err(unavailable("read what was spent"))?;
        rows.extend(row.map(SpendingRow::spending).transpose()?);
    }
    Ok(rows)
}

async fn write(db: &mut AnyConnection, directory: &str, spendings: &[Spending]) -> Result<(), StoreError> {
    for Spending { bucket, full_at } in spendings {
        sqlx::query(
            "INSERT INTO spendings (directory, counted, key, full_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (directory, counted, key) DO UPDATE SET full_at = excluded.full_at",
        )
        .bind(directory)
        .bind(bucket.counted.as_str())
        .bind(&bucket.key)
        .bind(full_at.as_microsecond())
        .execute(&mut *db)
        .await
        .map_err(unavailable("write what was spent"))?;
    }
    Ok(())
}

async fn spend(
    store: &SqlStore,
    directory: &str,
    limits: &[Limit],
    asked: Option<&Asked<'_>>,
    events: &[Event<'_>],
    now: Timestamp,
) -> Result<Option<Refusal>, StoreError> {
    let doing = unavailable("count what is spent");
    let mut tx = store.write().await.map_err(&doing)?;
    if let Some(asked) = asked {
        let spent = rows_of(&mut tx, directory, &asked.act.buckets()).await?;
        if let Err(refusal) = ledger::earliest(limits, &spent, asked, now) {
            return Ok(Some(refusal));
        }
    }
    for event in events {
        let spent = rows_of(&mut tx, directory, &event.buckets()).await?;
        write(&mut tx, directory, &ledger::spend(limits, &spent, event, now)).await?;
    }
    commit(tx).await.map_err(&doing)?;
    Ok(None)
}

#[async_trait]
impl Ledger for SqlStore {
    async fn spend_if_free(
        &self,
        directory: &str,
        limits: &[Limit],
        asked: &Asked<'_>,
        event: &Event<'_>,
        now: Timestamp,
    ) -> Result<Option<Refusal>, StoreError> {
        repeated(|| spend(self, directory, limits, Some(asked), std::slice::from_ref(event), now)).await
    }

    async fn spend(&self, directory: &str, limits: &[Limit], events: &[Event<'_>], now: Timestamp) -> Result<(), StoreError> {
        repeated(|| spend(self, directory, limits, None, events, now)).await.map(drop)
    }

    async fn spendings(&self, directory: &str) -> Result<Vec<Spending>, StoreError> {
        let rows: Vec<SpendingRow> =
            sqlx::query_as("SELECT counted, key, full_at FROM spendings WHERE directory = $1 ORDER BY counted, key")
                .bind(directory)
                .fetch_all(self.readers())
                .await
                .map_err(unavailable("read what was spent"))?;
        rows.into_iter().map(SpendingRow::spending).collect()
    }

    async fn sweep_spendings(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = now.saturating_sub(ALLOWANCE).unwrap_or(now);
        let done = sqlx::query("DELETE FROM spendings WHERE full_at <= $1")
            .bind(before.as_microsecond())
            .execute(self.writer())
            .await
            .map_err(unavailable("sweep what was spent"))?;
        Ok(done.rows_affected())
    }
}
