//! certkeep's durable memory: the port [`certkeep_core::ports::Store`] on SQLite or PostgreSQL, with every secret sealed.
//!
//! What may not enter: any rule of the domain (the store says what is so, never what ought to happen), any clock (each
//! method is told the time; `SqlStore::clock` only shows it), and SQL that only one of the databases understands outside of `dialect`: both pass the same
//! contract suite (`tests/it/contract`).
//!
//! Start reading at the schema (`migrations/sqlite`), then `open` (files, locks, keys, migrations), `seal` (how a
//! secret is bound to its place), `rows` (how values become columns), and `issuances` for leases and fences.
//! Writes of a process go one at a time over one connection, each in a transaction in which what was read stays true;
//! reads have connections of their own and never wait for a writer. An answer that does not come is given up (`line`).
mod again;
mod audit;
mod backup;
mod certificates;
mod clients;
mod copy;
mod dialect;
mod epoch;
mod error;
mod issuances;
mod key_file;
mod line;
mod open;
mod others;
mod overview;
mod people;
#[cfg(test)]
mod plans;
mod renewals;
mod rotate;
mod rows;
mod seal;
mod settings;
mod spendings;
mod uploads;
mod zones;

use std::fs::File;
use std::sync::Arc;

use certkeep_core::time::{Clock, SystemClock};

pub use backup::{BackupError, backup, restore};
pub use certificates::IssuedEntry;
pub use copy::{CopiedTable, CopyError, copy};
pub use open::{InvalidServerUrl, Location, OpenError, Options, ServerUrl, Whereabouts};
pub use rotate::{RotateError, Rotation, rotate_keys};

use dialect::Dialect;
use line::{Pool, Tx};
use others::Others;
use seal::Sealer;

/// A store in a folder of this machine, or in a database of a server. Clones share it.
#[derive(Clone, Debug)]
pub struct SqlStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dialect: Dialect,
    /// One connection: writers queue here and not at the database's lock.
    writer: Pool,
    readers: Pool,
    sealer: Sealer,
    /// Other nodes, where there may be any.
    others: Option<Others>,
    /// Held for as long as the store is open; absent when it is shared.
    lock: Option<File>,
}

impl SqlStore {
    fn new(inner: Inner) -> SqlStore {
        SqlStore(Arc::new(inner))
    }

    /// Closes the database once all running transactions have ended; clones stop working.
    pub async fn close(self) {
        if let Some(others) = &self.0.others {
            others.close(self.writer()).await;
        }
        self.0.readers.close().await;
        // Last, because the last connection to go folds the write-ahead log into the database.
        self.0.writer.close().await;
    }

    /// The time that everybody who uses the store goes by: the machine's, or the one of the database that several machines
    /// share.
    pub fn clock(&self) -> Arc<dyn Clock> {
        match &self.0.others {
            Some(others) => Arc::clone(&others.clock) as Arc<dyn Clock>,
            None => Arc::new(SystemClock),
        }
    }

    /// A transaction in which what it reads stays true until it ends. Whatever is sealed, is sealed within one: until it ends
    /// nobody retires the key.
    async fn write(&self) -> Result<Tx, sqlx::Error> {
        let mut tx = self.0.writer.begin(self.0.dialect.begin()).await?;
        rotate::heed_retired_keys(&mut tx, self.sealer()).await?;
        Ok(tx)
    }

    /// A transaction that reads, all its statements from the same state.
    async fn snapshot(&self) -> Result<Tx, sqlx::Error> {
        self.0.readers.begin(self.0.dialect.begin_snapshot()).await
    }

    /// Where single statements write.
    fn writer(&self) -> &Pool {
        &self.0.writer
    }

    /// Where single statements read.
    fn readers(&self) -> &Pool {
        &self.0.readers
    }

    /// Whether nobody else serves the store or changes it unseen.
    fn is_alone(&self) -> bool {
        self.0.lock.is_some()
    }

    fn dialect(&self) -> Dialect {
        self.0.dialect
    }

    fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }
}
