//! The journal of challenge records. A record is due for removal once its issuance is over.
//!
//! Who has lost a lease may still put up what it was about to put up. So a record is forgotten only when nobody but its
//! remover can have done so: else it is kept, as removed, for another look.
use certkeep_core::application::AuthEntry;
use certkeep_core::issuance::{ChallengeRecord, Fence, IssuanceId, RecordId, TxtRecord};
use certkeep_core::ports::StoreError;
use jiff::{SignedDuration, Timestamp};
use sqlx::AnyConnection;

use super::leases::held;
use crate::SqlStore;
use crate::again::{commit, repeated};
use crate::dialect::Dialect;
use crate::error::{corrupt, unavailable};
use crate::rows::{from_columns, from_json, take_numbers, to_json};
use crate::seal::{Place, Sealer};

const TABLE: &str = "challenge_records";
/// When a record is looked at again that cannot be read back.
const UNREADABLE_AGAIN: SignedDuration = SignedDuration::from_hours(24);

fn auth(row: &str) -> Place<'_> {
    Place { table: TABLE, column: "sealed_auth", row }
}

/// The columns of [`RecordRow`], from the clauses that follow.
macro_rules! select_records {
    ($rest:literal) => {
        concat!(
            "SELECT id, issuance_id, authorization_url, challenge_url, record_name, record_value, zone, dns_provider, ",
            "sealed_auth, handle, failed_removals FROM challenge_records ",
            $rest
        )
    };
}

/// What is due for removal at `$1`, `$2` at most.
pub(crate) const DUE_REMOVALS: &str = select_records!("WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2");

/// A running issuance that wants the value `$2` at the name `$1`: another than `$3`, or the same where the record `$4` is one
/// that it left behind.
pub(crate) const WANTED_ELSEWHERE: &str = "SELECT id FROM challenge_records
     WHERE record_name = $1 AND record_value = $2 AND due_at IS NULL AND removed = 0
       AND (issuance_id <> $3 OR EXISTS (SELECT 1 FROM challenge_records d WHERE d.id = $4 AND d.due_at IS NOT NULL))
     LIMIT 1";

struct RecordRow {
    id: i64,
    issuance_id: i64,
    authorization_url: String,
    challenge_url: String,
    record_name: String,
    record_value: String,
    zone: String,
    dns_provider: String,
    sealed_auth: Vec<u8>,
    handle: Option<String>,
    failed_removals: i64,
}

from_columns!(RecordRow {
    id,
    issuance_id,
    authorization_url,
    challenge_url,
    record_name,
    record_value,
    zone,
    dns_provider,
    sealed_auth,
    handle,
    failed_removals
});

impl RecordRow {
    fn record(self, sealer: &Sealer) -> Result<ChallengeRecord, StoreError> {
        let id = self.id;
        let auth: Vec<AuthEntry> = sealer.open_auth(auth(&id.to_string()), &self.sealed_auth)?;
        Ok(ChallengeRecord {
            id: Some(RecordId(id)),
            issuance: IssuanceId(self.issuance_id),
            authorization: self.authorization_url,
            challenge: self.challenge_url,
            record: TxtRecord {
                name: self.record_name.parse().map_err(|e| corrupt(TABLE, id, Box::new(e) as Box<_>))?,
                value: self.record_value,
            },
            zone: from_json(TABLE, id, &self.zone)?,
            dns_provider: self.dns_provider,
            auth,
            handle: self.handle.map(|text| from_json(TABLE, id, &text)).transpose()?,
            failed_removals: u32::try_from(self.failed_removals).unwrap_or(u32::MAX),
        })
    }
}

