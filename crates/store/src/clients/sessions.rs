//! Sessions: pairs of tokens, one after the other. `dies_at` is exact; what [`Session::ends`] tells is earlier by the
//! grace that callers add, so that a revoked token is refused at once.
use std::net::IpAddr;

use certkeep_core::client::{ClientKey, Digest, EXPIRY_GRACE, Session, TokenPair};
use certkeep_core::ports::{Opening, Rotation, StoreError};
use jiff::{SignedDuration, Timestamp};
use sqlx::AnyConnection;

use super::ClientRow;
use crate::SqlStore;
use crate::again::commit;
use crate::epoch::Changed;
use crate::error::unavailable;
use crate::rows::{from_columns, instant, take_numbers};

/// The grace, and the step from the last instant of life to the first without it.
const GRACE: i64 = EXPIRY_GRACE.as_secs() * 1_000_000;
const STEP: i64 = 1;

async fn insert(db: &mut AnyConnection, session: i64, client: i64, pair: &TokenPair) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO sessions (access, refresh, session_id, client_id, access_ends, refresh_ends, is_current)
         VALUES ($1, $2, $3, $4, $5, $6, 1)",
    )
    .bind(pair.access.0.as_slice())
    .bind(pair.refresh.0.as_slice())
    .bind(session)
    .bind(client)
    .bind(pair.access_ends.as_microsecond())
    .bind(pair.refresh_ends.as_microsecond())
    .execute(db)
    .await?;
    Ok(())
}

/// How many sessions of a client have a live access token.
async fn live(db: &mut AnyConnection, client: i64, now: Timestamp) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT COUNT(*) FROM sessions
         WHERE client_id = $1 AND access_ends >= $2 AND is_current = 1 AND (dies_at IS NULL OR dies_at > $3)",
    )
    .bind(client)
    .bind(now.as_microsecond() - GRACE)
    .bind(now.as_microsecond())
    .fetch_one(db)
    .await
}

pub(super) async fn open(
    store: &SqlStore,
    ClientKey(client): ClientKey,
    secret: &Digest,
    pair: &TokenPair,
    now: Timestamp,
    max_live: u32,
) -> Result<Opening, StoreError> {
    let doing = unavailable("open a session");
    let mut tx = store.write().await.map_err(&doing)?;
    let same: Option<i64> = sqlx::query_scalar("SELECT id FROM clients WHERE id = $1 AND secret = $2")
        .bind(client)
        .bind(secret.0.as_slice())
        .fetch_optional(&mut *tx)
        .await
        .map_err(&doing)?;
    if same.is_none() {
        return Ok(Opening::SecretChanged);
    }
    if live(&mut tx, client, now).await.map_err(&doing)? >= i64::from(max_live) {
        return Ok(Opening::TooMany);
    }
    let session = take_numbers(&mut tx, "sessions", 1).await.map_err(&doing)?;
    insert(&mut tx, session, client, pair).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(Opening::Opened)
}

struct SessionRow {
    client: ClientRow,
    access_ends: i64,
    dies_at: Option<i64>,
}

from_columns!(SessionRow { access_ends, dies_at; client });

pub(super) async fn session(store: &SqlStore, access: &Digest) -> Result<Option<Session>, StoreError> {
    let row: Option<SessionRow> = sqlx::query_as(
        "SELECT c.id, c.name, c.client_id, c.secret, c.role, c.networks, s.access_ends, s.dies_at
         FROM sessions s JOIN clients c ON c.id = s.client_id
         WHERE s.access = $1",
    )
    .bind(access.0.as_slice())
    .fetch_optional(store.readers())
    .await
    .map_err(unavailable("read a session"))?;
    let Some(row) = row else { return Ok(None) };
    let ends = row.dies_at.map_or(row.access_ends, |dies| row.access_ends.min(dies - GRACE - STEP));
    let (client, _) = row.client.client()?;
    let ends = instant("sessions", client.key.0, ends)?;
    Ok(Some(Session { client, ends }))
}

struct Rotating {
    client: ClientRow,
    session_id: i64,
    /// 1 if the session's current access token is live, and so counted; else 0.
    is_counted: i64,
}

from_columns!(Rotating { session_id, is_counted; client });

