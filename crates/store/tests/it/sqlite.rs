//! What is SQLite's own: files, keys, locks, schema, query plans, damaged rows.
mod audit;
mod files;
mod keys;
mod unreadable;

use std::path::Path;
use std::sync::Arc;

use certkeep_store::{Options, SqlStore};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use crate::contract::Opened;

pub(crate) fn options(folder: &Path) -> Options {
    Options { folder: folder.to_owned(), key_file: None }
}

/// An empty store in a folder of its own.
pub(crate) async fn opened() -> Opened {
    let folder = TempDir::new().unwrap();
    let store = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    Opened { store: Arc::new(store), _alive: Box::new(folder) }
}

/// The database without the store around it.
async fn raw(folder: &Path) -> SqlitePool {
    SqlitePool::connect_with(SqliteConnectOptions::new().filename(folder.join("certkeep.db"))).await.unwrap()
}
