//! Versions: the current one, and the one before it in case a person wants it back; older ones are deleted.
use certkeep_core::certificate::Held;
use certkeep_core::material::PrivateKey;
use certkeep_core::ports::{StoreError, Version};
use certkeep_core::renewal::Validity;
use certkeep_core::schedule::{Urgency, urgent_at};
use sqlx::AnyConnection;

use crate::error::{corrupt, unavailable};
use crate::rows::{chain, chain_octets, from_columns, instant, take_numbers};
use crate::seal::{Place, Sealer};

pub(super) const TABLE: &str = "versions";

fn key(row: &str) -> Place<'_> {
    Place { table: TABLE, column: "sealed_key", row }
}

pub(crate) struct VersionRow {
    id: i64,
    chain: Vec<u8>,
    sealed_key: Option<Vec<u8>>,
    issue_to: String,
    not_before: i64,
    not_after: i64,
    directory: Option<String>,
}

from_columns!(VersionRow { id, chain, sealed_key, issue_to, not_before, not_after, directory });

impl VersionRow {
    /// The version, its key opened.
    pub(crate) fn version(self, sealer: &Sealer) -> Result<Version, StoreError> {
        let row = self.id.to_string();
        Ok(Version {
            chain: chain(&self.chain).ok_or_else(|| corrupt(TABLE, self.id, "the chain is cut off"))?,
            key: self.sealed_key.map(|sealed| sealer.open_key(key(&row), &sealed)).transpose()?,
            held: Held {
                issue_to: self.issue_to,
                validity: Validity {
                    not_before: instant(TABLE, self.id, self.not_before)?,
                    not_after: instant(TABLE, self.id, self.not_after)?,
                },
            },
            directory: self.directory,
        })
    }
}

/// The column of the key of the version `id`.
pub(super) fn seal_key(sealer: &Sealer, id: i64, version: &Version) -> Result<Option<Vec<u8>>, StoreError> {
    let seal = |private: &PrivateKey| sealer.seal_value(key(&id.to_string()), private.expose_pkcs8());
    version.key.as_ref().map(seal).transpose()
}

/// Makes a version the current one of an entry.
pub(crate) async fn hold(db: &mut AnyConnection, sealer: &Sealer, certificate: i64, version: &Version) -> Result<(), StoreError> {
    let doing = unavailable("keep a version");
    let id = take_numbers(db, TABLE, 1).await.map_err(&doing)?;
    let sealed_key = seal_key(sealer, id, version)?;
    let Held { issue_to, validity } = &version.held;
    let (not_before, not_after) = (validity.not_before.as_microsecond(), validity.not_after.as_microsecond());
    sqlx::query(
        "INSERT INTO versions (id, certificate_id, chain, sealed_key, issue_to, not_before, not_after, directory)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id)
    .bind(certificate)
    .bind(chain_octets(&version.chain))
    .bind(sealed_key)
    .bind(issue_to)
    .bind(not_before)
    .bind(not_after)
    .bind(&version.directory)
    .execute(&mut *db)
    .await
    .map_err(&doing)?;
    sqlx::query(
        "DELETE FROM versions
         WHERE certificate_id = $1 AND id <> $2
           AND id <> (SELECT COALESCE(current_version, 0) FROM certificates WHERE id = $1)",
    )
    .bind(certificate)
    .bind(id)
    .execute(&mut *db)
    .await
    .map_err(&doing)?;
    sqlx::query(
        "UPDATE certificates
         SET current_version = $2, held_issue_to = $3, not_before = $4, not_after = $5,
             issue_to = CASE WHEN origin = 'apply' THEN issue_to ELSE $3 END, renewal_ask_at = $6,
             renewal_window_start = NULL, renewal_window_end = NULL, renewal_at = NULL, renewal_explanation = NULL,
             urgency = $7, urgent_at = $8, turn = NULL
         WHERE id = $1",
    )
    .bind(certificate)
    .bind(id)
    .bind(issue_to)
    .bind(not_before)
    .bind(not_after)
    // At once.
    .bind(version.directory.is_some().then_some(not_before))
    .bind(Urgency::Renewal.number())
    .bind(urgent_at(*validity).as_microsecond())
    .execute(&mut *db)
    .await
    .map_err(&doing)?;
    Ok(())
}
