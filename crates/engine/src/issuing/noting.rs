//! What an issuance notes for its trace.
use std::sync::{Arc, Mutex, PoisonError};

use certkeep_core::failure::Failure;
use certkeep_core::time::Clock;
use certkeep_core::trace::{Event, Trace};
use tokio::time::Instant;

/// Events that are not saved yet: several acts go on at once.
pub(crate) struct Notes {
    clock: Arc<dyn Clock>,
    events: Mutex<Vec<Event>>,
}

impl Notes {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Notes {
        Notes { clock, events: Mutex::default() }
    }

    /// Does something outward, and notes how long it took and what came of it.
    pub(crate) async fn act<T>(
        &self,
        act: &str,
        subject: &str,
        doing: impl Future<Output = Result<T, Failure>>,
        facts: impl FnOnce(&T) -> Vec<String>,
    ) -> Result<T, Failure> {
        let (at, began) = (self.clock.now(), Instant::now());
        let outcome = doing.await;
        let event = Event {
            at,
            ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            act: act.to_owned(),
            subject: subject.to_owned(),
            facts: outcome.as_ref().map(facts).unwrap_or_default(),
            failure: outcome.as_ref().err().cloned(),
        };
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        outcome
    }

    /// Hands over what was noted.
    pub(crate) fn hand_over(&self, trace: &mut Trace) {
        for event in self.events.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            trace.note(event);
        }
    }
}
