//! What is kept of issuances after their end, for people.
use certkeep_core::certificate::CertificateId;
use certkeep_core::issuance::{IssuanceId, IssuanceSummary, KEPT_ISSUANCES, Step};
use certkeep_core::ports::StoreError;
use sqlx::AnyConnection;

use super::leases::TABLE;
use crate::SqlStore;
use crate::error::unavailable;
use crate::rows::{from_columns, from_json, instant, unknown};

struct SummaryRow {
    id: i64,
    step: String,
    directory: Option<String>,
    tried: String,
    trace: String,
    failure: Option<String>,
    started_at: i64,
}

from_columns!(SummaryRow { id, step, directory, tried, trace, failure, started_at });

impl SummaryRow {
    fn summary(self) -> Result<IssuanceSummary, StoreError> {
        let id = self.id;
        Ok(IssuanceSummary {
            id: IssuanceId(id),
            step: Step::from_word(&self.step).ok_or_else(|| unknown(TABLE, id, "step"))?,
            directory: self.directory,
            tried: from_json(TABLE, id, &self.tried)?,
            failure: self.failure.map(|text| from_json(TABLE, id, &text)).transpose()?,
            started: instant(TABLE, id, self.started_at)?,
            trace: from_json(TABLE, id, &self.trace)?,
        })
    }
}

pub(super) async fn of(store: &SqlStore, id: CertificateId) -> Result<Vec<IssuanceSummary>, StoreError> {
    let rows: Vec<SummaryRow> = sqlx::query_as(
        "SELECT id, step, directory, tried, trace, failure, started_at FROM issuances WHERE certificate_id = $1 ORDER BY id DESC",
    )
    .bind(id.0)
    .fetch_all(store.readers())
    .await
    .map_err(unavailable("read issuances"))?;
    rows.into_iter().map(SummaryRow::summary).collect()
}

/// Deletes the issuances of an entry that are over, but for the last ones.
pub(super) async fn prune(db: &mut AnyConnection, certificate: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM issuances WHERE certificate_id = $1 AND due_at IS NULL AND id NOT IN (
             SELECT id FROM issuances WHERE certificate_id = $1 AND due_at IS NULL ORDER BY id DESC LIMIT $2)",
    )
    .bind(certificate)
    .bind(i64::from(KEPT_ISSUANCES))
    .execute(db)
    .await
    .map(drop)
}
