//! What people look at: entries in outline, and what the coming days bring. Nothing sealed is read.
use async_trait::async_trait;
use certkeep_core::certificate::{CertificateId, Kind};
use certkeep_core::failure::{CATALOGUE, Code, Turn};
use certkeep_core::outline::{Calendar, Census, DayCount, Fate, Found, Outline, Search, State};
use certkeep_core::ports::{Overview, StoreError};
use certkeep_core::renewal::Validity;
use certkeep_core::renewal_info::Window;
use jiff::{SignedDuration, Timestamp};
use sqlx::any::AnyArguments;
use sqlx::query::{QueryAs, QueryScalar};
use sqlx::{Any, AssertSqlSafe};

use crate::SqlStore;
use crate::certificates::list::{count, order};
use crate::certificates::row::{TABLE, origin, status};
use crate::dialect::Dialect;
use crate::error::{corrupt, unavailable};
use crate::rows::{from_columns, instant, kind, unknown};

/// A day in microseconds.
const DAY: i64 = 24 * 3600 * 1_000_000;
/// No end that lies further ahead is a concern: whatever is renewed, is planned long before its end.
const AHEAD: SignedDuration = SignedDuration::from_hours(90 * 24);

const COLUMNS: &str = "SELECT id, name, kind, issue_to, not_before, not_after, origin, status, failure_code, dns_provider,
    next_issuance_at, renewal_window_start, renewal_window_end, renewal_explanation, failures_in_a_row FROM certificates";

/// What an outline is made of.
struct OutlineRow {
    id: i64,
    name: String,
    kind: String,
    issue_to: String,
    not_before: Option<i64>,
    not_after: Option<i64>,
    origin: Option<String>,
    status: Option<String>,
    failure_code: Option<i64>,
    dns_provider: Option<String>,
    next_issuance_at: Option<i64>,
    renewal_window_start: Option<i64>,
    renewal_window_end: Option<i64>,
    renewal_explanation: Option<String>,
    failures_in_a_row: i64,
}

from_columns!(OutlineRow {
    id,
    name,
    kind,
    issue_to,
    not_before,
    not_after,
    origin,
    status,
    failure_code,
    dns_provider,
    next_issuance_at,
    renewal_window_start,
    renewal_window_end,
    renewal_explanation,
    failures_in_a_row
});

impl OutlineRow {
    fn outline(self) -> Result<Outline, StoreError> {
        let id = self.id;
        let at = |micros: Option<i64>| micros.map(|micros| instant(TABLE, id, micros)).transpose();
        let validity = at(self.not_before)?.zip(at(self.not_after)?);
        let window = at(self.renewal_window_start)?.zip(at(self.renewal_window_end)?);
        let code = |number| u16::try_from(number).ok().and_then(Code::from_number);
        let failure = self.failure_code.map(|number| code(number).ok_or_else(|| unknown(TABLE, id, "failure_code")));
        Ok(Outline {
            id: CertificateId(id),
            kind: kind(&self.kind).ok_or_else(|| unknown(TABLE, id, "kind"))?,
            name: self.name,
            issue_to: self.issue_to,
            validity: validity.map(|(not_before, not_after)| Validity { not_before, not_after }),
            origin: meant(self.origin, origin, id, "origin")?,
            status: meant(self.status, status, id, "status")?,
            failure: failure.transpose()?,
            dns_provider: self.dns_provider,
            next_issuance: at(self.next_issuance_at)?,
            window: window.and_then(|(start, end)| Window::new(start, end)),
            explanation: self.renewal_explanation,
            failures: u32::try_from(self.failures_in_a_row).unwrap_or(u32::MAX),
        })
    }
}

/// What a word stands for.
fn meant<T>(word: Option<String>, read: fn(&str) -> Option<T>, id: i64, column: &str) -> Result<Option<T>, StoreError> {
    word.map(|word| read(&word).ok_or_else(|| unknown(TABLE, id, column))).transpose()
}

/// A condition with what it binds, numbered from `$1` on.
#[derive(Default)]
struct Filter {
    terms: Vec<String>,
    texts: Vec<String>,
    instants: Vec<i64>,
}

impl Filter {
    /// Instants are bound first, so that their numbers stay what they are.
    fn instant(&mut self, at: Timestamp) -> String {
        self.instants.push(at.as_microsecond());
        format!("${}", self.instants.len())
    }

