//! A clock that a test moves.
use std::sync::{Arc, Mutex};

use certkeep_core::time::{Clock, SystemClock};
use jiff::{SignedDuration, Timestamp};

/// A [`Clock`] that stands still or runs, and jumps when a test says so. Clones share the hands.
#[derive(Clone, Debug)]
pub struct MovableClock(Arc<Mutex<Hands>>);

#[derive(Clone, Copy, Debug)]
enum Hands {
    /// Shows this instant until it is moved.
    Frozen(Timestamp),
    /// Runs with the machine, this much ahead of it.
    Running(SignedDuration),
}

impl MovableClock {
    /// A clock that stands still at `instant`.
    pub fn frozen_at(instant: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Hands::Frozen(instant))))
    }

    /// A clock that runs with the machine: what a test needs that also talks to real peers, whose time is the machine's.
    pub fn running() -> Self {
        Self(Arc::new(Mutex::new(Hands::Running(SignedDuration::ZERO))))
    }

    /// Moves the clock by `span`; a negative span moves it back.
    pub fn advance(&self, span: SignedDuration) {
        let mut hands = self.0.lock().expect("no holder of the hands panics");
        match &mut *hands {
            Hands::Frozen(instant) => *instant += span,
            Hands::Running(ahead) => *ahead += span,
        }
    }

    /// Moves the clock to `instant`; a running clock runs on from there.
    pub fn set(&self, instant: Timestamp) {
        let mut hands = self.0.lock().expect("no holder of the hands panics");
        match &mut *hands {
            Hands::Frozen(shown) => *shown = instant,
            Hands::Running(ahead) => *ahead = instant.duration_since(SystemClock.now()),
        }
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        match *self.0.lock().expect("no holder of the hands panics") {
            Hands::Frozen(instant) => instant,
            Hands::Running(ahead) => SystemClock.now() + ahead,
        }
    }
}
