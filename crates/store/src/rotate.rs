//! Rotation of the sealing keys while services run.
//!
//! The new key is put first into the key file; the old ones are retired, and whatever they sealed is sealed anew, a few
//! rows at a time. A service whose key was retired finds it out in its next transaction, for each of them looks whether its
//! key may still seal, and reads the key file again. So nothing is sealed under an old key once it is retired, however long
//! a process slept, and when every row was looked at after that, the old key is needed no more.
mod again;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use certkeep_core::ports::StoreError;
use sqlx::AnyConnection;

use crate::SqlStore;
use crate::again::{commit, repeated};
use crate::error::unavailable;
use crate::key_file::{self, KeyFileError};
use crate::open::{Location, OpenError};
use crate::seal::{KeyId, Sealer, SealingKey};

/// Locked while somebody rotates.
const LOCK: &str = "rotation.lock";

/// Why the keys were not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The key file cannot be read or written.
    #[error("the key file {} cannot be replaced: give this user the right to read it and to write beside it", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the machine said.
        #[source]
        source: io::Error,
    },
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed, or holds what does not open. What was done stays; the next rotation goes on from there.
    #[error("the rotation was broken off and goes on when it is begun again")]
    Store(#[from] StoreError),
    /// Another process rotates them, or reads them for a backup or a copy.
    #[error("the keys are being rotated, or a backup or a copy is being made: do it again later")]
    UnderWay,
}

/// How far a rotation came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Everything is sealed under the new key.
    Done {
        /// The new key's id.
        key: String,
        /// How many values were sealed anew.
        sealed: u64,
        /// The old keys' ids. They are in the file no more.
        dropped: Vec<String>,
    },
    /// The new key is in the file and seals nothing yet: every node has to know it first.
    Waiting {
        /// The new key's id.
        key: String,
        /// The file.
        key_file: PathBuf,
    },
}

/// Seals everything under a new key, or goes on with a rotation that was broken off. Services may run meanwhile.
///
/// Where several nodes may serve the store, each has a key file of its own. The first call only puts the new key into ours;
/// `everywhere` says that it is in every node's since.
///
/// # Errors
/// See [`RotateError`]. Whatever was sealed still opens with the keys that are in the file then.
pub async fn rotate_keys(location: &Location, everywhere: bool) -> Result<Rotation, RotateError> {
    let store = location.visit().await?;
    let _lock = lock(&location.options.folder)?;
    let path = location.options.key_file();
    let waiting = begin(location, &store, &path, everywhere).await;
    store.close().await;
    if let Some(key) = waiting? {
        return Ok(Rotation::Waiting { key: key.to_string(), key_file: path });
    }
    // Opened anew, with the new key.
    let store = location.visit().await?;
    let done = finish(&store, &path).await;
    store.close().await;
    done
}

/// Puts the new key into the file, unless a rotation is under way; answers its id when it has to wait there.
async fn begin(location: &Location, store: &SqlStore, path: &Path, everywhere: bool) -> Result<Option<KeyId>, RotateError> {
    let doing = unavailable("read which keys are used");
    let mut tx = store.snapshot().await.map_err(&doing)?;
    let used = used(&mut tx).await.map_err(&doing)?;
    let retired = retired(&mut tx).await.map_err(&doing)?;
    tx.commit().await.map_err(&doing)?;
    if used.len() > 1 {
        return Ok(None);
    }
    let (mut keys, others): (Vec<_>, Vec<_>) = read(path)?.into_iter().partition(|key| used.contains(&key.id));
    let waiting = others.into_iter().find(|key| !retired.contains(&key.id));
    let goes_on = location.server.is_none() || (everywhere && waiting.is_some());
    let new = match waiting {
        Some(key) if !goes_on => return Ok(Some(key.id)),
        Some(key) => key,
        None => key_file::draw().map_err(failed_at(path))?,
    };
    let id = new.id;
    keys.insert(if goes_on { 0 } else { keys.len() }, new);
    key_file::replace(path, &keys).map_err(failed_at(path))?;
    Ok((!goes_on).then_some(id))
}