    fn of(search: &Search, now: Timestamp, dialect: Dialect) -> Filter {
        let mut filter = Filter::default();
        if let Some((from, to)) = search.ends {
            let (from, to) = (filter.instant(from), filter.instant(to));
            filter.terms.push(format!("not_after >= {from} AND not_after < {to}"));
        }
        if let Some(state) = search.state {
            filter.state(state, now);
        }
        if let Some(kind) = search.kind {
            // One of two words of ours. The concatenation keeps the database from looking the kind up instead of the rest.
            filter.terms.push(format!("kind || '' = '{}'", kind.as_str()));
        }
        if let Some(text) = search.text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            let place = filter.instants.len() + 1;
            let escaped = text.to_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_");
            filter.texts.push(format!("%{escaped}%"));
            // SQLite's LIKE knows no case of ASCII letters, and names have no others.
            let like = |column| match dialect {
                Dialect::Postgres => format!("lower({column}) LIKE ${place} ESCAPE '!'"),
                Dialect::Sqlite => format!("{column} LIKE ${place} ESCAPE '!'"),
            };
            filter.terms.push(format!("({} OR {} OR {})", like("name"), like("issue_to"), like("names")));
        }
        filter
    }

    fn state(&mut self, state: State, now: Timestamp) {
        let term = match state {
            State::Concern => {
                let (now, ahead) = (self.instant(now), self.instant(now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX)));
                concern(&now, &ahead)
            }
            State::Expired => format!("not_after <= {}", self.instant(now)),
            State::Failed => "status = 'issuance_fail'".to_owned(),
            State::Issuing => "status = 'issuing'".to_owned(),
            State::Valid => {
                format!("not_after > {} AND (status IS NULL OR status = 'issuance_success')", self.instant(now))
            }
        };
        self.terms.push(term);
    }

    fn clause(&self) -> String {
        if self.terms.is_empty() { String::new() } else { format!("WHERE {}", self.terms.join(" AND ")) }
    }
}

/// What [`Outline::concern`] says, for the database. Each of the two ways to it has an index.
fn concern(now: &str, ahead: &str) -> String {
    let users = CATALOGUE.iter().filter(|(_, entry)| entry.turn == Turn::User).map(|(_, entry)| entry.number.to_string());
    let users = users.collect::<Vec<_>>().join(", ");
    format!(
        "((not_after < {ahead} AND (not_after <= {now}
            OR ((status IS NULL OR status <> 'issuing')
                AND (next_issuance_at >= not_after
                     OR (next_issuance_at IS NULL AND not_after - {now} <= {told}
                         AND (not_after - {now}) * 10 <= not_after - not_before)))))
          OR (status = 'issuance_fail' AND (next_issuance_at IS NULL OR failure_code IN ({users}))))",
        told = 60 * DAY,
    )
}

/// Binds instants, then texts.
macro_rules! bound {
    ($query:expr, $filter:expr) => {{
        let mut query = $query;
        for at in &$filter.instants {
            query = query.bind(*at);
        }
        for text in &$filter.texts {
            query = query.bind(text.clone());
        }
        query
    }};
}

async fn found(store: &SqlStore, search: &Search, now: Timestamp) -> Result<Found, StoreError> {
    let doing = unavailable("search certificates");
    let filter = Filter::of(search, now, store.dialect());
    let clause = filter.clause();
    let mut snapshot = store.snapshot().await.map_err(&doing)?;
    let only_kind = search.text.is_none() && search.state.is_none() && search.ends.is_none();
    let total = if only_kind {
        count(&mut snapshot, search.kind).await.map_err(&doing)?
    } else {
        let counting = format!("SELECT COUNT(*) FROM certificates {clause}");
        let counting: QueryScalar<'_, Any, i64, AnyArguments> = sqlx::query_scalar(AssertSqlSafe(counting));
        bound!(counting, filter).fetch_one(&mut *snapshot).await.map_err(&doing)?
    };
    if total == 0 {
        snapshot.commit().await.map_err(&doing)?;
        return Ok(Found::default());
    }
    let offset = i64::from(search.page.saturating_sub(1)).saturating_mul(i64::from(search.page_size));
    let order = order(search.sort_by, search.descending);
    let places = filter.instants.len() + filter.texts.len();
    let listing = format!("{COLUMNS} {clause} ORDER BY {order} LIMIT ${} OFFSET ${}", places + 1, places + 2);
    let listing: QueryAs<'_, Any, OutlineRow, AnyArguments> = sqlx::query_as(AssertSqlSafe(listing));
    let listing = bound!(listing, filter).bind(i64::from(search.page_size)).bind(offset);
    let rows = listing.fetch_all(&mut *snapshot).await.map_err(&doing)?;
    snapshot.commit().await.map_err(&doing)?;
    let total = u64::try_from(total).map_err(|e| corrupt(TABLE, "count", e))?;
    Ok(Found { total, rows: rows.into_iter().map(OutlineRow::outline).collect::<Result<_, _>>()? })
}

