//! Leasing, saving and handing back. An issuance is due when its lease ends: whoever leases it makes it due
//! at the end of the lease, so that one column and one index serve the pause, the lease and the lease that was lost.
use certkeep_core::certificate::CertificateId;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{Fence, Issuance, IssuanceId, Lease, Step};
use certkeep_core::ports::StoreError;
use jiff::Timestamp;
use sqlx::AnyConnection;

use crate::SqlStore;
use crate::again::{commit, repeated};
use crate::dialect::Dialect;
use crate::epoch::Changed;
use crate::error::{corrupt, unavailable};
use crate::rows::{chain, chain_octets, from_columns, from_json, instant, to_json, unknown};
use crate::seal::{Place, Sealer};

pub(super) const TABLE: &str = "issuances";

/// The statement that leases what is due at `$1` until `$2`, `$3` at most: fence and end in the statement that picks them.
macro_rules! lease_statement {
    ($picking:literal) => {
        concat!(
            "UPDATE issuances SET fence = fence + 1, due_at = $2
             WHERE due_at <= $1
               AND id IN (SELECT id FROM issuances WHERE due_at <= $1 ORDER BY due_at, id LIMIT $3",
            $picking,
            ")
             RETURNING id, certificate_id, step, sealed_application, sealed_key, directory, order_url, tried, trace,
                  csr, chain, failure, started_at, fence"
        )
    };
}

/// Leases. Of several nodes each takes what the others are not just taking.
pub(crate) const fn lease_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => lease_statement!(" FOR UPDATE SKIP LOCKED"),
        Dialect::Sqlite => lease_statement!(""),
    }
}

pub(super) fn application(row: &str) -> Place<'_> {
    Place { table: TABLE, column: "sealed_application", row }
}

fn key(row: &str) -> Place<'_> {
    Place { table: TABLE, column: "sealed_key", row }
}

/// What is shown of a row that cannot be read back: which one it is, and nothing of what it holds.
pub(super) fn unreadable(doing: &'static str, why: &StoreError) -> Failure {
    tracing::error!(doing, error = why as &dyn std::error::Error, "a row cannot be read back");
    Failure::new(Code::Internal, doing).fact(why.to_string())
}

/// An entry whose issuance cannot begin or go on must not stop the others for ever: it fails, for a person to see.
pub(super) async fn give_up(db: &mut AnyConnection, certificate: i64, failure: &Failure) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE certificates
         SET status = 'issuance_fail', failure_code = $2, failure = $3, next_issuance_at = NULL, turn = NULL
         WHERE id = $1",
    )
    .bind(certificate)
    .bind(i64::from(failure.code.number()))
    .bind(to_json("certificates", certificate, failure)?)
    .execute(db)
    .await
    .map_err(unavailable("give an entry up"))?;
    Ok(())
}

struct IssuanceRow {
    id: i64,
    certificate_id: i64,
    step: String,
    sealed_application: Vec<u8>,
    sealed_key: Option<Vec<u8>>,
    directory: Option<String>,
    order_url: Option<String>,
    tried: String,
    trace: String,
    csr: Option<Vec<u8>>,
    chain: Option<Vec<u8>>,
    failure: Option<String>,
    started_at: i64,
    fence: i64,
}

from_columns!(IssuanceRow {
    id,
    certificate_id,
    step,
    sealed_application,
    sealed_key,
    directory,
    order_url,
    tried,
    trace,
    csr,
    chain,
    failure,
    started_at,
    fence
});

impl IssuanceRow {
    fn lease(self, sealer: &Sealer) -> Result<Lease, StoreError> {
        let (id, row) = (self.id, self.id.to_string());
        let issuance = Issuance {
            id: IssuanceId(id),
            certificate: CertificateId(self.certificate_id),
            application: sealer.open_application(application(&row), &self.sealed_application)?,
            step: Step::from_word(&self.step).ok_or_else(|| unknown(TABLE, id, "step"))?,
            directory: self.directory,
            order_url: self.order_url,
            tried: from_json(TABLE, id, &self.tried)?,
            trace: from_json(TABLE, id, &self.trace)?,
            key: self.sealed_key.map(|sealed| sealer.open_key(key(&row), &sealed)).transpose()?,
            csr: self.csr,
            chain: self
                .chain
                .map(|octets| chain(&octets).ok_or_else(|| corrupt(TABLE, id, "the chain is cut off")))
                .transpose()?,
            failure: self.failure.map(|text| from_json(TABLE, id, &text)).transpose()?,
            started: instant(TABLE, id, self.started_at)?,
        };
        Ok(Lease { issuance, fence: Fence(self.fence) })
    }
}

