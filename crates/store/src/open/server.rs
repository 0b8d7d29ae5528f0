//! A database of a PostgreSQL server, which other nodes may use as well.
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::Executor;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::postgres::PgConnectOptions;

use super::folder::make_folder;
use super::{Connected, OpenError, Opening, Options, Whereabouts, migrate};
use crate::SqlStore;
use crate::again::{Cause, until_through};
use crate::dialect::Dialect;
use crate::line::Pool;
use crate::others::{Others, ServerClock};

/// How long to wait for a connection.
const PATIENCE: Duration = Duration::from_secs(3);
/// Connections that read, one of which looks for what other nodes changed.
const READERS: u32 = 5;

/// What the connection that writes is told: that what a statement read stays true until it ends, and that a node which
/// is gone or stopped in the midst of a transaction holds up the others for so long and no longer.
const WRITER: &str = "SET default_transaction_isolation = 'serializable'; SET statement_timeout = '10s'; \
                      SET idle_in_transaction_session_timeout = '10s'";
/// What the others are told.
const READER: &str = "SET default_transaction_read_only = on; SET statement_timeout = '10s'";

/// Where a database is, as `postgres://user:password@host:port/database`. The password may be in PGPASSWORD or in the file
/// that PGPASSFILE names instead.
#[derive(Clone)]
pub struct ServerUrl {
    pub(crate) url: SecretString,
    pub(super) name: String,
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerUrl").field("name", &self.name).finish_non_exhaustive()
    }
}

/// It names no database of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the address of a PostgreSQL database: \"postgres://user:password@host/database\"")]
pub struct InvalidServerUrl;

impl ServerUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// It names no database.
    pub fn new(url: &SecretString) -> Result<ServerUrl, InvalidServerUrl> {
        let text = url.expose_secret();
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(InvalidServerUrl);
        }
        let options = PgConnectOptions::from_str(text).map_err(|_| InvalidServerUrl)?;
        let database = options.get_database().ok_or(InvalidServerUrl)?;
        let name = format!("{database} at {}:{}", options.get_host(), options.get_port());
        Ok(ServerUrl { url: url.clone(), name })
    }
}

impl SqlStore {
    /// Opens a database that any number of nodes may serve at once, with the keys of a data folder.
    ///
    /// # Errors
    /// See [`OpenError`]; never `Busy`.
    pub async fn open_server(url: &ServerUrl, options: &Options) -> Result<SqlStore, OpenError> {
        // Nodes that start at the same time make the schema and find each other's keys by turns.
        until_through(|| async { connect_once(url, options).await?.store().await }).await
    }
}

/// Connects; the schema is there then.
pub(super) async fn connect(url: &ServerUrl, options: &Options) -> Result<Connected, OpenError> {
    until_through(|| connect_once(url, options)).await
}

async fn connect_once(url: &ServerUrl, options: &Options) -> Result<Connected, OpenError> {
    make_folder(&options.folder)?;
    let opening =
        Opening { store: Whereabouts::Server(url.name.clone()), dialect: Dialect::Postgres, key_file: options.key_file() };
    let failed = |e: sqlx::Error| opening.database(e);
    sqlx::any::install_default_drivers();
    let connection = AnyConnectOptions::from_str(url.url.expose_secret()).map_err(failed)?;
    let writer = pool(1, WRITER).connect_with(connection.clone()).await.map(Pool::new).map_err(failed)?;
    if let Err(error) = migrate(&opening, &writer).await {
        // The connection may hold a lock that the migrations took.
        writer.close().await;
        return Err(error);
    }
    let clock = ServerClock::new(&writer).await.map_err(failed)?;
    let readers = Pool::new(pool(READERS, READER).connect_lazy_with(connection));
    let others = Some(Others::new(url.clone(), clock));
    Ok(Connected { opening, writer, readers, others, lock: None, starting: None })
}

/// A pool whose connections are each told `settings` first. One that the server ended meanwhile is found out before it is
/// used.
fn pool(connections: u32, settings: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(true)
        .after_connect(move |connection, _| Box::pin(async move { connection.execute(settings).await.map(|_| ()) }))
}

impl Cause for OpenError {
    fn cause(&self) -> Option<&sqlx::Error> {
        use sqlx::migrate::MigrateError;
        match self {
            OpenError::Database { source, .. } => source.downcast_ref(),
            OpenError::Schema { source: MigrateError::ExecuteMigration(error, _), .. } => Some(error),
            _ => None,
        }
    }
}
