//! Where the two databases differ. Everything else is said in words that both understand.
use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// A database that certkeep speaks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// PostgreSQL, or what speaks its protocol.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// The schema's versions for SQLite, in order: what they are called, and their statements. One that was released is
/// never changed.
const SQLITE: [(&str, &str); 1] = [("first", include_str!("../migrations/sqlite/0001_first.sql"))];
/// The same for PostgreSQL.
const POSTGRES: [(&str, &str); 1] = [("first", include_str!("../migrations/postgres/0001_first.sql"))];

impl Dialect {
    /// Begins a transaction in which what was read stays true: SQLite lets one writer in at a time; PostgreSQL lets all
    /// in, and turns away those whose reading was overtaken.
    pub(crate) const fn begin(self) -> &'static str {
        match self {
            Dialect::Postgres => "BEGIN ISOLATION LEVEL SERIALIZABLE",
            Dialect::Sqlite => "BEGIN IMMEDIATE",
        }
    }

    /// Begins a transaction whose statements all read the same state.
    pub(crate) const fn begin_snapshot(self) -> &'static str {
        match self {
            Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Dialect::Sqlite => "BEGIN DEFERRED",
        }
    }

    /// The schema's versions.
    pub(crate) fn migrator(self) -> Migrator {
        let versions = match self {
            Dialect::Postgres => POSTGRES,
            Dialect::Sqlite => SQLITE,
        };
        let versions = versions.into_iter().zip(1..).map(|((name, statements), version)| {
            Migration::new(version, name.into(), MigrationType::Simple, SqlStr::from_static(statements), false)
        });
        Migrator::with_migrations(versions.collect())
    }
}
