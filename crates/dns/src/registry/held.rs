//! What is up at vendors that hold one value only.
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Account;

/// How long a value is taken to stand that nobody took down: longer than an issuance, shorter than a stuck one matters.
const LONGEST: Duration = Duration::from_secs(1800);

/// The value that stands at a place of an account, as far as this process put it there.
#[derive(Default)]
pub(crate) struct Held(Mutex<HashMap<(Account, String), (String, Instant)>>);

impl Held {
    /// Whether another value than this one stands there.
    pub(crate) fn is_other(&self, account: &Account, place: &str, value: &str) -> bool {
        let held = |(held, since): &(String, Instant)| held != value && since.elapsed() < LONGEST;
        self.all().get(&(account.clone(), place.to_owned())).is_some_and(held)
    }

    /// Whether this value stands there.
    pub(crate) fn is(&self, account: &Account, place: &str, value: &str) -> bool {
        self.all().get(&(account.clone(), place.to_owned())).is_some_and(|(held, _)| held == value)
    }

    /// This value stands there now.
    pub(crate) fn put(&self, account: &Account, place: String, value: &str) {
        self.all().insert((account.clone(), place), (value.to_owned(), Instant::now()));
    }

    /// Nothing stands there any more.
    pub(crate) fn drop(&self, account: &Account, place: &str) {
        self.all().remove(&(account.clone(), place.to_owned()));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(Account, String), (String, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
