//! Who did what, in a chain. The row of its end is changed with every entry: two nodes that add at once wait for each other.
use async_trait::async_trait;
use certkeep_core::audit::{Deed, Entry, Head, Link};
use certkeep_core::ports::{Audit, AuditRange, StoreError};
use sqlx::AnyConnection;

use crate::SqlStore;
use crate::again::{commit, repeated};
use crate::error::{corrupt, unavailable};
use crate::rows::{from_columns, instant};

const TABLE: &str = "audit";

struct EntryRow {
    sequence: i64,
    at: i64,
    actor_kind: String,
    actor: String,
    address: String,
    action: String,
    subject: String,
    outcome: String,
    detail: String,
    link: Vec<u8>,
}

from_columns!(EntryRow { sequence, at, actor_kind, actor, address, action, subject, outcome, detail, link });

impl EntryRow {
    fn entry(self) -> Result<Entry, StoreError> {
        Ok(Entry {
            sequence: self.sequence,
            at: instant(TABLE, self.sequence, self.at)?,
            actor_kind: self.actor_kind,
            actor: self.actor,
            address: self.address,
            action: self.action,
            subject: self.subject,
            outcome: self.outcome,
            detail: self.detail,
            link: link(self.sequence, self.link)?,
        })
    }
}

fn link(sequence: i64, octets: Vec<u8>) -> Result<Link, StoreError> {
    Link::try_from(octets).map_err(|_| corrupt(TABLE, sequence, "link is no digest"))
}

async fn add(store: &SqlStore, deed: &Deed) -> Result<Entry, StoreError> {
    let doing = unavailable("add to the audit");
    let mut tx = store.write().await.map_err(&doing)?;
    // Changed before it is read: whoever else wants to add has to wait.
    let last: i64 = sqlx::query_scalar("UPDATE audit_head SET sequence = sequence + 1 WHERE id = 1 RETURNING sequence - 1")
        .fetch_one(&mut *tx)
        .await
        .map_err(&doing)?;
    let before = head(&mut tx).await.map_err(&doing)?.1;
    let entry = Entry::after(last, &link(last, before)?, deed);
    sqlx::query("UPDATE audit_head SET link = $1 WHERE id = 1")
        .bind(entry.link.as_slice())
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    sqlx::query(
        "INSERT INTO audit (sequence, at, actor_kind, actor, address, action, subject, outcome, detail, link)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(entry.sequence)
    .bind(entry.at.as_microsecond())
    .bind(&entry.actor_kind)
    .bind(&entry.actor)
    .bind(&entry.address)
    .bind(&entry.action)
    .bind(&entry.subject)
    .bind(&entry.outcome)
    .bind(&entry.detail)
    .bind(entry.link.as_slice())
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(entry)
}

async fn head(db: &mut AnyConnection) -> Result<(i64, Vec<u8>), sqlx::Error> {
    sqlx::query_as("SELECT sequence, link FROM audit_head WHERE id = 1").fetch_one(db).await
}

#[async_trait]
impl Audit for SqlStore {
    async fn add_audit(&self, deed: &Deed) -> Result<Entry, StoreError> {
        repeated(|| add(self, deed)).await
    }

    async fn audit(&self, range: AuditRange, most: u32) -> Result<Vec<Entry>, StoreError> {
        let (bound, statement) = match range {
            AuditRange::After(sequence) => (sequence, "SELECT * FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2"),
            AuditRange::Before(sequence) => (sequence, "SELECT * FROM audit WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2"),
        };
        let rows: Vec<EntryRow> = sqlx::query_as(statement)
            .bind(bound)
            .bind(i64::from(most))
            .fetch_all(self.readers())
            .await
            .map_err(unavailable("read the audit"))?;
        rows.into_iter().map(EntryRow::entry).collect()
    }

    async fn audit_head(&self) -> Result<Head, StoreError> {
        let doing = unavailable("read the end of the audit");
        let mut db = self.readers().acquire().await.map_err(&doing)?;
        let (sequence, octets) = head(&mut db).await.map_err(&doing)?;
        Ok(Head { sequence, link: link(sequence, octets)? })
    }
}
