//! A store copied into an empty one, whatever database each is: table by table, row by row in the order of their keys,
//! and then read back. What is sealed is copied as it is, so both need the same keys.
//!
//! What was copied stays when a copy is broken off, and is not copied again; until it is finished nobody opens the copy.
mod table;

use certkeep_core::ports::StoreError;
use sqlx::AnyConnection;

use crate::again::commit;
use crate::error::unavailable;
use crate::open::{Connected, HALF_COPIED, Location, OpenError, Whereabouts};

use table::{Cursor, Table, tables};

/// Tables in which every store has rows from the beginning. They are written last, all at once.
const SEEDED: [&str; 4] = ["audit_head", "certificate_counts", "epoch", "numbers"];

/// A table that was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// A SHA-256 over all of them, the same in both stores.
    pub digest: String,
}

/// Why a store was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// What was read back is not what was written.
    #[error("the table {table} of {store} is not what it was copied from: report this")]
    Differs {
        /// Where it was copied to.
        store: Whereabouts,
        /// The table.
        table: String,
    },
    /// There is nothing to copy.
    #[error("there is no store in {0}")]
    Nothing(Whereabouts),
    /// One of both does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store holds something that does not come from the one that is copied.
    #[error("{store} holds other data, in the table {table}: name one that is empty")]
    OtherData {
        /// Where it was to be copied to.
        store: Whereabouts,
        /// The table.
        table: String,
    },
    /// Both are the same.
    #[error("{0} cannot be copied to itself")]
    Same(Whereabouts),
    /// One of both failed meanwhile.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies a store into an empty one, or goes on with a copy that was broken off; answers what is there then, after it was
/// read back and compared.
///
/// Nobody may serve either of them meanwhile. In a data folder that is made sure; of a database all rows are read as they
/// were at one instant, and what its nodes change later is not copied.
///
/// # Errors
/// See [`CopyError`]. In the store that is copied nothing changes but the leases in a data folder, which are void.
pub async fn copy(from: &Location, to: &Location) -> Result<Vec<CopiedTable>, CopyError> {
    if !from.is_there() {
        return Err(CopyError::Nothing(from.whereabouts()));
    }
    let source = from.serve().await?;
    let copied = match to.connect().await {
        Ok(target) if target.opening.store == from.whereabouts() => Err(CopyError::Same(target.opening.store.clone())),
        Ok(target) => {
            let copied = copy_opened(&source, &target).await;
            target.writer.close().await;
            copied
        }
        Err(error) => Err(error.into()),
    };
    source.close().await;
    copied
}

async fn copy_opened(source: &crate::SqlStore, target: &Connected) -> Result<Vec<CopiedTable>, CopyError> {
    let reading = unavailable("read the store that is copied");
    let mut from = source.snapshot().await.map_err(&reading)?;
    let used: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT id, sealed_check FROM sealing_keys ORDER BY id").fetch_all(&mut *from).await.map_err(&reading)?;
    target.can_open(&used)?;
    let tables = tables(&mut from, source.dialect()).await?;
    let (seeded, filled): (Vec<Table>, Vec<Table>) = tables.into_iter().partition(|table| SEEDED.contains(&table.name.as_str()));
    {
        let mut to = target.writer.acquire().await.map_err(unavailable("read the copy"))?;
        for table in &filled {
            if !holds_no_other(table, &mut from, &mut to).await? {
                return Err(CopyError::OtherData { store: target.opening.store.clone(), table: table.name.clone() });
            }
        }
    }
    begin(target).await?;
    for table in &filled {
        let mut rows = Cursor::new(table);
        while let Some(batch) = rows.batch(&mut from).await? {
            let mut tx = target.writer.begin_with(target.opening.dialect.begin()).await.map_err(unavailable("write the copy"))?;
            table.insert(&mut tx, &batch).await?;
            commit(tx).await.map_err(unavailable("write the copy"))?;
        }
        tracing::info!(table = table.name, "copied");
    }
    let mut copied = Vec::new();
    for table in &filled {
        copied.push(compared(table, &mut from, target).await?);
    }
    finish(&seeded, &mut from, target).await?;
    for table in &seeded {
        copied.push(compared(table, &mut from, target).await?);
    }
    from.commit().await.map_err(&reading)?;
    copied.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(copied)
}

/// Keeps everybody from opening the copy.
async fn begin(target: &Connected) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO settings (name, sealed_value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
        .bind(HALF_COPIED)
        .bind(Vec::<u8>::new())
        .execute(&target.writer)
        .await
        .map_err(unavailable("begin the copy"))?;
    Ok(())
}

/// Lets everybody open it.
async fn finish(seeded: &[Table], from: &mut AnyConnection, target: &Connected) -> Result<(), StoreError> {
    let doing = unavailable("finish the copy");
    let mut tx = target.writer.begin_with(target.opening.dialect.begin()).await.map_err(&doing)?;
    for table in seeded {
        table.clear(&mut tx).await?;
        let mut rows = Cursor::new(table);
        while let Some(batch) = rows.batch(from).await? {
            table.insert(&mut tx, &batch).await?;
        }
    }
    sqlx::query("DELETE FROM settings WHERE name = $1").bind(HALF_COPIED).execute(&mut *tx).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)
}

/// Whether every row of `to` is one of `from`.
async fn holds_no_other(table: &Table, from: &mut AnyConnection, to: &mut AnyConnection) -> Result<bool, StoreError> {
    let (mut source, mut copy) = (Cursor::new(table), Cursor::new(table));
    'rows: while let Some(row) = copy.next(to).await? {
        while let Some(original) = source.next(from).await? {
            if original == row {
                continue 'rows;
            }
            if table.key_of(&original) >= table.key_of(&row) {
                return Ok(false);
            }
        }
        return Ok(false);
    }
    Ok(true)
}

async fn compared(table: &Table, from: &mut AnyConnection, target: &Connected) -> Result<CopiedTable, CopyError> {
    let mut to = target.writer.acquire().await.map_err(unavailable("read the copy"))?;
    let (original, copy) = (table.counted(from).await?, table.counted(&mut to).await?);
    match original == copy {
        true => Ok(copy),
        false => Err(CopyError::Differs { store: target.opening.store.clone(), table: table.name.clone() }),
    }
}
