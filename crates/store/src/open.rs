//! Opening a store: its schema and its key, wherever it is.
mod error;
mod folder;
mod location;
mod server;

use std::path::{Path, PathBuf};

use sqlx::AnyPool;
use sqlx::migrate::MigrateError;

pub use error::{OpenError, Whereabouts};
pub use folder::Options;
pub(crate) use folder::{DATABASE, make_folder, open_private};
pub use location::Location;
pub use server::{InvalidServerUrl, ServerUrl};

use crate::again::commit;
use crate::dialect::Dialect;
use crate::key_file::{self, KeyFileError};
use crate::rotate;
use crate::seal::{KeyId, Place, Sealer, SealingKey};

/// What is sealed under each key, to recognise it by.
const CHECK: &[u8] = b"certkeep";

/// What is being opened.
struct Opening {
    store: Whereabouts,
    dialect: Dialect,
    key_file: PathBuf,
}

impl Opening {
    fn database(&self, source: impl std::error::Error + Send + Sync + 'static) -> OpenError {
        OpenError::Database { store: self.store.clone(), source: Box::new(source) }
    }
}

/// Brings the schema up to date and makes sure that the keys are the right ones.
async fn prepare(opening: &Opening, writer: &AnyPool) -> Result<Sealer, OpenError> {
    opening.dialect.migrator().run(writer).await.map_err(|e| match e {
        MigrateError::VersionMissing(version) => OpenError::NewerSchema { store: opening.store.clone(), version },
        MigrateError::Execute(e) => opening.database(e),
        source => OpenError::Schema { store: opening.store.clone(), source },
    })?;
    let failed = |e: sqlx::Error| opening.database(e);
    // One transaction: of two nodes that make a key each, the second finds the first one's here.
    let mut tx = writer.begin_with(opening.dialect.begin()).await.map_err(failed)?;
    let used: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT id, sealed_check FROM sealing_keys ORDER BY id").fetch_all(&mut *tx).await.map_err(failed)?;
    let retired = rotate::retired(&mut tx).await.map_err(failed)?;
    let keys = rotate::sealing_first(keys(opening, used.is_empty() && retired.is_empty())?, &retired);
    let wrong = || OpenError::WrongKey { store: opening.store.clone(), path: opening.key_file.clone() };
    let sealer = Sealer::of_file(&keys, &opening.key_file).ok_or_else(wrong)?;
    for (id, sealed) in &used {
        let row = id.to_string();
        if !sealer.open(check_place(&row), sealed).is_ok_and(|plain| plain.as_slice() == CHECK) {
            return Err(wrong());
        }
    }
    let KeyId(active) = sealer.active();
    if retired.contains(&sealer.active()) {
        return Err(wrong());
    }
    let active = i64::from(active);
    if !used.iter().any(|(id, _)| *id == active) {
        let sealed = sealer.seal(check_place(&active.to_string()), CHECK).map_err(|_| wrong())?;
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
