//! What each step of an issuance saw: for the person who asks why it took so long, or why it failed.
//!
//! A trace is bounded: of a run that goes round for days the beginning and the end are kept.
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Most events of one issuance that are kept.
pub const MOST: usize = 120;
/// Of them, so many from the beginning.
const FIRST: usize = 40;
/// Most facts of one event.
const MOST_FACTS: usize = 40;

/// One act and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// What was done: `new order`, `add record` …
    pub act: String,
    /// At whom, or about what: a CA's host, a provider's flag, a name.
    pub subject: String,
    /// What was seen, one sentence each. Never a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// All that is kept of an issuance, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The events.
    pub events: Vec<Event>,
    /// How many are missing after the first ones.
    #[serde(default)]
    pub dropped: u64,
}

impl Trace {
    /// Adds an event; of too many, one from the middle goes.
    pub fn note(&mut self, mut event: Event) {
        event.facts.truncate(MOST_FACTS);
        self.events.push(event);
        if self.events.len() > MOST {
            self.events.remove(FIRST);
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: usize) -> Event {
        let at = Timestamp::UNIX_EPOCH;
        let facts = vec!["seen".to_owned(); 100];
        Event { at, ms: 1, act: "look".to_owned(), subject: number.to_string(), facts, failure: None }
    }

    #[test]
    fn of_a_long_run_beginning_and_end_are_kept() {
        let mut trace = Trace::default();
        (0..1000).for_each(|number| trace.note(event(number)));
        assert_eq!((trace.events.len(), trace.dropped), (MOST, 1000 - MOST as u64));
        let subjects: Vec<&str> = trace.events.iter().map(|event| event.subject.as_str()).collect();
        assert_eq!(subjects[..FIRST], (0..FIRST).map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!(subjects.last(), Some(&"999"));
        assert!(trace.events.iter().all(|event| event.facts.len() == MOST_FACTS));
    }
}