pub(super) async fn lease(store: &SqlStore, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<Lease>, StoreError> {
    let rows: Vec<IssuanceRow> = sqlx::query_as(lease_of(store.dialect()))
        .bind(now.as_microsecond())
        .bind(until.as_microsecond())
        .bind(i64::from(limit))
        .fetch_all(store.writer())
        .await
        .map_err(unavailable("lease issuances"))?;
    let mut leases = Vec::with_capacity(rows.len());
    for row in rows {
        let (id, fence) = (row.id, row.fence);
        match row.lease(store.sealer()) {
            Ok(lease) => leases.push(lease),
            // It must neither stop the others nor be looked at for ever.
            Err(e) => {
                let failure = unreadable("read the issuance", &e);
                repeated(|| abandon(store, id, fence, &failure)).await?;
            }
        }
    }
    leases.sort_by_key(|lease| lease.issuance.id);
    Ok(leases)
}

/// Ends an issuance that cannot be read back, unless somebody else has leased it since: its entry fails, for a person
/// to see.
async fn abandon(store: &SqlStore, id: i64, fence: i64, failure: &Failure) -> Result<(), StoreError> {
    let doing = unavailable("abandon an issuance");
    let mut tx = store.write().await.map_err(&doing)?;
    let certificate: Option<i64> = sqlx::query_scalar(
        "UPDATE issuances
         SET step = $3, failure = $4, sealed_key = NULL, csr = NULL, chain = NULL, due_at = NULL
         WHERE id = $1 AND fence = $2 AND due_at IS NOT NULL
         RETURNING certificate_id",
    )
    .bind(id)
    .bind(fence)
    .bind(Step::Failed.as_str())
    .bind(to_json(TABLE, id, failure)?)
    .fetch_optional(&mut *tx)
    .await
    .map_err(&doing)?;
    let Some(certificate) = certificate else { return Ok(()) };
    sqlx::query("UPDATE challenge_records SET due_at = COALESCE(again_at, 0) WHERE issuance_id = $1")
        .bind(id)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    give_up(&mut tx, certificate, failure).await?;
    store.grow_shared_epoch(&mut tx, Changed::Certificates).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)
}

pub(super) async fn save(store: &SqlStore, issuance: &Issuance, fence: Fence, until: Timestamp) -> Result<(), StoreError> {
    let IssuanceId(id) = issuance.id;
    let doing = unavailable("save an issuance");
    let mut tx = store.write().await.map_err(&doing)?;
    let sealed_key = match &issuance.key {
        Some(private) => Some(store.sealer().seal_value(key(&id.to_string()), private.expose_pkcs8())?),
        None => None,
    };
    let failure = issuance.failure.as_ref().map(|failure| to_json(TABLE, id, failure)).transpose()?;
    let done = sqlx::query(
        "UPDATE issuances
         SET step = $3, directory = $4, order_url = $5, sealed_key = $6, csr = $7, chain = $8, failure = $9, due_at = $10,
             tried = $11, trace = $12
         WHERE id = $1 AND fence = $2 AND due_at IS NOT NULL",
    )
    .bind(id)
    .bind(fence.0)
    .bind(issuance.step.as_str())
    .bind(&issuance.directory)
    .bind(&issuance.order_url)
    .bind(sealed_key)
    .bind(&issuance.csr)
    .bind(issuance.chain.as_ref().map(chain_octets))
    .bind(failure)
    .bind(until.as_microsecond())
    .bind(to_json(TABLE, id, &issuance.tried)?)
    .bind(to_json(TABLE, id, &issuance.trace)?)
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    held(done.rows_affected(), issuance.id)
}

pub(super) async fn release(store: &SqlStore, id: IssuanceId, fence: Fence, again: Option<Timestamp>) -> Result<(), StoreError> {
    // An instant in the past means at once, and no issuance begins before its start.
    let done =
        sqlx::query("UPDATE issuances SET due_at = COALESCE($3, started_at) WHERE id = $1 AND fence = $2 AND due_at IS NOT NULL")
            .bind(id.0)
            .bind(fence.0)
            .bind(again.map(Timestamp::as_microsecond))
            .execute(store.writer())
            .await
            .map_err(unavailable("release an issuance"))?;
    held(done.rows_affected(), id)
}

/// Makes every unfinished issuance due. Whoever opens the folder as its only server knows that no lease is held by a
/// living process; the fence grows all the same at the next lease.
pub(crate) async fn void_leases(store: &SqlStore) -> Result<(), StoreError> {
    sqlx::query("UPDATE issuances SET due_at = started_at WHERE due_at IS NOT NULL")
        .execute(store.writer())
        .await
        .map_err(unavailable("void leases"))?;
    Ok(())
}

/// Whether a write that asks for the fence found its row.
pub(super) fn held(rows: u64, id: IssuanceId) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::LeaseLost(id)) }
}
