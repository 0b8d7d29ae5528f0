//! Uploaded files that were not used yet.
use async_trait::async_trait;
use certkeep_core::certificate::Kind;
use certkeep_core::ports::{StoreError, Upload, Uploads, UsedUpload};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice};
use sqlx::{AnyConnection, Row};

use crate::SqlStore;
use crate::again::{commit, repeated};
use crate::error::unavailable;
use crate::rows::instant;
use crate::seal::Place;

/// The natural key is the row that both columns are sealed for.
fn row(kind: Kind, name: &str) -> String {
    format!("{}/{name}", kind.as_str())
}

fn content(row: &str) -> Place<'_> {
    Place { table: "uploads", column: "sealed_content", row }
}

fn password(row: &str) -> Place<'_> {
    Place { table: "uploads", column: "sealed_password", row }
}

/// Takes an upload away; `false` if it is no longer there, or another has taken its place.
pub(crate) async fn use_up(db: &mut AnyConnection, used: &UsedUpload) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("DELETE FROM uploads WHERE kind = $1 AND name = $2 AND kept_at = $3")
        .bind(used.kind.as_str())
        .bind(&used.name)
        .bind(used.kept.as_microsecond())
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

async fn sweep(store: &SqlStore, before: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query("DELETE FROM uploads WHERE kept_at < $1")
        .bind(before.as_microsecond())
        .execute(store.writer())
        .await
        .map_err(unavailable("sweep uploads"))?;
    Ok(done.rows_affected())
}

/// Keeps a file, unless `max` others are kept already.
async fn keep(store: &SqlStore, upload: &Upload, max: u32) -> Result<bool, StoreError> {
    let doing = unavailable("keep an upload");
    let row = row(upload.kind, &upload.name);
    let mut tx = store.write().await.map_err(&doing)?;
    let sealed_content = store.sealer().seal_value(content(&row), upload.content.expose_secret())?;
    let sealed_password = match &upload.password {
        Some(text) => Some(store.sealer().seal_value(password(&row), text.expose_secret().as_bytes())?),
        None => None,
    };
    let others: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM uploads WHERE NOT (kind = $1 AND name = $2)")
        .bind(upload.kind.as_str())
        .bind(&upload.name)
        .fetch_one(&mut *tx)
        .await
        .map_err(&doing)?;
    if others >= i64::from(max) {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO uploads (kind, name, sealed_content, sealed_password, kept_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (kind, name) DO UPDATE SET
             sealed_content = excluded.sealed_content,
             sealed_password = excluded.sealed_password,
             kept_at = excluded.kept_at",
    )
    .bind(upload.kind.as_str())
    .bind(&upload.name)
    .bind(sealed_content)
    .bind(sealed_password)
    .bind(upload.kept.as_microsecond())
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(true)
}

#[async_trait]
impl Uploads for SqlStore {
    async fn keep_upload(&self, upload: &Upload, max: u32) -> Result<bool, StoreError> {
        repeated(|| keep(self, upload, max)).await
    }

    async fn upload(&self, kind: Kind, name: &str, since: Timestamp) -> Result<Option<Upload>, StoreError> {
        let doing = unavailable("read an upload");
        let found = sqlx::query(
            "SELECT sealed_content, sealed_password, kept_at FROM uploads WHERE kind = $1 AND name = $2 AND kept_at > $3",
        )
        .bind(kind.as_str())
        .bind(name)
        .bind(since.as_microsecond())
        .fetch_optional(self.readers())
        .await
        .map_err(&doing)?;
        let Some(found) = found else { return Ok(None) };
        let row = row(kind, name);
        let sealed_content: Vec<u8> = found.try_get("sealed_content").map_err(&doing)?;
        let sealed_password: Option<Vec<u8>> = found.try_get("sealed_password").map_err(&doing)?;
        let kept: i64 = found.try_get("kept_at").map_err(&doing)?;
        let octets = self.sealer().open_value(content(&row), &sealed_content)?;
        Ok(Some(Upload {
            kind,
            name: name.to_owned(),
            content: SecretSlice::from(octets.to_vec()),
            password: sealed_password.map(|text| self.sealer().open_text(password(&row), &text)).transpose()?,
            kept: instant("uploads", 0, kept)?,
        }))
    }

    async fn sweep_uploads(&self, before: Timestamp) -> Result<u64, StoreError> {
        repeated(|| sweep(self, before)).await
    }
}
