//! What is PostgreSQL's own: nodes side by side, a server that comes and goes.
mod idle;
mod keys;
mod late;
mod nodes;
mod server;
mod zones;

use std::path::Path;
use std::sync::Arc;

use certkeep_store::{Options, ServerUrl, SqlStore};
use certkeep_testkit::peers::PostgresDatabase;
use secrecy::SecretString;
use sqlx::PgPool;
use tempfile::TempDir;

use crate::contract::Opened;

pub(crate) fn address(url: String) -> ServerUrl {
    ServerUrl::new(&SecretString::from(url)).unwrap()
}

pub(crate) fn options(folder: &Path) -> Options {
    Options { folder: folder.to_owned(), key_file: None }
}

/// An empty store in a database of its own.
pub(crate) async fn opened() -> Opened {
    let (database, folder) = (PostgresDatabase::make().await, TempDir::new().unwrap());
    let store = SqlStore::open_server(&address(database.url()), &options(folder.path())).await.unwrap();
    Opened { store: Arc::new(store), _alive: Box::new((database, folder)) }
}

/// The database without the store around it.
pub(crate) async fn raw(database: &PostgresDatabase) -> PgPool {
    PgPool::connect(&database.url()).await.unwrap()
}
