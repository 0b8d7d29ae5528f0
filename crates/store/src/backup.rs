//! Backups of a data folder, taken while a service runs, and what becomes of them.
//!
//! A backup holds the database as it was at one instant and the sealing keys, sealed under a passphrase: whoever has both
//! has everything. Neither it nor what is restored from it is ever half there under its name.
mod sealed;

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use certkeep_core::ports::StoreError;
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::SqlStore;
use crate::error::unavailable;
use crate::key_file;
use crate::open::{DATABASE, Location, OpenError, Options, make_folder, open_private};
use crate::rotate::{self, RotateError};

use sealed::{FileKey, SealedError};

/// The copy of the database in the data folder, for as long as it is read.
const COPY: &str = "backup.db.new";
/// Where a backup is unpacked in the data folder, until it is found to be good.
const STAGE: &str = "restoring";

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A part of it was changed or is missing.
    #[error("the backup {} is damaged: take another one", .0.display())]
    Damaged(PathBuf),
    /// There is something already, which would be lost.
    #[error("{} is there already: certkeep replaces nothing", .0.display())]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("{} cannot be read or written", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the machine said.
        #[source]
        source: io::Error,
    },
    /// It was not made by certkeep, or by a newer one.
    #[error("{} is no backup that this certkeep knows", .0.display())]
    NoBackup(PathBuf),
    /// There is nothing to back up.
    #[error("there is no store in the data folder {}", .0.display())]
    Nothing(PathBuf),
    /// A store does not open: the one in the folder, or the one in the backup.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It opens with another passphrase.
    #[error("the backup {} does not open: the passphrase is wrong, or its beginning is damaged", .0.display())]
    Passphrase(PathBuf),
    /// The keys and the key file cannot be read together now.
    #[error(transparent)]
    Rotating(#[from] RotateError),
    /// The data is not in the folder.
    #[error("the data is in PostgreSQL: back it up with pg_dump, and keep a copy of the key file with it")]
    Server,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes a backup of a data folder into a new file. A service may run on the folder meanwhile.
///
/// # Errors
/// See [`BackupError`]; there is no file then.
pub async fn backup(location: &Location, file: &Path, passphrase: &SecretString) -> Result<(), BackupError> {
    if location.server.is_some() {
        return Err(BackupError::Server);
    }
    let folder = &location.options.folder;
    if !folder.join(DATABASE).exists() {
        return Err(BackupError::Nothing(folder.clone()));
    }
    if file.exists() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    // The keys stay as they are until both are read.
    let _lock = rotate::lock(folder)?;
    let copy = Removed(folder.join(COPY));
    let store = location.visit().await?;
    let copied = copy_database(&store, &copy.0).await;
    store.close().await;
    copied?;
    let keys = key_file::text(&rotate::read(&location.options.key_file())?);
    let draft = Removed(beside(file));
    write(&copy.0, &keys, &draft.0, passphrase).map_err(told_of(file))?;
    fs::rename(&draft.0, file).map_err(at(file))?;
    key_file::sync_folder_of(file).map_err(at(file))
}

async fn copy_database(store: &SqlStore, copy: &Path) -> Result<(), BackupError> {
    remove(copy).map_err(at(copy))?;
    // SQLite would make it readable by others.
    open_private(copy).map_err(at(copy))?;
    let path = copy.to_str().ok_or_else(|| at(copy)(io::ErrorKind::InvalidFilename.into()))?;
    let copied = sqlx::query("VACUUM INTO $1").bind(path).execute(store.writer()).await;
    copied.map_err(unavailable("copy the database"))?;
    Ok(())
}

fn write(copy: &Path, keys: &str, draft: &Path, passphrase: &SecretString) -> Result<(), SealedError> {
    remove(draft)?;
    let mut file = BufWriter::new(open_private(draft)?);
    let length = u32::try_from(keys.len()).map_err(io::Error::other)?.to_be_bytes();
    let mut from = length.as_slice().chain(keys.as_bytes()).chain(BufReader::new(File::open(copy)?));
    FileKey::make(passphrase)?.seal(&mut from, &mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(())
}

/// Puts what a backup holds into a data folder that holds no data. All of it was read, authenticated and opened before
/// anything stands there under its name.
///
/// # Errors
/// See [`BackupError`]. There is no store in the folder then, or one that does not start without its key file.
pub async fn restore(file: &Path, location: &Location, passphrase: &SecretString) -> Result<(), BackupError> {
    if location.server.is_some() {
        return Err(BackupError::Server);
    }
    let (database, keys) = (location.options.folder.join(DATABASE), location.options.key_file());
    for path in [&database, &keys] {
        if path.exists() {
            return Err(BackupError::Exists(path.clone()));
        }
    }
    let told = told_of(file);
    let mut from = BufReader::new(File::open(file).map_err(at(file))?);
    let key = FileKey::read(&mut from, passphrase).map_err(&told)?;
    key.open(&mut from, &mut io::sink()).map_err(&told)?;

    let stage = location.options.folder.join(STAGE);
    make_folder(&stage)?;
    let restored = unpack_and_move(file, &key, &stage, &database, &keys).await;
    let removed = fs::remove_dir_all(&stage);
    restored?;
    removed.map_err(at(&stage))
}

async fn unpack_and_move(file: &Path, key: &FileKey, stage: &Path, database: &Path, keys: &Path) -> Result<(), BackupError> {
    let staged = Options { folder: stage.to_owned(), key_file: None };
    let copy = stage.join(DATABASE);
    for path in [&copy, &staged.key_file()] {
        remove(path).map_err(at(path))?;
    }
    unpack(file, key, &copy, &staged.key_file()).map_err(told_of(file))?;
    let store = SqlStore::open_exclusive(&staged).await?;
    let found: Result<String, _> = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(store.readers()).await;
    store.close().await;
    if found.map_err(unavailable("check the backup"))? != "ok" {
        return Err(BackupError::Damaged(file.to_owned()));
    }
    // The database first: without its keys it does not start, and is not taken for an empty one.
    fs::rename(&copy, database).map_err(at(database))?;
    key_file::sync_folder_of(database).map_err(at(database))?;
    key_file::make_with(keys, &rotate::read(&staged.key_file())?).map_err(at(keys))
}

fn unpack(file: &Path, key: &FileKey, copy: &Path, keys: &Path) -> Result<(), SealedError> {
    let mut from = BufReader::new(File::open(file)?);
    from.read_exact(&mut [0; sealed::HEAD_LEN])?;
    let mut parts = Parts { head: Zeroizing::new(Vec::new()), keys, database: BufWriter::new(open_private(copy)?), split: false };
    key.open(&mut from, &mut parts)?;
    if !parts.split {
        return Err(SealedError::Damaged);
    }
    parts.database.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(())
}

/// Sends the keys into their file, and what follows them into the database.
struct Parts<'a> {
    head: Zeroizing<Vec<u8>>,
    keys: &'a Path,
    database: BufWriter<File>,
    split: bool,
}

impl Write for Parts<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.split {
            return self.database.write(octets);
        }
        self.head.extend_from_slice(octets);
        let Some((length, rest)) = self.head.split_first_chunk::<4>() else { return Ok(octets.len()) };
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?;
        if let Some((keys, database)) = rest.split_at_checked(length) {
            let mut file = open_private(self.keys)?;
            file.write_all(keys)?;
            file.sync_all()?;
            self.database.write_all(database)?;
            self.split = true;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.database.flush()
    }
}

/// A file that goes with this value, if it is still there.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // The next one that is made replaces it.
        let _ = fs::remove_file(&self.0);
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    file.with_file_name(name)
}

fn at(path: &Path) -> impl Fn(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path: path.clone(), source }
}

fn told_of(file: &Path) -> impl Fn(SealedError) -> BackupError {
    let path = file.to_owned();
    move |error| match error {
        SealedError::Damaged => BackupError::Damaged(path.clone()),
        SealedError::Io(source) => BackupError::Io { path: path.clone(), source },
        SealedError::NoBackup => BackupError::NoBackup(path.clone()),
        SealedError::Passphrase => BackupError::Passphrase(path.clone()),
    }
}
