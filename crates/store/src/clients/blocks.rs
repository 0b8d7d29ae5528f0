//! Failed logins in a row, and the blocks they bring. A block that has ended starts the count anew.
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certkeep_core::ports::{BlockSubject, StoreError};
use jiff::{SignedDuration, Timestamp};

use crate::SqlStore;
use crate::again::commit;
use crate::error::{corrupt, unavailable};

/// A block is prolonged this often at most, so that whoever goes on guessing while blocked does not keep the disk busy.
const PROLONGED_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// The subject as its row's key.
fn row(subject: &BlockSubject) -> String {
    match subject {
        BlockSubject::Account(digest) => format!("account {}", URL_SAFE_NO_PAD.encode(digest.0)),
        BlockSubject::Address(network) => format!("address {}", network.trunc()),
        BlockSubject::Credential(digest) => format!("credential {}", URL_SAFE_NO_PAD.encode(digest.0)),
    }
}

fn instant(microseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(microseconds).map_err(|e| corrupt("failed_logins", "", e))
}

pub(super) async fn failed_login(
    store: &SqlStore,
    subject: &BlockSubject,
    now: Timestamp,
    max: u32,
    block: SignedDuration,
) -> Result<Option<Timestamp>, StoreError> {
    let doing = unavailable("count a failed login");
    let row = row(subject);
    let prolonged: Option<i64> =
        sqlx::query_scalar("SELECT blocked_until FROM failed_logins WHERE subject = $1 AND blocked_until > $2 AND last_at > $3")
            .bind(&row)
            .bind(now.as_microsecond())
            .bind(now.checked_sub(PROLONGED_EVERY).unwrap_or(Timestamp::MIN).as_microsecond())
            .fetch_optional(store.readers())
            .await
            .map_err(&doing)?;
    if let Some(until) = prolonged {
        return instant(until).map(Some);
    }
    let mut tx = store.write().await.map_err(&doing)?;
    let before: Option<(i64, Option<i64>)> =
        sqlx::query_as("SELECT failures, blocked_until FROM failed_logins WHERE subject = $1")
            .bind(&row)
            .fetch_optional(&mut *tx)
            .await
            .map_err(&doing)?;
    let failures = match before {
        Some((_, Some(until))) if until <= now.as_microsecond() => 1,
        Some((failures, _)) => failures.saturating_add(1),
        None => 1,
    };
    let until = (failures >= i64::from(max)).then(|| now.checked_add(block).unwrap_or(Timestamp::MAX));
    sqlx::query(
        "INSERT INTO failed_logins (subject, failures, blocked_until, last_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (subject) DO UPDATE SET
             failures = excluded.failures, blocked_until = excluded.blocked_until, last_at = excluded.last_at",
    )
    .bind(&row)
    .bind(failures)
    .bind(until.map(Timestamp::as_microsecond))
    .bind(now.as_microsecond())
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    until.map(|until| instant(until.as_microsecond())).transpose()
}

pub(super) async fn blocked_until(
    store: &SqlStore,
    subject: &BlockSubject,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let until: Option<i64> =
        sqlx::query_scalar("SELECT blocked_until FROM failed_logins WHERE subject = $1 AND blocked_until > $2")
            .bind(row(subject))
            .bind(now.as_microsecond())
            .fetch_optional(store.readers())
            .await
            .map_err(unavailable("look for a block"))?;
    until.map(instant).transpose()
}

pub(super) async fn clear(store: &SqlStore, subject: &BlockSubject) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM failed_logins WHERE subject = $1")
        .bind(row(subject))
        .execute(store.writer())
        .await
        .map_err(unavailable("forget failed logins"))?;
    Ok(())
}

/// A block that has not ended stays.
pub(super) async fn sweep(store: &SqlStore, before: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query("DELETE FROM failed_logins WHERE last_at < $1 AND (blocked_until IS NULL OR blocked_until < $1)")
        .bind(before.as_microsecond())
        .execute(store.writer())
        .await
        .map_err(unavailable("sweep failed logins"))?;
    Ok(done.rows_affected())
}
