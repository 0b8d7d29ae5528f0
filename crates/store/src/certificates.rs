//! The inventory.
mod change;
mod issued;
pub(crate) mod list;
pub(crate) mod row;
pub(crate) mod versions;

use std::collections::HashMap;

use async_trait::async_trait;
use certkeep_core::certificate::{Certificate, CertificateId, Kind, ListQuery, Page};
use certkeep_core::ports::{Certificates, Change, ChangeError, CreateError, DeleteError, NewCertificate, StoreError, Version};
use jiff::Timestamp;
use sqlx::AssertSqlSafe;

pub use issued::IssuedEntry;
use row::{CertificateRow, select_certificates};
use versions::VersionRow;

use crate::SqlStore;
use crate::again::repeated;
use crate::error::unavailable;

/// Entries read by one statement of [`Certificates::certificates`].
const BATCH: usize = 64;

#[async_trait]
impl Certificates for SqlStore {
    async fn certificate(&self, id: CertificateId) -> Result<Option<Certificate>, StoreError> {
        let row: Option<CertificateRow> = sqlx::query_as(select_certificates!("WHERE id = $1"))
            .bind(id.0)
            .fetch_optional(self.readers())
            .await
            .map_err(unavailable("read a certificate"))?;
        row.map(|row| row.certificate(self.sealer())).transpose()
    }

    async fn certificate_by_name(&self, name: &str) -> Result<Option<Certificate>, StoreError> {
        let row: Option<CertificateRow> = sqlx::query_as(select_certificates!("WHERE name = $1"))
            .bind(name)
            .fetch_optional(self.readers())
            .await
            .map_err(unavailable("read a certificate"))?;
        row.map(|row| row.certificate(self.sealer())).transpose()
    }

    async fn certificates(&self, ids: &[CertificateId]) -> Result<HashMap<CertificateId, Certificate>, StoreError> {
        let doing = unavailable("read certificates");
        let mut found = HashMap::with_capacity(ids.len());
        // Always the same number of places, the last id in those left over, so that one statement serves all.
        let places = (1..=BATCH).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let statement = format!("{} WHERE id IN ({places})", select_certificates!(""));
        let mut snapshot = self.snapshot().await.map_err(&doing)?;
        for batch in ids.chunks(BATCH) {
            let mut query = sqlx::query_as::<_, CertificateRow>(AssertSqlSafe(statement.as_str()));
            let rest = batch.last().into_iter().cycle();
            for id in batch.iter().chain(rest).take(BATCH) {
                query = query.bind(id.0);
            }
            for row in query.fetch_all(&mut *snapshot).await.map_err(&doing)? {
                let certificate = row.certificate(self.sealer())?;
                found.insert(certificate.id, certificate);
            }
        }
        snapshot.commit().await.map_err(&doing)?;
        Ok(found)
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        list::page(self, query).await
    }

    async fn current_version(&self, id: CertificateId) -> Result<Option<Version>, StoreError> {
        let row: Option<VersionRow> = sqlx::query_as(
            "SELECT v.id, v.chain, v.sealed_key, v.issue_to, v.not_before, v.not_after, v.directory
             FROM certificates c JOIN versions v ON v.id = c.current_version
             WHERE c.id = $1",
        )
        .bind(id.0)
        .fetch_optional(self.readers())
        .await
        .map_err(unavailable("read a version"))?;
        row.map(|row| row.version(self.sealer())).transpose()
    }

    async fn create(&self, new: &NewCertificate) -> Result<CertificateId, CreateError> {
        repeated(|| change::create(self, new)).await
    }

    async fn change(&self, id: CertificateId, change: &Change, now: Timestamp) -> Result<(), ChangeError> {
        repeated(|| change::change(self, id, change, now)).await
    }

    async fn delete(&self, id: CertificateId) -> Result<(), DeleteError> {
        repeated(|| change::delete(self, id)).await
    }

    async fn servable_names(&self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("SELECT name FROM certificates WHERE kind = $1 AND current_version IS NOT NULL ORDER BY name")
            .bind(Kind::Server.as_str())
            .fetch_all(self.readers())
            .await
            .map_err(unavailable("read names"))
    }
}
