//! How values of the domain become columns, and back. Instants are kept to the microsecond, cut off towards 1970.
use certkeep_core::application::{Application, AuthEntry, AuthValue};
use certkeep_core::certificate::Kind;
use certkeep_core::material::{Chain, PrivateKey};
use certkeep_core::ports::StoreError;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use zeroize::Zeroizing;

use crate::error::{corrupt, sealing};
use crate::seal::{Place, Sealer};

/// Reads a struct from the columns named like its fields, and what stands behind the semicolon, itself such a struct, from
/// the same row. (The derive macro of sqlx would have SQLite built a second time, for the machine that compiles.)
macro_rules! from_columns {
    ($row:ident { $($column:ident),* $(; $part:ident)? }) => {
        impl sqlx::FromRow<'_, sqlx::any::AnyRow> for $row {
            fn from_row(row: &sqlx::any::AnyRow) -> Result<Self, sqlx::Error> {
                use sqlx::Row as _;
                Ok($row { $($column: row.try_get(stringify!($column))?,)* $($part: sqlx::FromRow::from_row(row)?,)? })
            }
        }
    };
}
pub(crate) use from_columns;

/// Takes `count` numbers of a table; answers the first. They belong to whoever holds the transaction.
pub(crate) async fn take_numbers(db: &mut AnyConnection, table: &'static str, count: i64) -> Result<i64, sqlx::Error> {
    let last: i64 = sqlx::query_scalar("UPDATE numbers SET last = last + $1 WHERE name = $2 RETURNING last")
        .bind(count)
        .bind(table)
        .fetch_one(db)
        .await?;
    Ok(last - count + 1)
}

/// An instant from its column; the row is named where there is no such instant.
pub(crate) fn instant(table: &str, row: i64, microseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(microseconds).map_err(|e| corrupt(table, row, e))
}

/// A kind from its word.
pub(crate) fn kind(word: &str) -> Option<Kind> {
    [Kind::Server, Kind::Trusted].into_iter().find(|kind| kind.as_str() == word)
}

/// A value that is not one of those written there.
pub(crate) fn unknown(table: &str, row: i64, column: &str) -> StoreError {
    corrupt(table, row, format!("{column} holds an unknown value"))
}

/// JSON from its column.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(table: &str, row: i64, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| corrupt(table, row, e))
}

/// JSON for a column.
pub(crate) fn to_json<T: Serialize>(table: &str, row: impl std::fmt::Display, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| corrupt(table, row, e))
}

/// The certificates of a chain, each after its length (32 bits, big-endian).
pub(crate) fn chain_octets(chain: &Chain) -> Vec<u8> {
    let mut octets = Vec::with_capacity(chain.certificates().iter().map(|der| der.len() + 4).sum());
    for der in chain.certificates() {
        octets.extend_from_slice(&u32::try_from(der.len()).unwrap_or(u32::MAX).to_be_bytes());
        octets.extend_from_slice(der);
    }
    octets
}

/// What [`chain_octets`] wrote.
pub(crate) fn chain(mut octets: &[u8]) -> Option<Chain> {
    let mut certificates = Vec::new();
    while !octets.is_empty() {
        let (length, rest) = octets.split_first_chunk::<4>()?;
        let (der, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        certificates.push(der.to_vec());
        octets = rest;
    }
    Chain::new(certificates)
}

/// One parameter as it stands in a sealed column: in the API's own words.
#[derive(Serialize, Deserialize)]
struct StoredEntry<'a> {
    k: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iv: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sv: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bv: Option<bool>,
}

impl<'a> From<&'a AuthEntry> for StoredEntry<'a> {
    fn from(entry: &'a AuthEntry) -> Self {
        let mut stored = StoredEntry { k: entry.k.as_str().into(), iv: None, sv: None, bv: None };
        match &entry.value {
            AuthValue::Boolean(value) => stored.bv = Some(*value),
            AuthValue::Integer(value) => stored.iv = Some(*value),
            AuthValue::Text(value) => stored.sv = Some(value.expose_secret().into()),
        }
        stored
    }
}

impl StoredEntry<'_> {
    fn entry(self) -> Option<AuthEntry> {
        let value = match (self.iv, self.sv, self.bv) {
            (Some(value), None, None) => AuthValue::Integer(value),
            (None, Some(value), None) => AuthValue::Text(SecretString::from(value.into_owned())),
            (None, None, Some(value)) => AuthValue::Boolean(value),
            _ => return None,
        };
        Some(AuthEntry { k: self.k.into_owned(), value })
    }
}

/// An application as it stands in one sealed column.
#[derive(Serialize, Deserialize)]
struct StoredApplication<'a> {
    names: std::borrow::Cow<'a, certkeep_core::application::Names>,
    dns_provider: std::borrow::Cow<'a, str>,
    auth: Vec<StoredEntry<'a>>,
}

