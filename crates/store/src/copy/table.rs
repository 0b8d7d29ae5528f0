//! Tables as they are found in a database: nothing here knows what they hold.
use std::collections::VecDeque;

use aws_lc_rs::digest::{Context, SHA256};
use certkeep_core::ports::StoreError;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::CopiedTable;
use crate::dialect::Dialect;
use crate::error::{corrupt, unavailable};
use crate::open::HALF_COPIED;

/// Rows that are read by one statement.
const BATCH: usize = 500;
/// Parameters of one statement, below what either database takes.
const PARAMETERS: usize = 5_000;
/// Tables that others refer to: their rows have to be there first.
const REFERRED_TO: [&str; 3] = ["certificates", "clients", "users"];

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Integer,
    Octets,
    Text,
}

/// What a row holds in one column; sorted as both databases sort.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Integer(Option<i64>),
    Octets(Option<Vec<u8>>),
    Text(Option<String>),
}

/// A table and its columns.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    columns: Vec<(String, Kind)>,
    /// Which columns are its primary key, in order.
    key: Vec<usize>,
}

/// All tables of a schema, those first that others refer to. Names are the schema's own.
pub(super) async fn tables(db: &mut AnyConnection, dialect: Dialect) -> Result<Vec<Table>, StoreError> {
    let columns: Vec<(String, String, String, i64)> =
        sqlx::query_as(dialect.columns()).fetch_all(db).await.map_err(unavailable("read the schema"))?;
    let mut tables: Vec<Table> = Vec::new();
    for (name, column, kind, position) in columns {
        let kind = match kind.to_ascii_lowercase().as_str() {
            "bigint" | "integer" => Kind::Integer,
            "blob" | "bytea" => Kind::Octets,
            "text" => Kind::Text,
            _ => return Err(corrupt(&name, &column, format!("a column of the kind {kind}"))),
        };
        if tables.last().is_none_or(|table| table.name != name) {
            tables.push(Table { name, columns: Vec::new(), key: Vec::new() });
        }
        if let Some(table) = tables.last_mut() {
            if position > 0 {
                table.key.push(table.columns.len());
            }
            table.columns.push((column, kind));
        }
    }
    if let Some(table) = tables.iter().find(|table| table.key.is_empty()) {
        return Err(corrupt(&table.name, "", "a table without a key"));
    }
    tables.sort_by_key(|table| !REFERRED_TO.contains(&table.name.as_str()));
    Ok(tables)
}

