//! Beginning issuances: which of the entries that are due, and in which order.
use certkeep_core::application::Application;
use certkeep_core::issuance::Step;
use certkeep_core::ports::StoreError;
use certkeep_core::schedule::{LONGEST_HOLD, Pace, Turns, Urgency, held_until};
use jiff::Timestamp;
use sqlx::AnyConnection;

use super::leases::{TABLE, application, give_up, unreadable};
use crate::SqlStore;
use crate::again::commit;
use crate::certificates::row::ApplicationColumns;
use crate::dialect::Dialect;
use crate::epoch::Changed;
use crate::error::unavailable;
use crate::rows::{from_columns, instant, take_numbers};
use crate::seal::Sealer;

/// How many entries become more pressing in one transaction: as many as may begin, and so many at least. After a long outage
/// it may be each of a million, which no look waits for; what is left is due still, so that the next one comes at once.
const MARKED: u32 = 32;
/// Most applications that get a turn in one transaction.
const TURNS: i64 = 1_000;

/// When the first entry of each urgency is due: one index each. Of the renewals in good time it is not before any may begin,
/// where the condition holds too.
macro_rules! due_entries {
    ($condition:literal) => {
        concat!(
            "SELECT 0 AS urgency, MIN(next_issuance_at) AS due_at FROM certificates
                 WHERE urgency = 0 AND turn IS NULL AND next_issuance_at IS NOT NULL
             UNION ALL SELECT 1, MIN(next_issuance_at) FROM certificates
                 WHERE urgency = 1 AND turn IS NULL AND next_issuance_at IS NOT NULL
             UNION ALL SELECT 2, MIN(next_issuance_at) FROM certificates
                 WHERE urgency = 2 AND turn IS NULL AND next_issuance_at IS NOT NULL
             UNION ALL SELECT 2, (SELECT next_issuance_at FROM certificates WHERE turn IS NOT NULL
                                  ORDER BY turn, next_issuance_at, id LIMIT 1)
             UNION ALL SELECT 3, CASE WHEN work.due_at < pace.renewals_from",
            $condition,
            "                         THEN pace.renewals_from ELSE work.due_at END
                 FROM pace,
                      (SELECT MIN(next_issuance_at) AS due_at FROM certificates
                       WHERE urgency = 3 AND turn IS NULL AND next_issuance_at IS NOT NULL) AS work
                 WHERE pace.id = 1"
        )
    };
}
pub(crate) use due_entries;

/// The same, where nothing is held back by an instant after `$1`.
pub(crate) const DUE_ENTRIES: &str = due_entries!(" AND pace.renewals_from <= $1 ");

/// A statement that picks rows to write them. Of several nodes each picks what the others are not just writing.
macro_rules! picking {
    ($dialect:expr, $picked:literal $(, $rest:literal)?) => {
        match $dialect {
            Dialect::Postgres => concat!($picked, " FOR UPDATE SKIP LOCKED" $(, $rest)?),
            Dialect::Sqlite => concat!($picked $(, $rest)?),
        }
    };
}

/// Marks what has become more pressing by `$1`, `$2` at most.
pub(crate) const fn marking(dialect: Dialect) -> &'static str {
    picking!(
        dialect,
        "UPDATE certificates
         SET urgency = CASE WHEN not_after <= $1 THEN 0 ELSE 1 END,
             urgent_at = CASE WHEN not_after <= $1 THEN NULL ELSE not_after END, turn = NULL
         WHERE id IN (SELECT id FROM certificates WHERE urgent_at <= $1 ORDER BY urgent_at, id LIMIT $2",
        ")"
    )
}

/// The applications that are due at `$1` and have no turn, `$2` at most, with the last turn of their owner.
pub(crate) const fn without_turn(dialect: Dialect) -> &'static str {
    picking!(
        dialect,
        "SELECT id, owner, (SELECT last FROM turns WHERE turns.owner = certificates.owner) AS last FROM certificates
         WHERE urgency = 2 AND turn IS NULL AND next_issuance_at <= $1
         ORDER BY next_issuance_at, id LIMIT $2"
    )
}

/// The applications whose turns are first, `$1` at most.
pub(crate) const fn by_turn(dialect: Dialect) -> &'static str {
    picking!(
        dialect,
        "SELECT id, names, dns_provider, sealed_auth FROM certificates
         WHERE turn IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM issuances i WHERE i.certificate_id = certificates.id AND i.due_at IS NOT NULL)
         ORDER BY turn, next_issuance_at, id LIMIT $1"
    )
}

