//! Browser sessions.
use certkeep_core::client::Digest;
use certkeep_core::people::password::PasswordHash;
use certkeep_core::people::{BrowserSession, UserId};
use certkeep_core::ports::StoreError;
use jiff::Timestamp;
use sqlx::AnyConnection;

use super::users::{self, USER_COLUMNS, UserRow};
use crate::SqlStore;
use crate::again::commit;
use crate::epoch::Changed;
use crate::error::unavailable;
use crate::rows::{from_columns, instant};

struct SessionRow {
    user: UserRow,
    opened_at: i64,
    seen_at: i64,
}

from_columns!(SessionRow { opened_at, seen_at; user });

pub(super) async fn open(
    store: &SqlStore,
    UserId(user): UserId,
    password: &PasswordHash,
    token: &Digest,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let doing = unavailable("open a browser session");
    let mut tx = store.write().await.map_err(&doing)?;
    if !users::log_in(&mut tx, user, password, now).await.map_err(&doing)? {
        return Ok(false);
    }
    sqlx::query("INSERT INTO browser_sessions (token, user_id, opened_at, seen_at) VALUES ($1, $2, $3, $3)")
        .bind(token.0.as_slice())
        .bind(user)
        .bind(now.as_microsecond())
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(true)
}

pub(super) async fn session(store: &SqlStore, token: &Digest) -> Result<Option<BrowserSession>, StoreError> {
    let statement = format!(
        "SELECT {USER_COLUMNS}, s.opened_at, s.seen_at FROM browser_sessions s JOIN users u ON u.id = s.user_id WHERE s.token = $1"
    );
    let row: Option<SessionRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
        .bind(token.0.as_slice())
        .fetch_optional(store.readers())
        .await
        .map_err(unavailable("read a browser session"))?;
    let Some(row) = row else { return Ok(None) };
    let user = row.user.user()?;
    let (opened, last_seen) = (row.opened_at, row.seen_at);
    let id = user.id.0;
    let at = |microseconds| instant("browser_sessions", id, microseconds);
    Ok(Some(BrowserSession { user, opened: at(opened)?, last_seen: at(last_seen)? }))
}

pub(super) async fn see(store: &SqlStore, token: &Digest, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query("UPDATE browser_sessions SET seen_at = $2 WHERE token = $1 AND seen_at < $2")
        .bind(token.0.as_slice())
        .bind(now.as_microsecond())
        .execute(store.writer())
        .await
        .map_err(unavailable("note that a browser session was seen"))?;
    Ok(())
}

pub(super) async fn close(store: &SqlStore, token: &Digest) -> Result<bool, StoreError> {
    let doing = unavailable("end a browser session");
    let mut tx = store.write().await.map_err(&doing)?;
    let ended = sqlx::query("DELETE FROM browser_sessions WHERE token = $1")
        .bind(token.0.as_slice())
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    store.grow_shared_epoch(&mut tx, Changed::Access).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(ended.rows_affected() == 1)
}

/// Ends the sessions of a user, but for the one that is kept.
pub(super) async fn end_all(db: &mut AnyConnection, user: i64, keep: Option<&Digest>) -> Result<(), sqlx::Error> {
    match keep {
        Some(keep) => {
            sqlx::query("DELETE FROM browser_sessions WHERE user_id = $1 AND token <> $2")
                .bind(user)
                .bind(keep.0.as_slice())
                .execute(db)
                .await?;
        }
        None => {
            sqlx::query("DELETE FROM browser_sessions WHERE user_id = $1").bind(user).execute(db).await?;
        }
    }
    Ok(())
}

pub(super) async fn sweep(store: &SqlStore, seen_before: Timestamp, opened_before: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query("DELETE FROM browser_sessions WHERE seen_at < $1 OR opened_at < $2")
        .bind(seen_before.as_microsecond())
        .bind(opened_before.as_microsecond())
        .execute(store.writer())
        .await
        .map_err(unavailable("sweep browser sessions"))?;
    Ok(done.rows_affected())
}
