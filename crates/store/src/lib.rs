//! certkeep's durable memory: the port [`certkeep_core::ports::Store`] on SQLite, with every secret sealed.
//!
//! What may not enter: any rule of the domain (the store says what is so, never what ought to happen), any clock (each
//! method is told the time), and SQL that only SQLite understands where a common form exists: a second database has
//! to pass the same contract suite (`tests/it/contract`).
//!
//! Start reading at the schema (`migrations/sqlite`), then `open` (files, locks, keys, migrations), `seal` (how a
//! secret is bound to its place), `rows` (how values become columns), and `issuances` for leases and fences.
//! Writes go one at a time over one connection, each in a transaction that takes the write lock first; reads have
//! connections of their own and never wait for a writer.
mod certificates;
mod clients;
mod error;
mod issuances;
mod key_file;
mod open;
#[cfg(test)]
mod plans;
mod rows;
mod seal;
mod settings;
mod uploads;

use std::fs::File;
use std::sync::Arc;

use certkeep_core::ports::Store;
use sqlx::{Sqlite, SqlitePool, Transaction};

pub use open::{OpenError, Options};

use seal::Sealer;

/// A store in a folder of this machine. Clones share it.
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// One connection: writers queue here and not at the database's lock.
    writer: SqlitePool,
    readers: SqlitePool,
    sealer: Sealer,
    /// Held for as long as the store is open; absent when it is shared.
    _lock: Option<File>,
}

impl Store for SqliteStore {}

impl SqliteStore {
    /// Closes the database once all running transactions have ended; clones stop working.
    pub async fn close(self) {
        self.0.readers.close().await;
        // Last, because the last connection to go folds the write-ahead log into the database.
        self.0.writer.close().await;
    }

    /// A transaction that has the write lock from its first statement on, so that what it reads stays true.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.0.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Where single statements read.
    fn readers(&self) -> &SqlitePool {
        &self.0.readers
    }

    fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }
}