/// The entries of the urgency `$1` that are due at `$2`, `$3` at most.
pub(crate) const fn by_urgency(dialect: Dialect) -> &'static str {
    picking!(
        dialect,
        "SELECT id, names, dns_provider, sealed_auth FROM certificates
         WHERE urgency = $1 AND turn IS NULL AND next_issuance_at <= $2
           AND NOT EXISTS (SELECT 1 FROM issuances i WHERE i.certificate_id = certificates.id AND i.due_at IS NOT NULL)
         ORDER BY next_issuance_at, id LIMIT $3"
    )
}

struct DueRow {
    id: i64,
    application: ApplicationColumns,
}

from_columns!(DueRow { id; application });

pub(super) async fn start_due(store: &SqlStore, now: Timestamp, limit: u32, pace: Pace) -> Result<u64, StoreError> {
    let due = due_urgencies(store, now).await?;
    if due.is_empty() {
        return Ok(0);
    }
    let doing = unavailable("begin issuances");
    let mut tx = store.write().await.map_err(&doing)?;
    let marked = mark(&mut tx, store.dialect(), now, limit).await?;
    let (mut found, mut begun) = (0, 0);
    for urgency in Urgency::ALL {
        let free = limit.saturating_sub(found);
        if free == 0 || !(due.contains(&urgency.number()) || marked) {
            continue;
        }
        let rows = match urgency {
            Urgency::Expired | Urgency::Expiring => of_urgency(&mut tx, store.dialect(), urgency, now, free).await?,
            Urgency::Application => {
                take_turns(&mut tx, store.dialect(), now).await?;
                of_turn(&mut tx, store.dialect(), free).await?
            }
            Urgency::Renewal => renewals(&mut tx, store.dialect(), now, free, pace).await?,
        };
        for row in rows {
            found += 1;
            begun += u64::from(begin(&mut tx, store.sealer(), row, now).await?);
        }
    }
    if found > 0 {
        store.grow_shared_epoch(&mut tx, Changed::Certificates).await.map_err(&doing)?;
    }
    commit(tx).await.map_err(&doing)?;
    Ok(begun)
}

/// Of which urgencies something is due that may begin: most looks find nothing, and need no transaction.
async fn due_urgencies(store: &SqlStore, now: Timestamp) -> Result<Vec<i64>, StoreError> {
    let latest = now.saturating_add(LONGEST_HOLD).unwrap_or(now);
    let firsts: Vec<(i64, Option<i64>)> = sqlx::query_as(DUE_ENTRIES)
        .bind(latest.as_microsecond())
        .fetch_all(store.readers())
        .await
        .map_err(unavailable("look for due entries"))?;
    let is_due = |(urgency, due_at): (i64, Option<i64>)| due_at.is_some_and(|at| at <= now.as_microsecond()).then_some(urgency);
    Ok(firsts.into_iter().filter_map(is_due).collect())
}

async fn mark(db: &mut AnyConnection, dialect: Dialect, now: Timestamp, limit: u32) -> Result<bool, StoreError> {
    let marked = sqlx::query(marking(dialect))
        .bind(now.as_microsecond())
        .bind(i64::from(limit.max(MARKED)))
        .execute(db)
        .await
        .map_err(unavailable("mark what is urgent"))?;
    Ok(marked.rows_affected() > 0)
}

async fn take_turns(db: &mut AnyConnection, dialect: Dialect, now: Timestamp) -> Result<(), StoreError> {
    let doing = unavailable("hand out turns");
    let waiting: Vec<(i64, i64, Option<i64>)> =
        sqlx::query_as(without_turn(dialect)).bind(now.as_microsecond()).bind(TURNS).fetch_all(&mut *db).await.map_err(&doing)?;
    if waiting.is_empty() {
        return Ok(());
    }
    let first: Option<i64> = sqlx::query_scalar(
        "SELECT COALESCE((SELECT MIN(turn) FROM certificates WHERE turn IS NOT NULL), (SELECT MAX(last) FROM turns))",
    )
    .fetch_one(&mut *db)
    .await
    .map_err(&doing)?;
    let mut turns = Turns::new(first);
    for (id, owner, last) in waiting {
        sqlx::query("UPDATE certificates SET turn = $2 WHERE id = $1")
            .bind(id)
            .bind(turns.take(owner, last))
            .execute(&mut *db)
            .await
            .map_err(&doing)?;
    }
    for (owner, last) in turns.last() {
        sqlx::query("INSERT INTO turns (owner, last) VALUES ($1, $2) ON CONFLICT (owner) DO UPDATE SET last = excluded.last")
            .bind(owner)
            .bind(last)
            .execute(&mut *db)
            .await
            .map_err(&doing)?;
    }
    Ok(())
}