impl Table {
    /// A row's key.
    pub(super) fn key_of<'a>(&self, row: &'a [Value]) -> Vec<&'a Value> {
        self.key.iter().filter_map(|column| row.get(*column)).collect()
    }

    fn keys(&self) -> String {
        let names = self.key.iter().filter_map(|column| self.columns.get(*column));
        names.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Rows in the order of their keys, those after `after`.
    async fn read(&self, db: &mut AnyConnection, after: Option<&Vec<Value>>) -> Result<Vec<Vec<Value>>, StoreError> {
        let doing = unavailable("read a table");
        let (names, keys) = (self.names(), self.keys());
        let later = match after {
            Some(_) => format!("WHERE ({keys}) > ({})", places(1, self.key.len())),
            None => String::new(),
        };
        let statement = format!("SELECT {names} FROM {} {later} ORDER BY {keys} LIMIT {BATCH}", self.name);
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for value in after.map(|row| self.key_of(row)).unwrap_or_default() {
            query = bound(query, value);
        }
        let rows = query.fetch_all(db).await.map_err(&doing)?;
        rows.iter().map(|row| self.values(row)).collect::<Result<_, _>>().map_err(&doing)
    }

    fn values(&self, row: &AnyRow) -> Result<Vec<Value>, sqlx::Error> {
        let value = |(index, (_, kind)): (usize, &(String, Kind))| {
            Ok(match kind {
                Kind::Integer => Value::Integer(row.try_get(index)?),
                Kind::Octets => Value::Octets(row.try_get(index)?),
                Kind::Text => Value::Text(row.try_get(index)?),
            })
        };
        self.columns.iter().enumerate().map(value).collect()
    }

    /// Adds rows; those that are there stay.
    pub(super) async fn insert(&self, db: &mut AnyConnection, rows: &[Vec<Value>]) -> Result<(), StoreError> {
        for rows in rows.chunks((PARAMETERS / self.columns.len()).max(1)) {
            let width = self.columns.len();
            let lines = (0..rows.len()).map(|row| format!("({})", places(row * width + 1, width)));
            let lines = lines.collect::<Vec<_>>().join(", ");
            let statement = format!("INSERT INTO {} ({}) VALUES {lines} ON CONFLICT DO NOTHING", self.name, self.names());
            let mut query = sqlx::query(AssertSqlSafe(statement));
            for value in rows.iter().flatten() {
                query = bound(query, value);
            }
            query.execute(&mut *db).await.map_err(unavailable("write a table"))?;
        }
        Ok(())
    }

    /// Deletes all rows.
    pub(super) async fn clear(&self, db: &mut AnyConnection) -> Result<(), StoreError> {
        let statement = AssertSqlSafe(format!("DELETE FROM {}", self.name));
        sqlx::query(statement).execute(db).await.map_err(unavailable("clear a table"))?;
        Ok(())
    }

    /// Counts its rows and hashes them, in the order of their keys.
    pub(super) async fn counted(&self, db: &mut AnyConnection) -> Result<CopiedTable, StoreError> {
        let (mut rows, mut digest) = (0, Context::new(&SHA256));
        let mut cursor = Cursor::new(self);
        while let Some(row) = cursor.next(db).await? {
            rows += 1;
            row.iter().for_each(|value| value.hash(&mut digest));
        }
        let digest = digest.finish().as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
        Ok(CopiedTable { name: self.name.clone(), rows, digest })
    }
}

impl Value {
    /// Each value after its kind and length, so that no two rows have the same octets.
    fn hash(&self, digest: &mut Context) {
        let number;
        let octets = match self {
            Value::Integer(value) => {
                number = value.map(i64::to_be_bytes);
                number.as_ref().map(<[u8; 8]>::as_slice)
            }
            Value::Octets(value) => value.as_deref(),
            Value::Text(value) => value.as_deref().map(str::as_bytes),
        };
        digest.update(&[u8::from(octets.is_some())]);
        let octets = octets.unwrap_or_default();
        digest.update(&u64::try_from(octets.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(octets);
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

fn bound<'q>(query: Query<'q>, value: &Value) -> Query<'q> {
    match value {
        Value::Integer(value) => query.bind(*value),
        Value::Octets(value) => query.bind(value.clone()),
        Value::Text(value) => query.bind(value.clone()),
    }
}

/// `$first, …`, so many.
fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

/// Walks over a table in the order of its keys, and over the sign that says that it is half a copy.
pub(super) struct Cursor<'a> {
    table: &'a Table,
    last: Option<Vec<Value>>,
    ahead: VecDeque<Vec<Value>>,
    ended: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(table: &'a Table) -> Cursor<'a> {
        Cursor { table, last: None, ahead: VecDeque::new(), ended: false }
    }

    /// The next rows, some at once.
    pub(super) async fn batch(&mut self, db: &mut AnyConnection) -> Result<Option<Vec<Vec<Value>>>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let mut rows = self.table.read(db, self.last.as_ref()).await?;
        self.ended = rows.len() < BATCH;
        self.last = rows.last().cloned().or(self.last.take());
        if self.table.name == "settings" {
            rows.retain(|row| !row.contains(&Value::Text(Some(HALF_COPIED.to_owned()))));
        }
        Ok(Some(rows))
    }

    /// The next row.
    pub(super) async fn next(&mut self, db: &mut AnyConnection) -> Result<Option<Vec<Value>>, StoreError> {
        while self.ahead.is_empty() {
            match self.batch(db).await? {
                Some(rows) => self.ahead = rows.into(),
                None => return Ok(None),
            }
        }
        Ok(self.ahead.pop_front())
    }
}
