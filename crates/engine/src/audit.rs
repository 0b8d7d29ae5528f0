//! Who did what: written down beside every use case that changes something.
//!
//! An entry is written when its deed is over. One that cannot be written undoes nothing: the log says so, and the deed's
//! answer stands.
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use certkeep_core::audit::{Action, Author, Deed, Entry, Outcome};
use certkeep_core::ports::{Audit, AuditRange, StoreError};
use jiff::{SignedDuration, Timestamp};

use crate::Engine;

/// What failed or was refused is written down so often at once, and then once in [`REFILL`]: whoever tries without end
/// fills no disk.
const BURST: u32 = 60;
/// How long it takes until one more is written down.
const REFILL: SignedDuration = SignedDuration::from_secs(30);

/// What an error says of a deed.
pub trait Ending: Display {
    /// Whether it was not allowed, rather than not possible.
    fn is_refusal(&self) -> bool;
}

/// Does something, and writes down who did it with what result. For commands on this machine; requests go through
/// [`crate::acting::Acting`].
///
/// # Errors
/// Those of the work.
pub async fn audited<T, E: Ending>(
    audit: &dyn Audit,
    now: impl FnOnce() -> Timestamp,
    author: Author,
    action: Action,
    subject: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let done = work.await;
    let (outcome, detail) = ended(&done);
    note(audit, &Deed { at: now(), author, action, subject: subject.to_owned(), outcome, detail }).await;
    done
}

pub(crate) fn ended<T, E: Ending>(done: &Result<T, E>) -> (Outcome, String) {
    match done {
        Ok(_) => (Outcome::Done, String::new()),
        Err(error) if error.is_refusal() => (Outcome::Refused, error.to_string()),
        Err(error) => (Outcome::Failed, error.to_string()),
    }
}

/// Writes a deed down; where that fails the log has it.
pub async fn note(audit: &dyn Audit, deed: &Deed) {
    if let Err(error) = audit.add_audit(deed).await {
        let (actor, action, subject) = (deed.author.actor.name(), deed.action.as_str(), &deed.subject);
        tracing::error!(actor, action, subject, error = &error as &dyn std::error::Error, "not in the audit");
    }
}

/// How many more attempts that came to nothing may be written down.
pub(crate) struct Allowance(Mutex<Left>);

#[derive(Clone, Copy)]
struct Left {
    left: u32,
    /// Since when there is less than all, or when there was one more.
    since: Timestamp,
    /// How many were left out since one was written down.
    left_out: u64,
}

impl Allowance {
    pub(crate) fn new(now: Timestamp) -> Allowance {
        Allowance(Mutex::new(Left { left: BURST, since: now, left_out: 0 }))
    }

    /// Whether one may be written down now: if so, how many were left out before it.
    fn take(&self, now: Timestamp) -> Option<u64> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.duration_since(held.since).as_secs().max(0);
        let gained = u32::try_from(elapsed / REFILL.as_secs()).unwrap_or(BURST);
        if gained > 0 {
            held.left = held.left.saturating_add(gained).min(BURST);
            held.since = now;
        }
        if held.left == 0 {
            held.left_out = held.left_out.saturating_add(1);
            return None;
        }
        held.left -= 1;
        Some(std::mem::take(&mut held.left_out))
    }
}

impl Engine {
    /// Writes down what somebody did, or tried. Of what came to nothing only so much at a time is written.
    pub async fn note(&self, author: Author, action: Action, subject: &str, outcome: Outcome, detail: &str) {
        let now = self.now();
        let mut detail = detail.to_owned();
        if outcome != Outcome::Done {
            match self.inner.attempts.take(now) {
                None => return,
                Some(0) => {}
                Some(left_out) => detail = format!("{detail} ({left_out} attempts before it are not written down)"),
            }
        }
        note(self.store(), &Deed { at: now, author, action, subject: subject.to_owned(), outcome, detail }).await;
    }

    /// Writes down what certkeep did by itself.
    pub(crate) async fn note_own(&self, action: Action, subject: &str, outcome: Outcome, detail: String) {
        let author = Author::CERTKEEP;
        let deed = Deed { at: self.now(), author, action, subject: subject.to_owned(), outcome, detail };
        note(self.store(), &deed).await;
    }

    /// Entries of the audit.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit(&self, range: AuditRange, most: u32) -> Result<Vec<Entry>, StoreError> {
        self.store().audit(range, most).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_written_down_in_part_and_counted() {
        let start = Timestamp::UNIX_EPOCH;
        let allowance = Allowance::new(start);
        let written = (0..1000).filter(|_| allowance.take(start).is_some()).count();
        assert_eq!(written, 60);
        let later = start + REFILL;
        assert_eq!((allowance.take(later), allowance.take(later)), (Some(940), None));
        let much_later = later + SignedDuration::from_hours(24);
        assert_eq!(allowance.take(much_later), Some(1));
        assert_eq!((0..1000).filter(|_| allowance.take(much_later).is_some()).count(), 59);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let start = Timestamp::from_second(1_000_000).unwrap();
        let allowance = Allowance::new(start);
        assert!((0..60).all(|_| allowance.take(start).is_some()));
        assert_eq!(allowance.take(Timestamp::UNIX_EPOCH), None);
    }
}
