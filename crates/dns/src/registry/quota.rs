//! Limits that vendors publish: no account makes more calls within a time than its vendor answers.
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Account;
use crate::page::Limit;

/// The longest that a call waits for its turn; who would have to wait longer is told so.
const LONGEST: Duration = Duration::from_secs(60);

/// When the latest calls of each account were made, or are to be made.
#[derive(Default)]
pub(crate) struct Quota(Mutex<HashMap<Account, VecDeque<Instant>>>);

impl Quota {
    /// Waits until the account may make one call more.
    ///
    /// # Errors
    /// How long that would take, where it is too long to be waited for.
    pub(crate) async fn turn(&self, account: &Account, limit: &Limit) -> Result<(), Duration> {
        let due = self.reserve(account, limit, Instant::now())?;
        tokio::time::sleep_until(due).await;
        Ok(())
    }

    fn reserve(&self, account: &Account, limit: &Limit, now: Instant) -> Result<Instant, Duration> {
        let within = Duration::try_from_secs_f64(limit.within).unwrap_or_default();
        // The vendor counts when requests come, and one may take longer than the next.
        let within = within + (within / 20).max(Duration::from_millis(250));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = all.entry(account.clone()).or_default();
        while calls.front().is_some_and(|call| *call + within <= now) {
            calls.pop_front();
        }
        let before = calls.len().checked_sub(limit.calls as usize).and_then(|at| calls.get(at));
        let due = before.map_or(now, |call| (*call + within).max(now));
        let wait = due.duration_since(now);
        if wait > LONGEST {
            return Err(wait);
        }
        calls.push_back(due);
        Ok(due)
    }
}

#[cfg(test)]
mod tests {
    use certkeep_core::provider::Parameters;

    use super::*;

    #[test]
    fn never_more_calls_within_the_time() {
        let (quota, limit) = (Quota::default(), Limit { calls: 3, within: 10.0 });
        let account = Account::of("x", &Parameters::default(), std::iter::empty());
        let now = Instant::now();
        let due: Vec<u64> =
            (0..8).map(|_| quota.reserve(&account, &limit, now).unwrap().duration_since(now).as_millis() as u64).collect();
        assert_eq!(due, [0, 0, 0, 10_500, 10_500, 10_500, 21_000, 21_000]);
        let later = now + Duration::from_millis(32_000);
        assert_eq!(quota.reserve(&account, &limit, later).unwrap(), later);
    }

    #[test]
    fn nobody_waits_for_ever() {
        let (quota, limit) = (Quota::default(), Limit { calls: 1, within: 300.0 });
        let account = Account::of("x", &Parameters::default(), std::iter::empty());
        let now = Instant::now();
        assert_eq!(quota.reserve(&account, &limit, now), Ok(now));
        assert_eq!(quota.reserve(&account, &limit, now), Err(Duration::from_secs(315)));
    }
}
