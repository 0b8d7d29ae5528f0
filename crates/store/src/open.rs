//! Opening a data folder: its locks, its key, its schema.
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::future;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqlStr, SqlitePool};

use crate::issuances::leases;
use crate::key_file::{self, KeyFileError};
use crate::seal::{KeyId, Place, Sealer, SealingKey};
use crate::{Inner, SqliteStore};

/// The schema's versions, in order: what they are called, and their statements. One that was released is never changed.
const MIGRATIONS: [(&str, &str); 1] = [("first", include_str!("../migrations/sqlite/0001_first.sql"))];

/// The database's file in the data folder.
const DATABASE: &str = "certkeep.db";
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
/// What is sealed under each key, to recognise it by.
const CHECK: &[u8] = b"certkeep";

/// Where the store is.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data folder; made when it is not there.
    pub folder: PathBuf,
    /// The file with the sealing keys, when it is not `sealing.key` in the folder; made at the first start.
    pub key_file: Option<PathBuf>,
}

impl Options {
    fn key_file(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.folder.join(KEY_FILE))
    }
}

/// Why a data folder cannot be opened: each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server holds the folder.
    #[error("another certkeep serves the data folder {} already: stop it, or name another folder with --data", .0.display())]
    Busy(PathBuf),
    /// The database does not open, or is damaged.
    #[error("the database {} cannot be opened: put back a copy of the data folder if it is damaged", .path.display())]
    Database {
        /// Its file.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The folder, or a file in it, cannot be made or written.
    #[error("the data folder {} cannot be written: give this user the right to write there, or name another folder with --data", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the machine said.
        #[source]
        source: io::Error,
    },
    /// The key file cannot be read, or made.
    #[error("the key file {} cannot be read or made: give this user the right to read it, or correct [store] key_file", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the machine said.
        #[source]
        source: io::Error,
    },
    /// The key file holds something else than keys.
    #[error("the key file {} is damaged in line {line}: put back your copy of it", .path.display())]
    KeyFileDamaged {
        /// The file.
        path: PathBuf,
        /// From 1; 0 where it holds no key at all.
        line: usize,
    },
    /// The store holds sealed data and there is no key file.
    #[error("the data folder {} was sealed with a key that is not there: put {} back, or name the key file with [store] key_file", .folder.display(), .path.display())]
    KeyMissing {
        /// The data folder.
        folder: PathBuf,
        /// Where the key was looked for.
        path: PathBuf,
    },
    /// The store was written by a newer certkeep.
    #[error("the data folder {} was written by a newer certkeep (schema {version}): start that one, or put back a copy of the folder from before", .folder.display())]
    NewerSchema {
        /// The data folder.
        folder: PathBuf,
        /// The schema version that this certkeep does not know.
        version: i64,
    },
    /// The schema could not be brought up to date.
    #[error("the schema of the database {} cannot be brought up to date: put back a copy of the data folder, and report this", .path.display())]
    Schema {
        /// The database's file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: MigrateError,
    },
    /// The key file does not hold the key that sealed the data.
    #[error("the data folder {} was sealed with another key than those in {}: put the right key file there, or name it with [store] key_file", .folder.display(), .path.display())]
    WrongKey {
        /// The data folder.
        folder: PathBuf,
        /// The file that was read.
        path: PathBuf,
    },
}

impl SqliteStore {
    /// Opens the folder for a server. Nobody else may serve it until the store is closed or its last clone dropped;
    /// leases that an earlier server held are void.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing sealed was touched then.
    pub async fn open_exclusive(options: &Options) -> Result<SqliteStore, OpenError> {
        make_folder(&options.folder)?;
        let lock = lock_file(&options.folder, SERVER_LOCK)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Busy(options.folder.clone())),
            Err(TryLockError::Error(source)) => return Err(folder_error(&options.folder)(source)),
        }
        let store = open(options, Some(lock)).await?;
        let voided = leases::void_leases(&store).await;
        voided.map_err(|e| OpenError::Database { path: options.folder.join(DATABASE), source: Box::new(e) })?;
        Ok(store)
    }

    /// Opens the folder for a short command, beside a server or before the first start.
    ///
    /// # Errors
    /// See [`OpenError`]; never `Busy`.
    pub async fn open_shared(options: &Options) -> Result<SqliteStore, OpenError> {
        make_folder(&options.folder)?;
        open(options, None).await
    }
}

