//! Pauses between the calls of an account, for vendors that demand them.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::Instant;

use super::Account;

/// The longest pause that is waited for between two calls, whatever a vendor says.
const LONGEST: Duration = Duration::from_secs(60);

/// When the next call of each account may be made.
#[derive(Default)]
pub(crate) struct Pace(Mutex<HashMap<Account, (Weak<Next>, Instant)>>);

type Next = Turn<()>;

/// The right to make a call.
pub(crate) struct Allowed<'a>(Option<(&'a Pace, Account, OwnedMutexGuard<()>)>);

impl Pace {
    /// Waits until the account may make a call; at once where calls need no pause.
    pub(crate) async fn turn(&self, account: &Account, paced: bool) -> Allowed<'_> {
        if !paced {
            return Allowed(None);
        }
        let turn = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            all.retain(|_, (turn, due)| turn.strong_count() > 0 || *due > now);
            let (turn, _) = all.entry(account.clone()).or_insert_with(|| (Weak::new(), now));
            turn.upgrade().unwrap_or_else(|| {
                let new = Arc::default();
                *turn = Arc::downgrade(&new);
                new
            })
        };
        let guard = turn.lock_owned().await;
        let due = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(account).map(|(_, due)| *due);
        if let Some(due) = due {
            tokio::time::sleep_until(due).await;
        }
        Allowed(Some((self, account.clone(), guard)))
    }
}

impl Allowed<'_> {
    /// The call was made; the next one may come after this pause.
    pub(crate) fn over(self, pause: Duration) {
        if let Some((pace, account, _guard)) = self.0 {
            let mut all = pace.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, due)) = all.get_mut(&account) {
                *due = Instant::now() + pause.min(LONGEST);
            }
        }
    }
}