/// The pair that is current now dies after the grace, whether it is the one that is rotated or its successor.
pub(super) async fn rotate(
    store: &SqlStore,
    refresh: &Digest,
    pair: &TokenPair,
    address: IpAddr,
    now: Timestamp,
    grace: SignedDuration,
    max_live: u32,
) -> Result<Rotation, StoreError> {
    let doing = unavailable("rotate a session");
    let now_at = now.as_microsecond();
    let found: Option<Rotating> = sqlx::query_as(ROTATING)
        .bind(refresh.0.as_slice())
        .bind(now_at - GRACE)
        .bind(now_at)
        .fetch_optional(store.readers())
        .await
        .map_err(&doing)?;
    // Asked without the write lock first: wrong tokens, however many, cost a read.
    if found.is_none() {
        return Ok(Rotation::Unknown);
    }
    let mut tx = store.write().await.map_err(&doing)?;
    let found: Option<Rotating> = sqlx::query_as(ROTATING)
        .bind(refresh.0.as_slice())
        .bind(now_at - GRACE)
        .bind(now_at)
        .fetch_optional(&mut *tx)
        .await
        .map_err(&doing)?;
    let Some(Rotating { client, session_id, is_counted }) = found else { return Ok(Rotation::Unknown) };
    let (client, _) = client.client()?;
    if !client.permits(address) {
        return Ok(Rotation::Forbidden);
    }
    if is_counted == 0 && live(&mut tx, client.key.0, now).await.map_err(&doing)? >= i64::from(max_live) {
        return Ok(Rotation::TooMany);
    }
    let dies = now.checked_add(grace).unwrap_or(Timestamp::MAX).as_microsecond();
    sqlx::query(
        "UPDATE sessions
         SET is_current = 0, dies_at = CASE WHEN dies_at < $2 THEN dies_at ELSE $2 END
         WHERE session_id = $1 AND is_current = 1",
    )
    .bind(session_id)
    .bind(dies)
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    insert(&mut tx, session_id, client.key.0, pair).await.map_err(&doing)?;
    store.grow_shared_epoch(&mut tx, Changed::Access).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(Rotation::Rotated(client.key))
}

const ROTATING: &str = "SELECT c.id, c.name, c.client_id, c.secret, c.role, c.networks, s.session_id,
         (SELECT COUNT(*) FROM sessions t
          WHERE t.session_id = s.session_id AND t.is_current = 1 AND t.access_ends >= $2) AS is_counted
     FROM sessions s JOIN clients c ON c.id = s.client_id
     WHERE s.refresh = $1 AND s.refresh_ends >= $2 AND (s.dies_at IS NULL OR s.dies_at > $3)";

/// Revoking the current pair ends the session, its replaced pairs included; revoking a replaced pair leaves the current
/// one alone.
pub(super) async fn revoke(store: &SqlStore, access: &Digest, now: Timestamp) -> Result<Option<ClientKey>, StoreError> {
    let doing = unavailable("revoke a session");
    let client: Option<i64> = sqlx::query_scalar("SELECT client_id FROM sessions WHERE access = $1")
        .bind(access.0.as_slice())
        .fetch_optional(store.readers())
        .await
        .map_err(&doing)?;
    let Some(client) = client else { return Ok(None) };
    let mut tx = store.write().await.map_err(&doing)?;
    sqlx::query(
        "UPDATE sessions
         SET dies_at = CASE WHEN dies_at < $2 THEN dies_at ELSE $2 END
         WHERE access = $1
            OR session_id IN (SELECT session_id FROM sessions WHERE access = $1 AND is_current = 1)",
    )
    .bind(access.0.as_slice())
    .bind(now.as_microsecond())
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    store.grow_shared_epoch(&mut tx, Changed::Access).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(Some(ClientKey(client)))
}

/// Kills every token of a client, now and for every clock.
pub(super) async fn revoke_all(db: &mut AnyConnection, client: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE sessions SET dies_at = 0 WHERE client_id = $1").bind(client).execute(db).await?;
    Ok(())
}

/// A pair died when both tokens did, or when it was replaced or revoked.
pub(super) async fn sweep(store: &SqlStore, before: Timestamp) -> Result<u64, StoreError> {
    let before = before.as_microsecond();
    let done = sqlx::query("DELETE FROM sessions WHERE dies_at < $1 OR (access_ends < $2 AND refresh_ends < $2)")
        .bind(before)
        .bind(before.saturating_sub(GRACE))
        .execute(store.writer())
        .await
        .map_err(unavailable("sweep sessions"))?;
    Ok(done.rows_affected())
}
