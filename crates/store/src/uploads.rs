//! Uploaded files that were not used yet.
use async_trait::async_trait;
use certkeep_core::certificate::Kind;
use certkeep_core::ports::{StoreError, Upload, Uploads};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice};
use sqlx::{Row, SqliteConnection};

use crate::SqliteStore;
use crate::error::unavailable;
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

/// Takes an upload away; `false` if it is no longer there.
pub(crate) async fn use_up(db: &mut SqliteConnection, kind: Kind, name: &str) -> Result<bool, sqlx::Error> {
    let done =
        sqlx::query("DELETE FROM uploads WHERE kind = $1 AND name = $2").bind(kind.as_str()).bind(name).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

#[async_trait]
impl Uploads for SqliteStore {
    async fn keep_upload(&self, upload: &Upload, now: Timestamp) -> Result<(), StoreError> {
        let row = row(upload.kind, &upload.name);
        let sealed_content = self.sealer().seal_value(content(&row), upload.content.expose_secret())?;
        let sealed_password = match &upload.password {
            Some(text) => Some(self.sealer().seal_value(password(&row), text.expose_secret().as_bytes())?),
            None => None,
        };
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
        .bind(now.as_microsecond())
        .execute(&self.0.writer)
        .await
        .map_err(unavailable("keep an upload"))?;
        Ok(())
    }

    async fn upload(&self, kind: Kind, name: &str, since: Timestamp) -> Result<Option<Upload>, StoreError> {
        let doing = unavailable("read an upload");
        let found =
            sqlx::query("SELECT sealed_content, sealed_password FROM uploads WHERE kind = $1 AND name = $2 AND kept_at > $3")
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
        let octets = self.sealer().open_value(content(&row), &sealed_content)?;
        Ok(Some(Upload {
            kind,
            name: name.to_owned(),
            content: SecretSlice::from(octets.to_vec()),
            password: sealed_password.map(|text| self.sealer().open_text(password(&row), &text)).transpose()?,
        }))
    }

    async fn sweep_uploads(&self, before: Timestamp) -> Result<u64, StoreError> {
        let done = sqlx::query("DELETE FROM uploads WHERE kept_at < $1")
            .bind(before.as_microsecond())
            .execute(&self.0.writer)
            .await
            .map_err(unavailable("sweep uploads"))?;
        Ok(done.rows_affected())
    }
}
