//! Pages of the inventory. Each order walks an index of its own, from the nearer end: a page costs what it shows and the
//! entries of the index that it skips.
use certkeep_core::certificate::{Certificate, Kind, ListQuery, Page, SortBy};
use certkeep_core::ports::StoreError;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::row::{CertificateRow, TABLE, certificate_columns};
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

/// The same from its end to its beginning.
const fn backwards(by: SortBy, descending: bool) -> &'static str {
    match (by, descending) {
        (SortBy::Expiration, false) => "(not_after IS NULL) DESC, not_after DESC, id DESC",
        (SortBy::Expiration, true) => "(not_after IS NULL) DESC, not_after, id DESC",
        (SortBy::Id, _) | (SortBy::Name, _) => order(by, !descending),
        (SortBy::IssueTo, false) => "issue_to DESC, id DESC",
        (SortBy::IssueTo, true) => "issue_to, id DESC",
        (SortBy::Type, false) => "kind DESC, id DESC",
        (SortBy::Type, true) => "kind, id DESC",
    }
}

/// Which rows a page shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    rows: i64,
    skipped: i64,
    backwards: bool,
}

impl Cut {
    /// The page's rows among so many, as reached from the nearer end of the order; `None` past the end.
    pub(crate) fn of(query: &ListQuery, total: i64) -> Option<Cut> {
        let before = i64::from(query.page.saturating_sub(1)).saturating_mul(i64::from(query.page_size));
        let rows = i64::from(query.page_size).min(total.saturating_sub(before));
        let after = total.saturating_sub(before).saturating_sub(rows);
        (rows > 0).then_some(Cut { rows, skipped: before.min(after), backwards: after < before })
    }
}

/// The statement that picks the page's entries: `$1` after the first `$2`, of the kind `$3` if there is one, of which there
/// are `total`. It reads nothing but an index.
///
/// Few of a kind are found by the kind and then sorted; many are found on the way along the order, where the
/// concatenation keeps the database from looking the kind up.
pub(crate) fn picking(query: &ListQuery, cut: Cut, total: i64) -> String {
    // All of one kind are in the order of their numbers, whichever way the kinds go.
    let (by, descending) = match (query.kind, query.sort_by) {
        (Some(_), SortBy::Type) => (SortBy::Id, false),
        (_, by) => (by, query.descending),
    };
    let filter = match query.kind {
        None => "",
        Some(_) if total <= FEW || by == SortBy::Id => "WHERE kind = $3",
        Some(_) => "WHERE kind || '' = $3",
    };
    let order = if cut.backwards { backwards(by, descending) } else { order(by, descending) };
    format!("SELECT id AS picked FROM certificates {filter} ORDER BY {order} LIMIT $1 OFFSET $2")
}

/// The page's statement, with the places of [`picking`].
pub(crate) fn page_statement(query: &ListQuery, cut: Cut, total: i64) -> String {
    // SQLite takes the tables of a cross join in the order in which they are written.
    let columns = certificate_columns!();
    let picking = picking(query, cut, total);
    let order = order(query.sort_by, query.descending);
    format!("SELECT {columns} FROM ({picking}) AS page CROSS JOIN certificates WHERE id = picked ORDER BY {order}")
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
    let mut snapshot = store.snapshot().await.map_err(&doing)?;
    let total = count(&mut snapshot, query.kind).await.map_err(&doing)?;
    let rows = match Cut::of(query, total) {
        Some(cut) => {
            let mut rows = sqlx::query_as::<_, CertificateRow>(AssertSqlSafe(page_statement(query, cut, total)))
                .bind(cut.rows)
                .bind(cut.skipped);
            if let Some(kind) = query.kind {
                rows = rows.bind(kind.as_str());
            }
            rows.fetch_all(&mut *snapshot).await.map_err(&doing)?
        }
        None => Vec::new(),
    };
    snapshot.commit().await.map_err(&doing)?;
    let rows = rows.into_iter().map(|row| row.certificate(store.sealer())).collect::<Result<Vec<Certificate>, _>>()?;
    let total = u64::try_from(total).map_err(|e| corrupt(TABLE, "count", e))?;
    Ok(Page { total, rows })
}