async fn open(options: &Options, lock: Option<File>) -> Result<SqliteStore, OpenError> {
    let opening = lock_file(&options.folder, OPENING_LOCK)?;
    // Waits for as long as another process opens the folder, hence off the runtime's own threads.
    let opening = tokio::task::spawn_blocking(move || opening.lock().map(|()| opening))
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(folder_error(&options.folder))?;
    let path = options.folder.join(DATABASE);
    // SQLite would make it readable by others; its journals take after it.
    open_private(&path).map_err(folder_error(&options.folder))?;
    let writer = writer(&path).await.map_err(|e| OpenError::Database { path: path.clone(), source: Box::new(e) })?;
    let ready = prepare(options, &path, &writer).await;
    let sealer = match ready {
        Ok(sealer) => sealer,
        Err(e) => {
            writer.close().await;
            return Err(e);
        }
    };
    drop(opening);
    Ok(SqliteStore(Arc::new(Inner { writer, readers: readers(&path), sealer, _lock: lock })))
}

fn migrator() -> Migrator {
    let versions = MIGRATIONS.iter().zip(1..);
    let versions = versions.map(|((name, statements), version)| {
        Migration::new(version, (*name).into(), MigrationType::Simple, SqlStr::from_static(statements), false)
    });
    Migrator::with_migrations(versions.collect())
}

/// Brings the schema up to date and makes sure that the keys are the right ones.
async fn prepare(options: &Options, path: &Path, writer: &SqlitePool) -> Result<Sealer, OpenError> {
    migrator().run(writer).await.map_err(|e| match e {
        MigrateError::VersionMissing(version) => OpenError::NewerSchema { folder: options.folder.clone(), version },
        MigrateError::Execute(e) => OpenError::Database { path: path.to_owned(), source: Box::new(e) },
        source => OpenError::Schema { path: path.to_owned(), source },
    })?;
    let failed = |e: sqlx::Error| OpenError::Database { path: path.to_owned(), source: Box::new(e) };
    let used: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT id, sealed_check FROM sealing_keys ORDER BY id").fetch_all(writer).await.map_err(failed)?;
    let key_file = options.key_file();
    let keys = keys(options, &key_file, used.is_empty())?;
    let wrong = || OpenError::WrongKey { folder: options.folder.clone(), path: key_file.clone() };
    let sealer = Sealer::new(&keys).ok_or_else(wrong)?;
    for (id, sealed) in &used {
        let row = id.to_string();
        if !sealer.open(check_place(&row), sealed).is_ok_and(|plain| plain.as_slice() == CHECK) {
            return Err(wrong());
        }
    }
    let KeyId(active) = sealer.active();
    let active = i64::from(active);
    if !used.iter().any(|(id, _)| *id == active) {
        let sealed = sealer.seal(check_place(&active.to_string()), CHECK).map_err(|_| wrong())?;
        sqlx::query("INSERT INTO sealing_keys (id, sealed_check) VALUES ($1, $2)")
            .bind(active)
            .bind(sealed)
            .execute(writer)
            .await
            .map_err(failed)?;
    }
    Ok(sealer)
}

fn check_place(row: &str) -> Place<'_> {
    Place { table: "sealing_keys", column: "sealed_check", row }
}

/// The keys of the file; made when nothing was ever sealed.
fn keys(options: &Options, path: &Path, may_make: bool) -> Result<Vec<SealingKey>, OpenError> {
    let keys = match key_file::read(path) {
        Ok(None) if may_make => key_file::make(path).map(Some),
        other => other,
    };
    keys.map_err(|e| match e {
        KeyFileError::Io(source) => OpenError::KeyFile { path: path.to_owned(), source },
        KeyFileError::Line(line) => OpenError::KeyFileDamaged { path: path.to_owned(), line },
    })?
    .ok_or_else(|| OpenError::KeyMissing { folder: options.folder.clone(), path: path.to_owned() })
}

/// What every connection is told.
fn connection(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(PATIENCE)
}

/// The only connection that writes. What it answered survives a loss of power (`synchronous = FULL`); what it deleted
/// is overwritten.
async fn writer(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options =
        connection(path).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full).pragma("secure_delete", "ON");
    lasting(1).connect_with(options).await
}

/// Connections that read, opened when they are needed.
fn readers(path: &Path) -> SqlitePool {
    lasting(READERS).connect_lazy_with(connection(path).pragma("query_only", "ON"))
}

/// A pool whose connections stay: a file does not go away, and a new connection prepares every statement again.
///
/// But for one: what a full disk breaks off, SQLite rolls back itself. sqlx takes that transaction for a running one ever
/// after, and begins no other in its connection.
fn lasting(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(future::ready(Ok(!connection.is_in_transaction()))))
}

fn make_folder(folder: &Path) -> Result<(), OpenError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(folder_error(folder))
}

fn lock_file(folder: &Path, name: &str) -> Result<File, OpenError> {
    open_private(&folder.join(name)).map_err(folder_error(folder))
}

/// Opens a file for writing; a new one is its owner's alone.
fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn folder_error(folder: &Path) -> impl Fn(io::Error) -> OpenError {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    move |source| OpenError::Folder { folder: folder.clone(), source }
}