async fn of_turn(db: &mut AnyConnection, dialect: Dialect, limit: u32) -> Result<Vec<DueRow>, StoreError> {
    let rows = sqlx::query_as(by_turn(dialect)).bind(i64::from(limit)).fetch_all(db).await;
    rows.map_err(unavailable("find applications"))
}

async fn of_urgency(
    db: &mut AnyConnection,
    dialect: Dialect,
    urgency: Urgency,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueRow>, StoreError> {
    sqlx::query_as(by_urgency(dialect))
        .bind(urgency.number())
        .bind(now.as_microsecond())
        .bind(i64::from(limit))
        .fetch_all(db)
        .await
        .map_err(unavailable("find due entries"))
}

/// The renewals in good time that may begin, and from when on the next may. Where none may yet, that is kept: until then
/// nobody looks for them.
async fn renewals(
    db: &mut AnyConnection,
    dialect: Dialect,
    now: Timestamp,
    limit: u32,
    pace: Pace,
) -> Result<Vec<DueRow>, StoreError> {
    let doing = unavailable("read the pace of renewals");
    let kept: i64 =
        sqlx::query_scalar("SELECT renewals_from FROM pace WHERE id = 1").fetch_one(&mut *db).await.map_err(&doing)?;
    let (rows, from) = match held_until(instant("pace", 1, kept)?, now) {
        Some(until) => (Vec::new(), until),
        None => {
            let rows = of_urgency(db, dialect, Urgency::Renewal, now, limit.min(pace.at_once())).await?;
            if rows.is_empty() {
                return Ok(rows);
            }
            let from = pace.next(now, u32::try_from(rows.len()).unwrap_or(u32::MAX));
            (rows, from)
        }
    };
    if from.as_microsecond() != kept {
        sqlx::query("UPDATE pace SET renewals_from = $1 WHERE id = 1")
            .bind(from.as_microsecond())
            .execute(db)
            .await
            .map_err(unavailable("keep the pace of renewals"))?;
    }
    Ok(rows)
}

/// Begins the issuance of an entry; answers whether there is one to begin.
async fn begin(db: &mut AnyConnection, sealer: &Sealer, row: DueRow, now: Timestamp) -> Result<bool, StoreError> {
    let certificate = row.id;
    let asked = match row.application.open(certificate, sealer) {
        Ok(Some(asked)) => asked,
        Ok(None) => {
            sqlx::query("UPDATE certificates SET next_issuance_at = NULL, turn = NULL WHERE id = $1")
                .bind(certificate)
                .execute(db)
                .await
                .map_err(unavailable("leave out an entry without application"))?;
            return Ok(false);
        }
        Err(e) => {
            give_up(db, certificate, &unreadable("read the application", &e)).await?;
            return Ok(false);
        }
    };
    insert(db, sealer, certificate, &asked, now).await?;
    Ok(true)
}

async fn insert(
    db: &mut AnyConnection,
    sealer: &Sealer,
    certificate: i64,
    asked: &Application,
    now: Timestamp,
) -> Result<(), StoreError> {
    let doing = unavailable("begin an issuance");
    let id = take_numbers(db, TABLE, 1).await.map_err(&doing)?;
    let sealed = sealer.seal_application(application(&id.to_string()), asked)?;
    sqlx::query(
        "INSERT INTO issuances (id, certificate_id, step, sealed_application, started_at, due_at)
         VALUES ($1, $2, $3, $4, $5, $5)",
    )
    .bind(id)
    .bind(certificate)
    .bind(Step::Queued.as_str())
    .bind(sealed)
    .bind(now.as_microsecond())
    .execute(&mut *db)
    .await
    .map_err(&doing)?;
    sqlx::query(
        "UPDATE certificates SET status = 'issuing', failure_code = NULL, next_issuance_at = NULL, turn = NULL WHERE id = $1",
    )
    .bind(certificate)
    .execute(&mut *db)
    .await
    .map_err(&doing)?;
    Ok(())
}
