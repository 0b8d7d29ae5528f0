//! Whole inventories at once, as past issuances left them.
use std::fmt::Write as _;

use certkeep_core::application::Application;
use certkeep_core::certificate::{ApplyStatus, Kind, Origin};
use certkeep_core::ports::{StoreError, Version};
use certkeep_core::schedule::{Urgency, urgent_at};
use jiff::Timestamp;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::list::counted;
use super::row::{ApplicationColumns, TABLE, origin_word, status_word};
use super::versions;
use crate::SqlStore;
use crate::again::{commit, repeated};
use crate::epoch::Changed;
use crate::error::unavailable;
use crate::rows::{chain_octets, take_numbers};

/// Rows that one statement writes.
const ROWS: usize = 100;

/// An applied entry that holds what it applied for.
#[derive(Clone, Debug)]
pub struct IssuedEntry {
    /// Its file name.
    pub name: String,
    /// What was asked for.
    pub application: Application,
    /// What came of it.
    pub version: Version,
    /// When it is renewed; its CA is not asked about that before.
    pub renewal: Timestamp,
}

/// A row of either table, before it has its numbers.
struct Row<'a> {
    id: i64,
    version: i64,
    entry: &'a IssuedEntry,
}

impl SqlStore {
    /// Adds entries in one transaction: for what is taken over from elsewhere, and for inventories to measure with.
    ///
    /// # Errors
    /// The store's; a name that is taken is among them, and nothing is added then.
    pub async fn add_issued(&self, entries: &[IssuedEntry]) -> Result<(), StoreError> {
        repeated(|| add(self, entries)).await
    }
}

async fn add(store: &SqlStore, entries: &[IssuedEntry]) -> Result<(), StoreError> {
    let doing = unavailable("add certificates");
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let mut tx = store.write().await.map_err(&doing)?;
    let first = take_numbers(&mut tx, TABLE, count).await.map_err(&doing)?;
    let first_version = take_numbers(&mut tx, versions::TABLE, count).await.map_err(&doing)?;
    let rows: Vec<Row<'_>> =
        (first..).zip(first_version..).zip(entries).map(|((id, version), entry)| Row { id, version, entry }).collect();
    for rows in rows.chunks(ROWS) {
        add_certificates(store, &mut tx, rows).await?;
        add_versions(store, &mut tx, rows).await?;
    }
    counted(&mut tx, Kind::Server.as_str(), count).await.map_err(&doing)?;
    store.grow_shared_epoch(&mut tx, Changed::Certificates).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)
}

async fn add_certificates(store: &SqlStore, db: &mut AnyConnection, rows: &[Row<'_>]) -> Result<(), StoreError> {
    let statement = "INSERT INTO certificates (id, name, kind, issue_to, current_version, held_issue_to, not_before, not_after,
         origin, status, names, dns_provider, sealed_auth, next_issuance_at, renewal_ask_at, urgency, urgent_at) VALUES ";
    let mut query = sqlx::query(AssertSqlSafe(with_places(statement, rows.len(), 17)));
    for Row { id, version, entry } in rows {
        let application = ApplicationColumns::seal(*id, &entry.application, store.sealer())?;
        let held = &entry.version.held;
        let renewal = entry.renewal.as_microsecond();
        query = query
            .bind(id)
            .bind(&entry.name)
            .bind(Kind::Server.as_str())
            .bind(entry.application.names.first())
            .bind(version)
            .bind(&held.issue_to)
            .bind(held.validity.not_before.as_microsecond())
            .bind(held.validity.not_after.as_microsecond())
            .bind(origin_word(Origin::Apply))
            .bind(status_word(ApplyStatus::IssuanceSuccess))
            .bind(application.names)
            .bind(application.dns_provider)
            .bind(application.sealed_auth)
            .bind(renewal)
            .bind(entry.version.directory.is_some().then_some(renewal))
            .bind(Urgency::Renewal.number())
            .bind(urgent_at(held.validity).as_microsecond());
    }
    query.execute(db).await.map_err(unavailable("add certificates"))?;
    Ok(())
}

async fn add_versions(store: &SqlStore, db: &mut AnyConnection, rows: &[Row<'_>]) -> Result<(), StoreError> {
    let statement =
        "INSERT INTO versions (id, certificate_id, chain, sealed_key, issue_to, not_before, not_after, directory) VALUES ";
    let mut query = sqlx::query(AssertSqlSafe(with_places(statement, rows.len(), 8)));
    for Row { id, version, entry: IssuedEntry { version: held, .. } } in rows {
        query = query
            .bind(version)
            .bind(id)
            .bind(chain_octets(&held.chain))
            .bind(versions::seal_key(store.sealer(), *version, held)?)
            .bind(&held.held.issue_to)
            .bind(held.held.validity.not_before.as_microsecond())
            .bind(held.held.validity.not_after.as_microsecond())
            .bind(&held.directory);
    }
    query.execute(db).await.map_err(unavailable("keep versions"))?;
    Ok(())
}

/// The statement with the places of so many rows of so many columns.
fn with_places(statement: &str, rows: usize, columns: usize) -> String {
    let mut whole = statement.to_owned();
    for row in 0..rows {
        let places = (1..=columns).map(|column| format!("${}", row * columns + column)).collect::<Vec<_>>().join(", ");
        let comma = if row == 0 { "" } else { ", " };
        // Writing to a text does not fail.
        let _ = write!(whole, "{comma}({places})");
    }
    whole
}
