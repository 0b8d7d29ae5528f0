//! How issuances end.
use certkeep_core::certificate::CertificateId;
use certkeep_core::failure::Failure;
use certkeep_core::issuance::{Fence, Issuance, Step};
use certkeep_core::ports::{Outcome, StoreError};
use jiff::Timestamp;

use super::history::prune;
use super::leases::{TABLE, held};
use crate::SqlStore;
use crate::again::commit;
use crate::certificates::versions::hold;
use crate::epoch::Changed;
use crate::error::unavailable;
use crate::rows::{from_json, to_json};

pub(super) async fn finish(store: &SqlStore, issuance: &Issuance, fence: Fence, outcome: &Outcome) -> Result<(), StoreError> {
    let doing = unavailable("finish an issuance");
    let (id, certificate) = (issuance.id.0, issuance.certificate.0);
    let (step, failure) = match outcome {
        Outcome::Failed(failure, _) => (Step::Failed, Some(to_json(TABLE, id, failure)?)),
        Outcome::Issued(..) => (Step::Done, None),
    };
    let mut tx = store.write().await.map_err(&doing)?;
    // Key, request and chain are the version's now, or nobody's.
    let done = sqlx::query(
        "UPDATE issuances
         SET step = $3, directory = $4, order_url = $5, failure = $6, sealed_key = NULL, csr = NULL, chain = NULL,
             due_at = NULL, tried = $7, trace = $8
         WHERE id = $1 AND fence = $2 AND due_at IS NOT NULL",
    )
    .bind(id)
    .bind(fence.0)
    .bind(step.as_str())
    .bind(&issuance.directory)
    .bind(&issuance.order_url)
    .bind(&failure)
    .bind(to_json(TABLE, id, &issuance.tried)?)
    .bind(to_json(TABLE, id, &issuance.trace)?)
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    held(done.rows_affected(), issuance.id)?;
    // Due at once, unless a removal that failed has said when.
    sqlx::query("UPDATE challenge_records SET due_at = COALESCE(again_at, $2) WHERE issuance_id = $1")
        .bind(id)
        .bind(issuance.started.as_microsecond())
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    match outcome {
        Outcome::Failed(cause, again) => {
            sqlx::query(
                "UPDATE certificates
                 SET status = 'issuance_fail', failure_code = $2, failure = $3,
                     failures_in_a_row = failures_in_a_row + $5, next_issuance_at = $4
                 WHERE id = $1",
            )
            .bind(certificate)
            .bind(i64::from(cause.code.number()))
            .bind(&failure)
            .bind(again.map(Timestamp::as_microsecond))
            .bind(i64::from(!cause.is_wait()))
            .execute(&mut *tx)
            .await
            .map_err(&doing)?;
        }
        Outcome::Issued(version, renewal) => {
            sqlx::query(
                "UPDATE certificates
                 SET status = 'issuance_success', failure_code = NULL, failure = NULL, failures_in_a_row = 0,
                     next_issuance_at = $2
                 WHERE id = $1",
            )
            .bind(certificate)
            .bind(renewal.as_microsecond())
            .execute(&mut *tx)
            .await
            .map_err(&doing)?;
            hold(&mut tx, store.sealer(), certificate, version).await?;
        }
    }
    prune(&mut tx, certificate).await.map_err(&doing)?;
    store.grow_shared_epoch(&mut tx, Changed::Certificates).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)
}

pub(super) async fn failures_in_a_row(store: &SqlStore, id: CertificateId) -> Result<u32, StoreError> {
    let failures: Option<i64> = sqlx::query_scalar("SELECT failures_in_a_row FROM certificates WHERE id = $1")
        .bind(id.0)
        .fetch_optional(store.readers())
        .await
        .map_err(unavailable("read a certificate"))?;
    Ok(failures.map_or(0, |failures| u32::try_from(failures).unwrap_or(u32::MAX)))
}

pub(super) async fn last_failure(store: &SqlStore, id: CertificateId) -> Result<Option<Failure>, StoreError> {
    let failure: Option<Option<String>> = sqlx::query_scalar("SELECT failure FROM certificates WHERE id = $1")
        .bind(id.0)
        .fetch_optional(store.readers())
        .await
        .map_err(unavailable("read a certificate"))?;
    failure.flatten().map(|text| from_json("certificates", id.0, &text)).transpose()
}
