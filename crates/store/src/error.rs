//! From the database's errors to the port's.
use certkeep_core::ports::StoreError;

use crate::seal::{Place, SealError};

/// The database did not do what was being done.
pub(crate) fn unavailable(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |e| StoreError::Unavailable { doing, source: Box::new(e) }
}

/// A column holds what certkeep does not write.
pub(crate) fn corrupt(
    table: &str,
    row: impl std::fmt::Display,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Corrupt { what: format!("{table} {row}"), source: Some(source.into()) }
}

/// A value could not be sealed or opened.
pub(crate) fn sealing(place: Place<'_>, e: SealError) -> StoreError {
    match e {
        SealError::Unsealable => StoreError::Unavailable { doing: "seal a secret", source: Box::new(e) },
        e => corrupt(place.table, place.row, e),
    }
}
