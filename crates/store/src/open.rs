//! Opening a store: its schema and its key, wherever it is.
mod error;
mod folder;
mod location;
mod server;

use std::fs::File;
use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;

pub use error::{OpenError, Whereabouts};
pub use folder::Options;
pub(crate) use folder::{DATABASE, make_folder, open_private};
pub use location::Location;
pub use server::{InvalidServerUrl, ServerUrl};

use crate::again::commit;
use crate::dialect::Dialect;
use crate::key_file::{self, KeyFileError};
use crate::line::Pool;
use crate::others::Others;
use crate::rotate;
use crate::seal::{KeyId, Place, Sealer, SealingKey};
use crate::{Inner, SqlStore};

/// What is sealed under each key, to recognise it by.
const CHECK: &[u8] = b"certkeep";

/// The setting that stands in a store for as long as it is half a copy of another; it is never read back.
pub(crate) const HALF_COPIED: &str = "store.copy";

/// What is being opened.
pub(crate) struct Opening {
    pub(crate) store: Whereabouts,
    pub(crate) dialect: Dialect,
    key_file: PathBuf,
}

/// A database that has its schema, and whose keys nobody has looked at yet.
pub(crate) struct Connected {
    pub(crate) opening: Opening,
    pub(crate) writer: Pool,
    readers: Pool,
    others: Option<Others>,
    lock: Option<File>,
    /// Held until the keys are known.
    starting: Option<File>,
}

impl Connected {
    /// The store, if its keys are the right ones; else the connection is closed.
    async fn store(self) -> Result<SqlStore, OpenError> {
        match recognise(&self.opening, &self.writer).await {
            Ok(sealer) => {
                drop(self.starting);
                let Connected { opening, writer, readers, others, lock, .. } = self;
                Ok(SqlStore::new(Inner { dialect: opening.dialect, writer, readers, sealer, others, lock }))
            }
            Err(error) => {
                self.writer.close().await;
                Err(error)
            }
        }
    }

    /// Makes sure that the key file has every key of another store; makes none.
    pub(crate) fn can_open(&self, used: &[(i64, Vec<u8>)]) -> Result<(), OpenError> {
        sealer_for(&self.opening, used, false, &[]).map(|_| ())
    }
}

impl Opening {
    fn database(&self, source: impl std::error::Error + Send + Sync + 'static) -> OpenError {
        OpenError::Database { store: self.store.clone(), source: Box::new(source) }
    }
}

/// Brings the schema up to date.
async fn migrate(opening: &Opening, writer: &Pool) -> Result<(), OpenError> {
    opening.dialect.migrator().run(writer.inner()).await.map_err(|e| match e {
        MigrateError::VersionMissing(version) => OpenError::NewerSchema { store: opening.store.clone(), version },
        MigrateError::Execute(e) => opening.database(e),
        source => OpenError::Schema { store: opening.store.clone(), source },
    })
}

/// Makes sure that the keys are the right ones.
async fn recognise(opening: &Opening, writer: &Pool) -> Result<Sealer, OpenError> {
    let failed = |e: sqlx::Error| opening.database(e);
    // One transaction: of two nodes that make a key each, the second finds the first one's here.
    let mut tx = writer.begin(opening.dialect.begin()).await.map_err(failed)?;
    let half: Option<String> = sqlx::query_scalar("SELECT name FROM settings WHERE name = $1")
        .bind(HALF_COPIED)
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
    if half.is_some() {
        return Err(OpenError::HalfCopied(opening.store.clone()));
    }
    let used: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT id, sealed_check FROM sealing_keys ORDER BY id").fetch_all(&mut *tx).await.map_err(failed)?;
    let retired = rotate::retired(&mut tx).await.map_err(failed)?;
    let sealer = sealer_for(opening, &used, used.is_empty() && retired.is_empty(), &retired)?;
    let KeyId(active) = sealer.active();
    if retired.contains(&sealer.active()) {
        return Err(wrong(opening));
    }
    let active = i64::from(active);
    if !used.iter().any(|(id, _)| *id == active) {
        let sealed = sealer.seal(check_place(&active.to_string()), CHECK).map_err(|_| wrong(opening))?;
        sqlx::query("INSERT INTO sealing_keys (id, sealed_check) VALUES ($1, $2)")
            .bind(active)
            .bind(sealed)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
    }
    commit(tx).await.map_err(failed)?;
    Ok(sealer)
}

/// What seals with the keys of the file, which have to be those that were used.
fn sealer_for(opening: &Opening, used: &[(i64, Vec<u8>)], may_make: bool, retired: &[KeyId]) -> Result<Sealer, OpenError> {
    let keys = rotate::sealing_first(keys(opening, may_make)?, retired);
    let sealer = Sealer::of_file(&keys, &opening.key_file).ok_or_else(|| wrong(opening))?;
    for (id, sealed) in used {
        let row = id.to_string();
        if !sealer.open(check_place(&row), sealed).is_ok_and(|plain| plain.as_slice() == CHECK) {
            return Err(wrong(opening));
        }
    }
    Ok(sealer)
}

fn wrong(opening: &Opening) -> OpenError {
    OpenError::WrongKey { store: opening.store.clone(), path: opening.key_file.clone() }
}

fn check_place(row: &str) -> Place<'_> {
    Place { table: "sealing_keys", column: "sealed_check", row }
}

/// The keys of the file; made when nothing was ever sealed.
fn keys(opening: &Opening, may_make: bool) -> Result<Vec<SealingKey>, OpenError> {
    let path: &Path = &opening.key_file;
    let keys = match key_file::read(path) {
        Ok(None) if may_make => key_file::make(path).map(Some),
        other => other,
    };
    keys.map_err(|e| match e {
        KeyFileError::Io(source) => OpenError::KeyFile { path: path.to_owned(), source },
        KeyFileError::Line(line) => OpenError::KeyFileDamaged { path: path.to_owned(), line },
    })?
    .ok_or_else(|| OpenError::KeyMissing { store: opening.store.clone(), path: path.to_owned() })
}
