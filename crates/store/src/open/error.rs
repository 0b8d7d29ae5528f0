//! Why a store does not open.
use std::fmt;
use std::io;
use std::path::PathBuf;

use sqlx::migrate::MigrateError;

/// What a store is called in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// A data folder.
    Folder(PathBuf),
    /// A database of a server, as `name at host`.
    Server(String),
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whereabouts::Folder(path) => write!(f, "the data folder {}", path.display()),
            Whereabouts::Server(name) => write!(f, "the database {name}"),
        }
    }
}

impl Whereabouts {
    /// What a person can do when it does not open.
    const fn remedy(&self) -> &'static str {
        match self {
            Whereabouts::Folder(_) => "put back a copy of it if its database is damaged",
            Whereabouts::Server(_) => "see that it answers and lets certkeep in, or correct [store] url",
        }
    }
}

/// Why a store cannot be opened: each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server holds the folder.
    #[error("another certkeep serves the data folder {} already: stop it, or name another folder with --data", .0.display())]
    Busy(PathBuf),
    /// The database does not open, or is damaged.
    #[error("{store} cannot be opened: {}", .store.remedy())]
    Database {
        /// The store.
        store: Whereabouts,
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
    /// A copy was begun there and not finished.
    #[error("{0} holds half a copy: do again the `certkeep store copy` that was begun, which goes on where it was")]
    HalfCopied(Whereabouts),
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
    #[error("{store} was sealed with a key that is not there: put {} back, or name the key file with [store] key_file", .path.display())]
    KeyMissing {
        /// The store.
        store: Whereabouts,
        /// Where the key was looked for.
        path: PathBuf,
    },
    /// The store was written by a newer certkeep.
    #[error("{store} was written by a newer certkeep (schema {version}): start that one, or put back a copy of it from before")]
    NewerSchema {
        /// The store.
        store: Whereabouts,
        /// The schema version that this certkeep does not know.
        version: i64,
    },
    /// The schema could not be brought up to date.
    #[error("the schema of {store} cannot be brought up to date: put back a copy of it, and report this")]
    Schema {
        /// The store.
        store: Whereabouts,
        /// What went wrong.
        #[source]
        source: MigrateError,
    },
    /// The key file does not hold the key that sealed the data.
    #[error("{store} was sealed with another key than those in {}: put the right key file there, or name it with [store] key_file", .path.display())]
    WrongKey {
        /// The store.
        store: Whereabouts,
        /// The file that was read.
        path: PathBuf,
    },
}
