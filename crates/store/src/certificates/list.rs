//! Pages of the inventory. Each order walks an index of its own, so that a page costs what it skips and shows.
use certkeep_core::certificate::{Certificate, Kind, ListQuery, Page, SortBy};
use certkeep_core::ports::StoreError;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::row::{CertificateRow, TABLE, select_certificates};
use crate::SqlStore;
use crate::error::{corrupt, unavailable};

/// So many entries are sorted faster than a million are walked.
const FEW: i64 = 10_000;

/// An order that an index has; dates that are not there come last in both directions, ties go by number.
pub(crate) const fn order(by: SortBy, descending: bool) -> &'static str {
    match (by, descending) {
        (SortBy::Expiration, false) => "(not_after IS NULL), not_after, id",
        (SortBy::Expiration, true) => "(not_after IS NULL), not_after DESC, id",
        (SortBy::Id, false) => "id",
        (SortBy::Id, true) => "id DESC",
        (SortBy::IssueTo, false) => "issue_to, id",
        (SortBy::IssueTo, true) => "issue_to DESC, id",
        (SortBy::Name, false) => "name",
        (SortBy::Name, true) => "name DESC",
        (SortBy::Type, false) => "kind, id",
        (SortBy::Type, true) => "kind DESC, id",
    }
}

/// The page's statement: `$1` rows after the first `$2`, of the kind `$3` if there is one, of which there are `total`.
///
/// Few of a kind are found by the kind and then sorted; many are found on the way along the order, where the
/// concatenation keeps the database from looking the kind up.
pub(crate) fn page_statement(query: &ListQuery, total: i64) -> String {
    let select = select_certificates!("");
    let filter = match query.kind {
        None => "",
        Some(_) if total <= FEW => "WHERE kind = $3",
        Some(_) => "WHERE kind || '' = $3",
    };
    format!("{select} {filter} ORDER BY {} LIMIT $1 OFFSET $2", order(query.sort_by, query.descending))
}

/// How many entries there are, of one kind or of all.
pub(crate) async fn count(db: &mut AnyConnection, kind: Option<Kind>) -> Result<i64, sqlx::Error> {
    let counts: Vec<(String, i64)> = sqlx::query_as("SELECT kind, entries FROM certificate_counts").fetch_all(db).await?;
    Ok(counts.iter().filter(|(of, _)| kind.is_none_or(|kind| kind.as_str() == of)).map(|(_, entries)| entries).sum())
}

/// Counts an entry that was added, or one that was deleted (`-1`).
pub(super) async fn counted(db: &mut AnyConnection, kind: &str, more: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE certificate_counts SET entries = entries + $2 WHERE kind = $1").bind(kind).bind(more).execute(db).await?;
    Ok(())
}

/// Count and rows of one snapshot.
pub(super) async fn page(store: &SqlStore, query: &ListQuery) -> Result<Page, StoreError> {
    let doing = unavailable("list certificates");
    let offset = i64::from(query.page.saturating_sub(1)).saturating_mul(i64::from(query.page_size));
    let mut snapshot = store.snapshot().await.map_err(&doing)?;
    let total = count(&mut snapshot, query.kind).await.map_err(&doing)?;
    let mut rows = sqlx::query_as::<_, CertificateRow>(AssertSqlSafe(page_statement(query, total)))
        .bind(i64::from(query.page_size))
        .bind(offset);
    if let Some(kind) = query.kind {
        rows = rows.bind(kind.as_str());
    }
    let rows = rows.fetch_all(&mut *snapshot).await.map_err(&doing)?;
    snapshot.commit().await.map_err(&doing)?;
    let rows = rows.into_iter().map(|row| row.certificate(store.sealer())).collect::<Result<Vec<Certificate>, _>>()?;
    let total = u64::try_from(total).map_err(|e| corrupt(TABLE, "count", e))?;
    Ok(Page { total, rows })
}
