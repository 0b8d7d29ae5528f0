//! API tokens.
use std::collections::BTreeSet;

use certkeep_core::client::Digest;
use certkeep_core::people::{Act, ApiToken, Rights, Role, TokenId};
use certkeep_core::ports::{NewApiToken, StoreError};
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

use super::users::{USER_COLUMNS, UserRow};
use crate::SqlStore;
use crate::again::commit;
use crate::epoch::Changed;
use crate::error::unavailable;
use crate::rows::{from_json, instant, take_numbers, to_json, unknown};

const TABLE: &str = "api_tokens";

struct TokenRow {
    id: i64,
    name: String,
    role: String,
    scopes: Option<String>,
    expires_at: Option<i64>,
    created_at: i64,
    used_at: Option<i64>,
    owner: Option<UserRow>,
}

impl FromRow<'_, AnyRow> for TokenRow {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let owner_id: Option<i64> = row.try_get("owner_id")?;
        Ok(TokenRow {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            role: row.try_get("role")?,
            scopes: row.try_get("scopes")?,
            expires_at: row.try_get("expires_at")?,
            created_at: row.try_get("created_at")?,
            used_at: row.try_get("used_at")?,
            owner: owner_id.map(|_| UserRow::from_row(row)).transpose()?,
        })
    }
}

impl TokenRow {
    fn token(self) -> Result<ApiToken, StoreError> {
        let id = self.id;
        let at = |microseconds| instant(TABLE, id, microseconds);
        Ok(ApiToken {
            id: TokenId(id),
            name: self.name,
            rights: Rights {
                role: Role::parse(&self.role).ok_or_else(|| unknown(TABLE, id, "role"))?,
                scopes: self.scopes.map(|json| scopes(id, &json)).transpose()?,
            },
            expires: self.expires_at.map(at).transpose()?,
            owner: self.owner.map(UserRow::user).transpose()?,
            created: at(self.created_at)?,
            last_used: self.used_at.map(at).transpose()?,
        })
    }
}

/// An act that is not known is one that this version cannot do.
fn scopes(id: i64, json: &str) -> Result<BTreeSet<Act>, StoreError> {
    let words: Vec<String> = from_json(TABLE, id, json)?;
    Ok(words.iter().filter_map(|word| Act::parse(word)).collect())
}

fn select(condition: &str) -> String {
    format!(
        "SELECT t.id, t.name, t.role, t.scopes, t.expires_at, t.created_at, t.used_at, t.owner_id, {USER_COLUMNS}
         FROM api_tokens t LEFT JOIN users u ON u.id = t.owner_id {condition}"
    )
}

pub(super) async fn all(store: &SqlStore) -> Result<Vec<ApiToken>, StoreError> {
    let rows: Vec<TokenRow> = sqlx::query_as(sqlx::AssertSqlSafe(select("ORDER BY t.name")))
        .fetch_all(store.readers())
        .await
        .map_err(unavailable("list API tokens"))?;
    rows.into_iter().map(TokenRow::token).collect()
}

pub(super) async fn with_digest(store: &SqlStore, token: &Digest) -> Result<Option<ApiToken>, StoreError> {
    let row: Option<TokenRow> = sqlx::query_as(sqlx::AssertSqlSafe(select("WHERE t.token = $1")))
        .bind(token.0.as_slice())
        .fetch_optional(store.readers())
        .await
        .map_err(unavailable("read an API token"))?;
    row.map(TokenRow::token).transpose()
}

pub(super) async fn add(store: &SqlStore, token: &NewApiToken) -> Result<Option<TokenId>, StoreError> {
    let doing = unavailable("add an API token");
    let mut tx = store.write().await.map_err(&doing)?;
    let taken: Option<i64> = sqlx::query_scalar("SELECT id FROM api_tokens WHERE name = $1")
        .bind(&token.name)
        .fetch_optional(&mut *tx)
        .await
        .map_err(&doing)?;
    let owner = token.owner.map(|owner| owner.0);
    let there: Option<i64> =
        sqlx::query_scalar("SELECT id FROM users WHERE id = $1").bind(owner).fetch_optional(&mut *tx).await.map_err(&doing)?;
    if taken.is_some() || there != owner {
        return Ok(None);
    }
    let id = take_numbers(&mut tx, TABLE, 1).await.map_err(&doing)?;
    let words = |acts: &BTreeSet<Act>| acts.iter().map(|act| act.as_str()).collect::<Vec<_>>();
    let scopes = token.rights.scopes.as_ref().map(|acts| to_json(TABLE, id, &words(acts))).transpose()?;
    sqlx::query(
        "INSERT INTO api_tokens (id, name, token, role, scopes, expires_at, owner_id, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id)
    .bind(&token.name)
    .bind(token.token.0.as_slice())
    .bind(token.rights.role.as_str())
    .bind(scopes)
    .bind(token.expires.map(Timestamp::as_microsecond))
    .bind(owner)
    .bind(token.created.as_microsecond())
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    store.grow_epoch(&mut tx, Changed::Access).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(Some(TokenId(id)))
}

pub(super) async fn see(store: &SqlStore, TokenId(id): TokenId, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query("UPDATE api_tokens SET used_at = $2 WHERE id = $1 AND (used_at IS NULL OR used_at < $2)")
        .bind(id)
        .bind(now.as_microsecond())
        .execute(store.writer())
        .await
        .map_err(unavailable("note that an API token was used"))?;
    Ok(())
}

pub(super) async fn revoke(store: &SqlStore, TokenId(id): TokenId) -> Result<bool, StoreError> {
    let doing = unavailable("revoke an API token");
    let mut tx = store.write().await.map_err(&doing)?;
    let gone =
        sqlx::query("DELETE FROM api_tokens WHERE id = $1").bind(id).execute(&mut *tx).await.map_err(&doing)?.rows_affected();
    store.grow_epoch(&mut tx, Changed::Access).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(gone == 1)
}