/// Records that have a number already are in the journal, and stay as they are there.
pub(super) async fn journal(
    store: &SqlStore,
    records: &[ChallengeRecord],
    fence: Fence,
) -> Result<Vec<ChallengeRecord>, StoreError> {
    let doing = unavailable("journal challenge records");
    let Some(issuance) = records.first().map(|record| record.issuance) else { return Ok(Vec::new()) };
    let mut records = records.to_vec();
    let mut tx = store.write().await.map_err(&doing)?;
    let leased: Option<i64> = sqlx::query_scalar("SELECT id FROM issuances WHERE id = $1 AND fence = $2 AND due_at IS NOT NULL")
        .bind(issuance.0)
        .bind(fence.0)
        .fetch_optional(&mut *tx)
        .await
        .map_err(&doing)?;
    held(leased.map_or(0, |_| 1), issuance)?;
    for record in &mut records {
        if record.issuance != issuance {
            return Err(StoreError::LeaseLost(record.issuance));
        }
        if record.id.is_some() {
            continue;
        }
        let id = take_numbers(&mut tx, TABLE, 1).await.map_err(&doing)?;
        record.id = Some(RecordId(id));
        insert(&mut tx, store.sealer(), id, record, Some(fence), None).await?;
    }
    commit(tx).await.map_err(&doing)?;
    Ok(records)
}

/// Without a fence nobody knows who may be about to put the record up.
async fn insert(
    db: &mut AnyConnection,
    sealer: &Sealer,
    id: i64,
    record: &ChallengeRecord,
    fence: Option<Fence>,
    due: Option<Timestamp>,
) -> Result<(), StoreError> {
    let handle = record.handle.as_ref().map(|handle| to_json(TABLE, id, handle)).transpose()?;
    sqlx::query(
        "INSERT INTO challenge_records
             (id, issuance_id, authorization_url, challenge_url, record_name, record_value, zone, dns_provider,
              sealed_auth, handle, failed_removals, fence, due_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(id)
    .bind(record.issuance.0)
    .bind(&record.authorization)
    .bind(&record.challenge)
    .bind(record.record.name.as_str())
    .bind(&record.record.value)
    .bind(to_json(TABLE, id, &record.zone)?)
    .bind(&record.dns_provider)
    .bind(sealer.seal_auth(auth(&id.to_string()), &record.auth)?)
    .bind(handle)
    .bind(i64::from(record.failed_removals))
    .bind(fence.map_or(0, |fence| fence.0))
    .bind(due.map(Timestamp::as_microsecond))
    .execute(db)
    .await
    .map_err(unavailable("journal a challenge record"))?;
    Ok(())
}

pub(super) async fn journal_late(store: &SqlStore, records: &[ChallengeRecord], now: Timestamp) -> Result<(), StoreError> {
    let doing = unavailable("journal challenge records anew");
    let mut tx = store.write().await.map_err(&doing)?;
    for (record, id) in records.iter().filter_map(|record| Some((record, record.id?))) {
        // Found by name and value: the handle may be of an addition that was removed since.
        let found = ChallengeRecord { handle: None, failed_removals: 0, ..record.clone() };
        insert(&mut tx, store.sealer(), id.0, &found, None, Some(now)).await?;
    }
    commit(tx).await.map_err(&doing)
}

pub(super) async fn added(store: &SqlStore, id: RecordId, handle: &serde_json::Value) -> Result<(), StoreError> {
    sqlx::query("UPDATE challenge_records SET handle = $2 WHERE id = $1")
        .bind(id.0)
        .bind(to_json(TABLE, id.0, handle)?)
        .execute(store.writer())
        .await
        .map_err(unavailable("save a record's handle"))?;
    Ok(())
}

pub(super) async fn of(store: &SqlStore, issuance: IssuanceId) -> Result<Vec<ChallengeRecord>, StoreError> {
    let rows: Vec<RecordRow> =
        sqlx::query_as(select_records!("WHERE issuance_id = $1 AND due_at IS NULL AND removed = 0 ORDER BY id"))
            .bind(issuance.0)
            .fetch_all(store.readers())
            .await
            .map_err(unavailable("read challenge records"))?;
    rows.into_iter().map(|row| row.record(store.sealer())).collect()
}

/// Forgets the record `$1` at `$2` if nobody else can be about to put it up: its other look is over, or it was journalled under
/// the last lease of its issuance, and that is over or the remover's (`$3`): whoever removes is done with putting up.
const FORGOTTEN: &str = "DELETE FROM challenge_records WHERE id = $1 AND ((removed = 1 AND due_at <= $2) OR EXISTS (
         SELECT 1 FROM issuances i WHERE i.id = challenge_records.issuance_id AND i.fence = challenge_records.fence
            AND (i.due_at IS NULL OR i.fence = $3)))";

