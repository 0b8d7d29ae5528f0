//! One writer per zone: of this process always, of all nodes where a page rewrites what others may have written meanwhile.
use std::collections::HashMap;
use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use certkeep_core::application::AuthValue;
use certkeep_core::ports::ZoneLocks;
use certkeep_core::provider::Parameters;
use secrecy::ExposeSecret as _;
use tokio::runtime::Handle;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::task::AbortHandle;
use tokio::time::Instant;

const TIMES: Times = Times { lease: Duration::from_secs(20), hold: Duration::from_secs(5) };
/// The first and the longest pause before a lock is asked for again that another node has.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

#[derive(Clone, Copy)]
struct Times {
    /// How long the lock of a node that is gone stays in the way of the others.
    lease: Duration,
    /// How long a node keeps a lock for all who wait for it, before others get their turn.
    hold: Duration,
}

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
///
/// A zone is known by the provider's flag and its name: who comes with other credentials may write to the same one, and what
/// other nodes are told holds no secret so.
pub(crate) struct Locks {
    here: Mutex<HashMap<String, Weak<Zone>>>,
    everywhere: Option<Arc<dyn ZoneLocks>>,
    times: Times,
}

/// A zone of a provider.
struct Zone {
    key: String,
    times: Times,
    turn: Arc<Turn<Option<Held>>>,
    /// Who has asked for a turn and has not had it.
    waiting: AtomicUsize,
}

/// The lock that holds for all nodes.
struct Held {
    holder: String,
    /// Absent before it is known to be ours.
    taken: Option<Instant>,
}

/// The right to write to a zone; given back when dropped.
pub(crate) struct Writer {
    _turn: OwnedMutexGuard<Option<Held>>,
    /// Found by whoever comes next, for as long as somebody has it.
    _zone: Arc<Zone>,
    _shared: Option<Shared>,
}

/// What of the right holds for all nodes.
struct Shared {
    zone: Arc<Zone>,
    everywhere: Arc<dyn ZoneLocks>,
    prolonging: AbortHandle,
}

impl Locks {
    /// Locks that hold for all who share `everywhere`.
    pub(crate) fn new(everywhere: Option<Arc<dyn ZoneLocks>>) -> Locks {
        Locks { here: Mutex::default(), everywhere, times: TIMES }
    }

    /// Waits for the turn of a writer to this zone: among all nodes if it rewrites what it has read.
    pub(crate) async fn writer(&self, flag: &str, zone: &str, rewrites: bool) -> Writer {
        let zone = self.zone(format!("{flag} {zone}"));
        let Some(everywhere) = self.everywhere.clone().filter(|_| rewrites) else {
            return Writer { _turn: Arc::clone(&zone.turn).lock_owned().await, _zone: zone, _shared: None };
        };
        let waiting = Waiting::new(&zone, &everywhere);
        let mut turn = Arc::clone(&zone.turn).lock_owned().await;
        let holder = zone.take(&mut turn, everywhere.as_ref()).await;
        waiting.over();
        let prolonging = tokio::spawn(prolong(Arc::clone(&everywhere), Arc::clone(&zone), holder)).abort_handle();
        Writer { _turn: turn, _zone: Arc::clone(&zone), _shared: Some(Shared { zone, everywhere, prolonging }) }
    }

    fn zone(&self, key: String) -> Arc<Zone> {
        let mut zones = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = zones.get(&key).and_then(Weak::upgrade) {
            return zone;
        }
        zones.retain(|_, zone| zone.strong_count() > 0);
        let (turn, waiting) = (Arc::default(), AtomicUsize::new(0));
        let zone = Arc::new(Zone { key: key.clone(), times: self.times, turn, waiting });
        zones.insert(key, Arc::downgrade(&zone));
        zone
    }
}

impl Zone {
    /// Asks for the lock of all nodes until it is ours, unless it was just left to us; answers by which name it is held. A
    /// store that does not answer is asked again: the step that waits has an end of its own.
    async fn take(&self, held: &mut Option<Held>, everywhere: &dyn ZoneLocks) -> String {
        if let Some(Held { holder, taken: Some(taken) }) = held.as_ref()
            && taken.elapsed() < self.times.hold
        {
            return holder.clone();
        }
        if let Some(old) = held.take() {
            give_back(everywhere, &self.key, &old.holder).await;
            tokio::time::sleep(LONGEST_PAUSE).await;
        }
        let holder = format!("{:016x}{:016x}", drawn(), drawn());
        *held = Some(Held { holder: holder.clone(), taken: None });
        let mut longest = PAUSE;
        loop {
            let asked = Instant::now();
            match everywhere.take(&self.key, &holder, self.times.lease).await {
                Ok(true) => {
                    *held = Some(Held { holder: holder.clone(), taken: Some(asked) });
                    return holder;
                }
                Ok(false) => {}
                Err(error) => tracing::debug!(zone = self.key, error = &error as &dyn std::error::Error, "not locked yet"),
            }
            // Between a half of the longest and all of it, so that those who met do not meet again.
            tokio::time::sleep(longest / 2 + longest.mul_f64(drawn() as f64 / u64::MAX as f64 / 2.0)).await;
            longest = (longest * 2).min(LONGEST_PAUSE);
        }
    }

    /// Gives the lock of all nodes back, unless somebody waits for it here.
    fn rest(self: &Arc<Self>, everywhere: &Arc<dyn ZoneLocks>) {
        let (zone, everywhere) = (Arc::clone(self), Arc::clone(everywhere));
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let mut held = zone.turn.lock().await;
                if zone.waiting.load(Ordering::SeqCst) == 0
                    && let Some(held) = held.take()
                {
                    give_back(everywhere.as_ref(), &zone.key, &held.holder).await;
                }
            });
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.prolonging.abort();
        self.zone.rest(&self.everywhere);
    }
}

/// Somebody who waits for a turn, and may give up.
struct Waiting<'a> {
    zone: &'a Arc<Zone>,
    everywhere: &'a Arc<dyn ZoneLocks>,
    given_up: bool,
}

impl<'a> Waiting<'a> {
    fn new(zone: &'a Arc<Zone>, everywhere: &'a Arc<dyn ZoneLocks>) -> Waiting<'a> {
        zone.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting { zone, everywhere, given_up: true }
    }

    fn over(mut self) {
        self.given_up = false;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.zone.waiting.fetch_sub(1, Ordering::SeqCst);
        if self.given_up {
            self.zone.rest(self.everywhere);
        }
    }
}

/// Keeps a lock for as long as the writing takes.
async fn prolong(everywhere: Arc<dyn ZoneLocks>, zone: Arc<Zone>, holder: String) {
    loop {
        tokio::time::sleep(zone.times.lease / 3).await;
        match everywhere.take(&zone.key, &holder, zone.times.lease).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(zone = zone.key, "another node has taken the lock of a zone while it was written to");
                return;
            }
            Err(error) => tracing::debug!(zone = zone.key, error = &error as &dyn std::error::Error, "lock not prolonged"),
        }
    }
}

/// What is not given back now ends with its lease.
async fn give_back(everywhere: &dyn ZoneLocks, zone: &str, holder: &str) {
    if let Err(error) = everywhere.give_back(zone, holder).await {
        tracing::debug!(zone, error = &error as &dyn std::error::Error, "lock not given back");
    }
}

/// A number that nobody can foresee.
fn drawn() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