/// Ends by day and fate. The words of the fate are in the order of [`Fate`].
const ENDS: &str = "SELECT (not_after - $1) / 86400000000,
    CASE WHEN status = 'issuing' THEN 2
         WHEN next_issuance_at IS NULL OR next_issuance_at >= not_after THEN 0
         WHEN status = 'issuance_fail' THEN 1
         ELSE 2 END,
    COUNT(*)
    FROM certificates WHERE not_after > $1 AND not_after < $2 GROUP BY 1, 2 ORDER BY 1, 2";
const TRIES: &str = "SELECT CASE WHEN next_issuance_at <= $1 THEN 0 ELSE (next_issuance_at - $1) / 86400000000 END, COUNT(*)
    FROM certificates WHERE next_issuance_at IS NOT NULL AND next_issuance_at < $2 GROUP BY 1 ORDER BY 1";

fn day_count(day: i64, count: i64) -> DayCount {
    DayCount { day: u32::try_from(day).unwrap_or(0), count: u64::try_from(count).unwrap_or(0) }
}

async fn calendar(store: &SqlStore, now: Timestamp, days: u32) -> Result<Calendar, StoreError> {
    let doing = unavailable("read what is to come");
    let from = now.as_microsecond();
    let to = from.saturating_add(DAY.saturating_mul(i64::from(days)));
    let mut snapshot = store.snapshot().await.map_err(&doing)?;
    let ends: Vec<(i64, i64, i64)> = sqlx::query_as(ENDS).bind(from).bind(to).fetch_all(&mut *snapshot).await.map_err(&doing)?;
    let tries: Vec<(i64, i64)> = sqlx::query_as(TRIES).bind(from).bind(to).fetch_all(&mut *snapshot).await.map_err(&doing)?;
    snapshot.commit().await.map_err(&doing)?;
    let fate = |word| match word {
        0 => Fate::Ends,
        1 => Fate::Failing,
        _ => Fate::Renewed,
    };
    Ok(Calendar {
        ends: ends.into_iter().map(|(day, word, count)| (fate(word), day_count(day, count))).collect(),
        tries: tries.into_iter().map(|(day, count)| day_count(day, count)).collect(),
    })
}

async fn census(store: &SqlStore) -> Result<Census, StoreError> {
    let doing = unavailable("count certificates");
    let mut snapshot = store.snapshot().await.map_err(&doing)?;
    let server = count(&mut snapshot, Some(Kind::Server)).await.map_err(&doing)?;
    let trusted = count(&mut snapshot, Some(Kind::Trusted)).await.map_err(&doing)?;
    let issuing: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM issuances WHERE due_at IS NOT NULL")
        .fetch_one(&mut *snapshot)
        .await
        .map_err(&doing)?;
    snapshot.commit().await.map_err(&doing)?;
    let number = |count| u64::try_from(count).unwrap_or(0);
    Ok(Census { server: number(server), trusted: number(trusted), issuing: number(issuing) })
}

#[async_trait]
impl Overview for SqlStore {
    async fn outline(&self, id: CertificateId) -> Result<Option<Outline>, StoreError> {
        let row: Option<OutlineRow> = sqlx::query_as(AssertSqlSafe(format!("{COLUMNS} WHERE id = $1")))
            .bind(id.0)
            .fetch_optional(self.readers())
            .await
            .map_err(unavailable("read a certificate"))?;
        row.map(OutlineRow::outline).transpose()
    }

    async fn search(&self, search: &Search, now: Timestamp) -> Result<Found, StoreError> {
        found(self, search, now).await
    }

    async fn concerns(&self, now: Timestamp, limit: u32) -> Result<Found, StoreError> {
        let search = Search { state: Some(State::Concern), ..Search::everything(limit) };
        found(self, &search, now).await
    }

    async fn calendar(&self, now: Timestamp, days: u32) -> Result<Calendar, StoreError> {
        calendar(self, now, days).await
    }

    async fn census(&self) -> Result<Census, StoreError> {
        census(self).await
    }
}