/// Keeps the record `$1` for another look at `$2`, unless its issuance runs under another fence than the remover's (`$3`) and
/// removes it by itself.
const KEPT: &str = "UPDATE challenge_records
     SET removed = 1, handle = NULL, failed_removals = 0, again_at = $2, due_at = CASE WHEN due_at IS NULL THEN NULL ELSE $2 END
     WHERE id = $1 AND (due_at IS NOT NULL OR NOT EXISTS (
         SELECT 1 FROM issuances i WHERE i.id = challenge_records.issuance_id AND i.due_at IS NOT NULL AND i.fence <> $3))";

pub(super) async fn removed(
    store: &SqlStore,
    id: RecordId,
    fence: Option<Fence>,
    now: Timestamp,
    again: Timestamp,
) -> Result<(), StoreError> {
    let doing = unavailable("take a record out of the journal");
    if store.dialect() == Dialect::Sqlite {
        // The only process that serves a folder has no predecessor that is still alive.
        let forgetting = sqlx::query("DELETE FROM challenge_records WHERE id = $1").bind(id.0);
        return forgetting.execute(store.writer()).await.map(|_| ()).map_err(&doing);
    }
    // No lease has this fence.
    let fence = fence.map_or(-1, |fence| fence.0);
    let mut tx = store.write().await.map_err(&doing)?;
    let forgetting = sqlx::query(FORGOTTEN).bind(id.0).bind(now.as_microsecond()).bind(fence);
    if forgetting.execute(&mut *tx).await.map_err(&doing)?.rows_affected() == 0 {
        let keeping = sqlx::query(KEPT).bind(id.0).bind(again.as_microsecond()).bind(fence);
        keeping.execute(&mut *tx).await.map_err(&doing)?;
    }
    commit(tx).await.map_err(&doing)
}

pub(super) async fn due_removals(store: &SqlStore, now: Timestamp, limit: u32) -> Result<Vec<ChallengeRecord>, StoreError> {
    let rows: Vec<RecordRow> = sqlx::query_as(DUE_REMOVALS)
        .bind(now.as_microsecond())
        .bind(i64::from(limit))
        .fetch_all(store.readers())
        .await
        .map_err(unavailable("read due removals"))?;
    let mut removals = Vec::with_capacity(rows.len());
    for row in rows {
        let id = row.id;
        match row.record(store.sealer()) {
            Ok(record) => removals.push(record),
            Err(e) => {
                // It must neither stop the others nor be looked at all the time.
                tracing::error!(record = id, error = &e as &dyn std::error::Error, "a record cannot be read back");
                let again = now.checked_add(UNREADABLE_AGAIN).unwrap_or(Timestamp::MAX);
                repeated(|| removal_failed(store, RecordId(id), again)).await?;
            }
        }
    }
    Ok(removals)
}

/// A record without a due instant belongs to an issuance that runs, and is wanted unless it was removed.
pub(super) async fn is_wanted_elsewhere(store: &SqlStore, record: &ChallengeRecord) -> Result<bool, StoreError> {
    let other: Option<i64> = sqlx::query_scalar(WANTED_ELSEWHERE)
        .bind(record.record.name.as_str())
        .bind(&record.record.value)
        .bind(record.issuance.0)
        .bind(record.id.map(|id| id.0))
        .fetch_optional(store.readers())
        .await
        .map_err(unavailable("look for a record's other owner"))?;
    Ok(other.is_some())
}

/// While the issuance runs, the instant is only remembered: the record is not due before the issuance is over.
pub(super) async fn removal_failed(store: &SqlStore, id: RecordId, again: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE challenge_records
         SET failed_removals = failed_removals + 1, again_at = $2,
             due_at = CASE WHEN due_at IS NULL THEN NULL ELSE $2 END
         WHERE id = $1",
    )
    .bind(id.0)
    .bind(again.as_microsecond())
    .execute(store.writer())
    .await
    .map_err(unavailable("remember a failed removal"))?;
    Ok(())
}