async fn finish(store: &SqlStore, path: &Path) -> Result<Rotation, RotateError> {
    repeated(|| retire(store)).await?;
    let sealed = again::seal_all(store).await?;
    repeated(|| forget(store)).await?;
    let retired = retired(&mut *store.readers().acquire().await.map_err(unavailable("read which keys are used"))?)
        .await
        .map_err(unavailable("read which keys are used"))?;
    let (dropped, kept): (Vec<_>, Vec<_>) = read(path)?.into_iter().partition(|key| retired.contains(&key.id));
    if !dropped.is_empty() {
        key_file::replace(path, &kept).map_err(failed_at(path))?;
    }
    let dropped = dropped.iter().map(|key| key.id.to_string()).collect();
    Ok(Rotation::Done { key: store.sealer().active().to_string(), sealed, dropped })
}

/// Has nothing sealed any more under another key than the first one of the file.
async fn retire(store: &SqlStore) -> Result<(), StoreError> {
    let doing = unavailable("retire keys");
    let mut tx = store.write().await.map_err(&doing)?;
    sqlx::query("INSERT INTO retired_keys (id) SELECT id FROM sealing_keys WHERE id <> $1 ON CONFLICT (id) DO NOTHING")
        .bind(i64::from(store.sealer().active().0))
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    commit(tx).await.map_err(&doing)
}

/// Lets the store be opened without the retired keys.
async fn forget(store: &SqlStore) -> Result<(), StoreError> {
    let doing = unavailable("forget retired keys");
    let mut tx = store.write().await.map_err(&doing)?;
    sqlx::query("DELETE FROM sealing_keys WHERE id IN (SELECT id FROM retired_keys)").execute(&mut *tx).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)
}

/// Makes sure that what is sealed in this transaction is sealed under a key that may seal.
pub(crate) async fn heed_retired_keys(db: &mut AnyConnection, sealer: &Sealer) -> Result<(), sqlx::Error> {
    let found: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM retired_keys WHERE id = $1")
        .bind(i64::from(sealer.active().0))
        .fetch_one(&mut *db)
        .await?;
    if found == 0 {
        return Ok(());
    }
    let retired = retired(db).await?;
    let used = used(db).await?;
    let path = sealer.file().unwrap_or(Path::new(""));
    let keys = key_file::read(path).map_err(|e| sqlx::Error::Configuration(e.into()))?.unwrap_or_default();
    let keys: Vec<_> = keys.into_iter().filter(|key| used.contains(&key.id)).collect();
    let keys = sealing_first(keys, &retired);
    if keys.first().is_none_or(|key| retired.contains(&key.id)) {
        let missing = format!("the key file {} has no key that may seal: put the rotated one there", path.display());
        return Err(sqlx::Error::Configuration(missing.into()));
    }
    sealer.take_over(&keys);
    tracing::info!(key = %sealer.active(), "the sealing keys were rotated");
    Ok(())
}

/// The keys that may seal nothing any more.
pub(crate) async fn retired(db: &mut AnyConnection) -> Result<Vec<KeyId>, sqlx::Error> {
    Ok(ids(sqlx::query_scalar("SELECT id FROM retired_keys ORDER BY id").fetch_all(db).await?))
}

/// The keys that opening needs.
async fn used(db: &mut AnyConnection) -> Result<Vec<KeyId>, sqlx::Error> {
    Ok(ids(sqlx::query_scalar("SELECT id FROM sealing_keys ORDER BY id").fetch_all(db).await?))
}

fn ids(numbers: Vec<i64>) -> Vec<KeyId> {
    numbers.into_iter().filter_map(|number| u32::try_from(number).ok()).map(KeyId).collect()
}

/// The keys of a file in the order in which they stand there, those behind that may not seal.
pub(crate) fn sealing_first(keys: Vec<SealingKey>, retired: &[KeyId]) -> Vec<SealingKey> {
    let (behind, mut keys): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| retired.contains(&key.id));
    keys.extend(behind);
    keys
}

pub(crate) fn lock(folder: &Path) -> Result<File, RotateError> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join(LOCK));
    let failed = |source| OpenError::Folder { folder: folder.to_owned(), source };
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RotateError::UnderWay),
        Err(TryLockError::Error(source)) => Err(failed(source).into()),
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<SealingKey>, RotateError> {
    let keys = key_file::read(path).map_err(|e| match e {
        KeyFileError::Io(source) => failed_at(path)(source),
        KeyFileError::Line(line) => OpenError::KeyFileDamaged { path: path.to_owned(), line }.into(),
    })?;
    keys.ok_or_else(|| failed_at(path)(io::ErrorKind::NotFound.into()))
}

fn failed_at(path: &Path) -> impl Fn(io::Error) -> RotateError {
    let path = path.to_owned();
    move |source| RotateError::KeyFile { path: path.clone(), source }
}
