//! One writer per zone of an account.
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use certkeep_core::application::AuthValue;
use certkeep_core::provider::Parameters;
use secrecy::ExposeSecret as _;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// An account at a provider, as far as certkeep can tell two of them apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    flag: String,
    /// A digest of all texts among the parameters: numbers are timings, and two applications may differ in those.
    parameters: u64,
}

impl Account {
    /// The account that these parameters open.
    pub(crate) fn of<'a>(flag: &str, parameters: &Parameters, keys: impl Iterator<Item = &'a str>) -> Account {
        let mut hasher = DefaultHasher::new();
        for key in keys {
            if let Some(AuthValue::Text(text)) = parameters.value(key) {
                (key, text.expose_secret()).hash(&mut hasher);
            }
        }
        Account { flag: flag.to_owned(), parameters: hasher.finish() }
    }
}

/// The writers that are at work; a lock is forgotten when nobody holds it or waits for it.
#[derive(Default)]
pub(crate) struct Locks(Mutex<HashMap<Place, Weak<Turn<()>>>>);

/// A zone of an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    account: Account,
    zone: String,
}

impl Locks {
    /// Waits for the turn of a writer to this zone.
    pub(crate) async fn writer(&self, account: &Account, zone: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let key = Place { account: account.clone(), zone: zone.to_owned() };
            match locks.get(&key).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::default();
                    locks.retain(|_, lock| lock.strong_count() > 0);
                    locks.insert(key, Arc::downgrade(&lock));
                    lock
                }
            }
        };
        lock.lock_owned().await
    }
}
