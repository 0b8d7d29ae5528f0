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

    /// Tells the columns of all tables but the migrations' own: table, column, kind, position in the
    /// primary key or 0. They come table by table, the columns of a key in its order.
    pub(crate) const fn columns(self) -> &'static str {
        match self {
            Dialect::Postgres => {
                "SELECT CAST(c.table_name AS TEXT), CAST(c.column_name AS TEXT), CAST(c.data_type AS TEXT),
                        CAST(COALESCE(k.ordinal_position, 0) AS BIGINT)
                 FROM information_schema.columns c
                 LEFT JOIN information_schema.table_constraints t
                   ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.constraint_type = 'PRIMARY KEY'
                 LEFT JOIN information_schema.key_column_usage k
                   ON k.constraint_schema = t.constraint_schema AND k.constraint_name = t.constraint_name
                  AND k.table_name = c.table_name AND k.column_name = c.column_name
                 WHERE c.table_schema = current_schema() AND c.table_name <> '_sqlx_migrations'
                 ORDER BY c.table_name, 4, c.column_name"
            }
            Dialect::Sqlite => {
                "SELECT m.name, c.name, c.type, c.pk FROM sqlite_master m JOIN pragma_table_info(m.name) c
                 WHERE m.type = 'table' AND m.name <> '_sqlx_migrations' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!'
                 ORDER BY m.name, c.pk, c.name"
            }
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
