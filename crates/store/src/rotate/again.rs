//! Sealing everything anew, wherever it stands.
use std::time::{Duration, Instant};

use certkeep_core::ports::StoreError;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::SqlStore;
use crate::again::{commit, repeated};
use crate::error::unavailable;
use crate::seal::Place;

/// Most rows in one transaction.
const BATCH: i64 = 100;
/// The shortest pause between two.
const PAUSE: Duration = Duration::from_millis(2);

/// Where sealed values stand: all but the checks of the keys themselves.
const SEALED: [Sealed; 8] = [
    Sealed { table: "acme_accounts", row: Naming::Text("directory"), columns: &["sealed_credentials"] },
    Sealed { table: "certificates", row: Naming::Number, columns: &["sealed_auth"] },
    Sealed { table: "challenge_records", row: Naming::Number, columns: &["sealed_auth"] },
    Sealed { table: "issuances", row: Naming::Number, columns: &["sealed_application", "sealed_key"] },
    Sealed { table: "settings", row: Naming::Text("name"), columns: &["sealed_value"] },
    Sealed { table: "uploads", row: Naming::Text("kind || '/' || name"), columns: &["sealed_content", "sealed_password"] },
    Sealed { table: "users", row: Naming::Number, columns: &["sealed_totp"] },
    Sealed { table: "versions", row: Naming::Number, columns: &["sealed_key"] },
];

/// A table with sealed columns.
struct Sealed {
    table: &'static str,
    row: Naming,
    columns: &'static [&'static str],
}

/// What a table's rows are called where they are sealed, and sorted by here.
enum Naming {
    /// The number in the column `id`.
    Number,
    /// This expression.
    Text(&'static str),
}

/// A row that was looked at.
#[derive(Clone)]
enum Seen {
    Number(i64),
    Text(String),
}

/// Seals under the present key whatever is sealed under another one; answers how many values that were. What is written
/// meanwhile is sealed under the present key already.
pub(super) async fn seal_all(store: &SqlStore) -> Result<u64, StoreError> {
    let mut sealed = 0;
    for place in &SEALED {
        let mut last = None;
        loop {
            let began = Instant::now();
            let (seen, count) = repeated(|| place.batch(store, last.as_ref())).await?;
            sealed += count;
            if seen.is_none() {
                break;
            }
            last = seen;
            // Services that write wait for no longer than they have the database to themselves afterwards.
            tokio::time::sleep(began.elapsed().max(PAUSE)).await;
        }
    }
    Ok(sealed)
}

impl Sealed {
    /// Looks at the rows after one; answers the last of them and how many values were sealed anew.
    async fn batch(&self, store: &SqlStore, after: Option<&Seen>) -> Result<(Option<Seen>, u64), StoreError> {
        let doing = unavailable("seal anew");
        let mut tx = store.write().await.map_err(&doing)?;
        let rows = self.rows(&mut tx, after).await.map_err(&doing)?;
        let (mut seen, mut count) = (None, 0);
        for row in rows {
            let name = self.name(&row).map_err(&doing)?;
            let text = match &name {
                Seen::Number(id) => id.to_string(),
                Seen::Text(text) => text.clone(),
            };
            for column in self.columns {
                let sealed: Option<Vec<u8>> = row.try_get(*column).map_err(&doing)?;
                let Some(sealed) = sealed.filter(|sealed| !store.sealer().is_active(sealed)) else { continue };
                let place = Place { table: self.table, column, row: &text };
                let anew = store.sealer().seal_value(place, &store.sealer().open_value(place, &sealed)?)?;
                self.write(&mut tx, column, anew, &name).await.map_err(&doing)?;
                count += 1;
            }
            seen = Some(name);
        }
        commit(tx).await.map_err(&doing)?;
        Ok((seen, count))
    }

    async fn rows(&self, db: &mut AnyConnection, after: Option<&Seen>) -> Result<Vec<AnyRow>, sqlx::Error> {
        let (row, columns) = (self.expression(), self.columns.join(", "));
        let table = self.table;
        // The first of all rows may have any name, an empty one too.
        let bound = after.map(|_| format!("WHERE {row} > $2")).unwrap_or_default();
        let select = format!("SELECT {row} AS sealed_row, {columns} FROM {table} {bound} ORDER BY {row} LIMIT $1");
        let query = sqlx::query(AssertSqlSafe(select)).bind(BATCH);
        match after {
            None => query,
            Some(Seen::Number(id)) => query.bind(*id),
            Some(Seen::Text(text)) => query.bind(text.clone()),
        }
        .fetch_all(db)
        .await
    }

    fn name(&self, row: &AnyRow) -> Result<Seen, sqlx::Error> {
        match self.row {
            Naming::Number => row.try_get("sealed_row").map(Seen::Number),
            Naming::Text(_) => row.try_get("sealed_row").map(Seen::Text),
        }
    }

    async fn write(&self, db: &mut AnyConnection, column: &str, anew: Vec<u8>, name: &Seen) -> Result<(), sqlx::Error> {
        let (table, row) = (self.table, self.expression());
        let query = sqlx::query(AssertSqlSafe(format!("UPDATE {table} SET {column} = $1 WHERE {row} = $2"))).bind(anew);
        match name {
            Seen::Number(id) => query.bind(*id),
            Seen::Text(text) => query.bind(text.clone()),
        }
        .execute(db)
        .await?;
        Ok(())
    }

    const fn expression(&self) -> &'static str {
        match self.row {
            Naming::Number => "id",
            Naming::Text(expression) => expression,
        }
    }
}
