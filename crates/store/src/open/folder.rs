//! A data folder: its locks and its SQLite database.
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

use super::{Connected, OpenError, Opening, Whereabouts, migrate};
use crate::SqlStore;
use crate::dialect::Dialect;
use crate::issuances::leases;
use crate::line::Pool;

/// The database's file in the data folder.
pub(crate) const DATABASE: &str = "certkeep.db";
/// Locked for as long as a server runs.
const SERVER_LOCK: &str = "certkeep.lock";
/// Locked while somebody opens the folder, so that its key and its schema are made once.
const OPENING_LOCK: &str = "opening.lock";
/// The key file where none is named.
const KEY_FILE: &str = "sealing.key";
/// How long a statement waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that read.
const READERS: u32 = 4;

/// What the only connection that writes is told. What it answered survives a loss of power (`synchronous = FULL`); what
/// it deleted is overwritten.
const WRITER: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON";
/// What the others are told.
const READER: &str = "PRAGMA query_only = ON";

/// Where a data folder is.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data folder; made when it is not there.
    pub folder: PathBuf,
    /// The file with the sealing keys, when it is not `sealing.key` in the folder; made at the first start.
    pub key_file: Option<PathBuf>,
}

impl Options {
    pub(crate) fn key_file(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.folder.join(KEY_FILE))
    }
}

impl SqlStore {
    /// Opens the folder for a server. Nobody else may serve it until the store is closed or its last clone dropped;
    /// leases that an earlier server held are void.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing sealed was touched then.
    pub async fn open_exclusive(options: &Options) -> Result<SqlStore, OpenError> {
        make_folder(&options.folder)?;
        let lock = server_lock(options)?;
        let store = open(options, Some(lock)).await?;
        let voided = leases::void_leases(&store).await;
        let whereabouts = Whereabouts::Folder(options.folder.clone());
        voided.map_err(|e| OpenError::Database { store: whereabouts, source: Box::new(e) })?;
        Ok(store)
    }

    /// Opens the folder for a short command, beside a server or before the first start.
    ///
    /// # Errors
    /// See [`OpenError`]; never `Busy`.
    pub async fn open_shared(options: &Options) -> Result<SqlStore, OpenError> {
        make_folder(&options.folder)?;
        open(options, None).await
    }
}

async fn open(options: &Options, lock: Option<File>) -> Result<SqlStore, OpenError> {
    connect(options, lock).await?.store().await
}

/// Connects as a server does, which nobody else may be then.
pub(super) async fn connect_alone(options: &Options) -> Result<Connected, OpenError> {
    make_folder(&options.folder)?;
    let lock = server_lock(options)?;
    connect(options, Some(lock)).await
}

/// Whether somebody has opened the folder before.
pub(super) fn has_database(options: &Options) -> bool {
    options.folder.join(DATABASE).exists()
}

fn server_lock(options: &Options) -> Result<File, OpenError> {
    let lock = lock_file(&options.folder, SERVER_LOCK)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Busy(options.folder.clone())),
        Err(TryLockError::Error(source)) => Err(folder_error(&options.folder)(source)),
    }
}

async fn connect(options: &Options, lock: Option<File>) -> Result<Connected, OpenError> {
    let starting = lock_file(&options.folder, OPENING_LOCK)?;
    // Waits for as long as another process opens the folder, hence off the runtime's own threads.
    let starting = tokio::task::spawn_blocking(move || starting.lock().map(|()| starting))
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(folder_error(&options.folder))?;
    let path = options.folder.join(DATABASE);
    // SQLite would make it readable by others; its journals take after it.
    open_private(&path).map_err(folder_error(&options.folder))?;
    let opening =
        Opening { store: Whereabouts::Folder(options.folder.clone()), dialect: Dialect::Sqlite, key_file: options.key_file() };
    let failed = |e: sqlx::Error| opening.database(e);
    let connection = connection(&path).map_err(failed)?;
    let writer = lasting(1, WRITER).connect_with(connection.clone()).await.map(Pool::new).map_err(failed)?;
    if let Err(error) = migrate(&opening, &writer).await {
        writer.close().await;
        return Err(error);
    }
    let readers = Pool::new(lasting(READERS, READER).connect_lazy_with(connection));
    Ok(Connected { opening, writer, readers, others: None, lock, starting: Some(starting) })
}

/// What every connection is told.
fn connection(path: &Path) -> Result<AnyConnectOptions, sqlx::Error> {
    sqlx::any::install_default_drivers();
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(PATIENCE);
    AnyConnectOptions::from_url(&options.to_url_lossy())
}

/// A pool whose connections stay: a file does not go away, and a new connection prepares every statement again. Each
/// is told `pragmas` first.
fn lasting(connections: u32, pragmas: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(move |connection, _| Box::pin(async move { connection.execute(pragmas).await.map(|_| ()) }))
}

pub(crate) fn make_folder(folder: &Path) -> Result<(), OpenError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(folder_error(folder))
}

fn lock_file(folder: &Path, name: &str) -> Result<File, OpenError> {
    open_private(&folder.join(name)).map_err(folder_error(folder))
}

/// Opens a file for writing; a new one is its owner's alone.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn folder_error(folder: &Path) -> impl Fn(io::Error) -> OpenError {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    move |source| OpenError::Folder { folder: folder.clone(), source }
}