fn stored_auth(auth: &[AuthEntry]) -> Vec<StoredEntry<'_>> {
    auth.iter().map(StoredEntry::from).collect()
}

fn auth_entries(stored: Vec<StoredEntry<'_>>) -> Option<Vec<AuthEntry>> {
    stored.into_iter().map(StoredEntry::entry).collect()
}

/// The sealer in the port's words.
impl Sealer {
    /// Seals octets.
    pub(crate) fn seal_value(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.seal(place, plain).map_err(|e| sealing(place, e))
    }

    /// Opens octets.
    pub(crate) fn open_value(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.open(place, sealed).map_err(|e| sealing(place, e))
    }

    /// Opens a text.
    pub(crate) fn open_text(&self, place: Place<'_>, sealed: &[u8]) -> Result<SecretString, StoreError> {
        let octets = self.open_value(place, sealed)?;
        let text = std::str::from_utf8(&octets).map_err(|e| corrupt(place.table, place.row, e))?;
        Ok(SecretString::from(text))
    }

    /// Opens a private key.
    pub(crate) fn open_key(&self, place: Place<'_>, sealed: &[u8]) -> Result<PrivateKey, StoreError> {
        Ok(PrivateKey::from_pkcs8(self.open_value(place, sealed)?.to_vec()))
    }

    /// Seals parameters.
    pub(crate) fn seal_auth(&self, place: Place<'_>, auth: &[AuthEntry]) -> Result<Vec<u8>, StoreError> {
        self.seal_json(place, &stored_auth(auth))
    }

    /// Opens parameters.
    pub(crate) fn open_auth(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<AuthEntry>, StoreError> {
        let plain = self.open_value(place, sealed)?;
        let stored = serde_json::from_slice(&plain).map_err(|e| corrupt(place.table, place.row, e))?;
        auth_entries(stored).ok_or_else(|| corrupt(place.table, place.row, "a parameter has no single value"))
    }

    /// Seals an application.
    pub(crate) fn seal_application(&self, place: Place<'_>, application: &Application) -> Result<Vec<u8>, StoreError> {
        let stored = StoredApplication {
            names: std::borrow::Cow::Borrowed(&application.names),
            dns_provider: application.dns_provider.as_str().into(),
            auth: stored_auth(&application.auth),
        };
        self.seal_json(place, &stored)
    }

    /// Opens an application.
    pub(crate) fn open_application(&self, place: Place<'_>, sealed: &[u8]) -> Result<Application, StoreError> {
        let plain = self.open_value(place, sealed)?;
        let stored: StoredApplication<'_> = serde_json::from_slice(&plain).map_err(|e| corrupt(place.table, place.row, e))?;
        let auth = auth_entries(stored.auth).ok_or_else(|| corrupt(place.table, place.row, "a parameter has no single value"))?;
        Ok(Application { names: stored.names.into_owned(), dns_provider: stored.dns_provider.into_owned(), auth })
    }

    fn seal_json<T: Serialize>(&self, place: Place<'_>, value: &T) -> Result<Vec<u8>, StoreError> {
        let plain = serde_json::to_vec(value).map_err(|e| corrupt(place.table, place.row, e))?;
        self.seal_value(place, &Zeroizing::new(plain))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries() -> impl Strategy<Value = Vec<AuthEntry>> {
        let value = prop_oneof![
            any::<bool>().prop_map(AuthValue::Boolean),
            any::<i64>().prop_map(AuthValue::Integer),
            any::<String>().prop_map(|text| AuthValue::Text(text.into())),
        ];
        proptest::collection::vec((any::<String>(), value).prop_map(|(k, value)| AuthEntry { k, value }), 0..5)
    }

    proptest! {
        #[test]
        fn parameters_keep_their_order_spelling_and_kind(auth in entries()) {
            let json = serde_json::to_vec(&stored_auth(&auth)).unwrap();
            prop_assert_eq!(auth_entries(serde_json::from_slice(&json).unwrap()).unwrap(), auth);
        }

        #[test]
        fn a_chain_is_read_back(
            ders in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 1..5),
        ) {
            let written = Chain::new(ders).unwrap();
            prop_assert_eq!(chain(&chain_octets(&written)), Some(written));
        }

        #[test]
        fn no_octets_make_the_chain_reader_panic(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = chain(&octets);
        }
    }

    #[test]
    fn a_parameter_has_exactly_one_value() {
        for json in [r#"[{"k":"a"}]"#, r#"[{"k":"a","iv":1,"sv":"b"}]"#] {
            assert_eq!(auth_entries(serde_json::from_str(json).unwrap()), None);
        }
    }
}
