//! The loop that finds due work and takes it: a timer and a nudge, no input, safe to repeat.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use certkeep_core::issuance::{ChallengeRecord, Fence, IssuanceId};
use certkeep_core::people::{SESSION_IDLE, SESSION_LIFE};
use certkeep_core::ports::{Epoch, StoreError};
use futures::future::join_all;
use jiff::SignedDuration;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use crate::Engine;
use crate::error::UseCaseError;
use crate::inventory::UPLOAD_LIFE;
use crate::issuing::{FIRST_LEASE, Notes, STEP_DEADLINE, later};

/// The longest sleep: a clock that was set, or work that another process made due, is noticed after this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// Between two sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);
/// How long a dead token is still known, so that revoking it again is no error (contract §3).
const DEAD_TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(24 * 30);
/// How long a counter of failed logins is kept after its last use.
const FAILED_LOGIN_LIFE: SignedDuration = SignedDuration::from_hours(1);
/// Pause after the store failed, and before an issuance whose task broke down is taken up again.
const AFTER_FAULT: Duration = Duration::from_secs(5);
/// Most entries for which an issuance begins, and most records removed, in one look.
const BATCH: u32 = 64;

impl Engine {
    /// Works until `shutdown` says `true` or its sender is gone; hands its leases back then.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        // A set of its own: it ends with this call, however that ends.
        let mut beside = JoinSet::new();
        beside.spawn(housekeeping(self.clone()));
        let mut at_work = AtWork::default();
        loop {
            // The permit of a nudge that comes while we look is kept, so none is missed.
            let sleep = match self.look(&mut at_work).await {
                Ok(sleep) => sleep,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "due work cannot be found now");
                    AFTER_FAULT
                }
            };
            tokio::select! {
                () = self.inner.nudge.notified() => {}
                () = tokio::time::sleep(sleep) => {}
                Some(ended) = at_work.tasks.join_next_with_id() => self.ended(&mut at_work, ended).await,
                () = told_to_stop(&mut shutdown) => break,
            }
        }
        beside.shutdown().await;
        at_work.tasks.shutdown().await;
        for (id, fence) in at_work.leases.into_values().chain(at_work.owed) {
            // What is not handed back now is void at the next start.
            let _ = self.hand_back(id, fence, None).await;
        }
    }

    /// Begins and takes up what is due; answers how long to sleep.
    async fn look(&self, at_work: &mut AtWork) -> Result<Duration, StoreError> {
        let now = self.now();
        while let Some((id, fence)) = at_work.owed.last().copied() {
            self.hand_back(id, fence, None).await?;
            at_work.owed.pop();
        }
        if self.store().start_due(now, BATCH).await? > 0 {
            self.inner.remembered_certificates.forget_all();
        }
        let busy = u32::try_from(at_work.leases.len()).unwrap_or(u32::MAX);
        let free = self.inner.settings.concurrency.saturating_sub(busy);
        if free > 0 {
            for lease in self.store().lease(now, later(now, FIRST_LEASE), free).await? {
                let held = (lease.issuance.id, lease.fence);
                let engine = self.clone();
                let task = at_work.tasks.spawn(async move { engine.work(lease).await });
                at_work.leases.insert(task.id(), held);
            }
        }
        if at_work.removing.is_none() {
            let due = self.store().due_removals(now, BATCH).await?;
            if !due.is_empty() {
                let engine = self.clone();
                let task = at_work.tasks.spawn(async move { engine.remove_leftovers(&due).await });
                at_work.removing = Some(task.id());
            }
        }
        if at_work.asking.is_none() {
            let questions = self.questions().await?;
            if !questions.is_empty() {
                let engine = self.clone();
                let task = at_work.tasks.spawn(async move { engine.ask_about_renewals(&questions).await });
                at_work.asking = Some(task.id());
            }
        }
        if free == 0 {
            // Work that is due now waits for a place: the end of a task wakes us.
            return Ok(LONGEST_SLEEP);
        }
        let next = self.store().next_due().await?;
        let until = next.map_or(LONGEST_SLEEP, |next| {
            let until = next.duration_since(self.now()).max(SignedDuration::ZERO);
            Duration::try_from(until).unwrap_or_default()
        });
        // The records that are being removed stay due until they are gone.
        let shortest = if at_work.removing.is_some() { AFTER_FAULT } else { Duration::ZERO };
        Ok(until.max(shortest).min(LONGEST_SLEEP))
    }

    async fn remove_leftovers(&self, due: &[ChallengeRecord]) -> Result<(), StoreError> {
        // Their issuance is over, and so is its trace.
        let notes = Notes::new(Arc::clone(&self.inner.ports.clock));
        let removals = join_all(due.iter().map(|record| self.remove_record(record, &notes)));
        let noted = match tokio::time::timeout(STEP_DEADLINE, removals).await {
            Ok(noted) => noted.into_iter().collect(),
            Err(_) => {
                tracing::warn!("the removal of leftover records takes long and begins anew");
                Ok(())
            }
        };
        if noted.is_err() {
            // What the journal does not tell is done again: not at the speed of the network.
            tokio::time::sleep(AFTER_FAULT).await;
        }
        noted
    }

    async fn ended(&self, at_work: &mut AtWork, ended: Result<(Id, Result<(), StoreError>), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some((issuance, fence)) = at_work.leases.remove(&id) else {
            let (what, task) = if at_work.removing == Some(id) {
                ("the removal of leftover records", &mut at_work.removing)
            } else {
                ("asking CAs when to renew", &mut at_work.asking)
            };
            *task = None;
            match ended {
                Ok((_, Ok(()))) => {}
                Ok((_, Err(error))) => tracing::error!(error = &error as &dyn std::error::Error, "{what} is put off"),
                Err(error) => tracing::error!(%error, "{what} broke down"),
            }
            return;
        };
        match ended {
            Ok((_, Ok(()))) => return,
            Ok((_, Err(error))) => {
                tracing::error!(issuance = issuance.0, error = &error as &dyn std::error::Error, "issuance put off");
            }
            Err(error) => tracing::error!(issuance = issuance.0, %error, "the task of an issuance broke down"),
        }
        if self.hand_back(issuance, fence, Some(AFTER_FAULT)).await.is_err() {
            at_work.owed.push((issuance, fence));
        }
    }

    /// Hands a lease back, unless somebody else has taken it since.
    ///
    /// # Errors
    /// The store's: the lease is held still.
    async fn hand_back(&self, id: IssuanceId, fence: Fence, pause: Option<Duration>) -> Result<(), StoreError> {
        let again = pause.map(|pause| later(self.now(), pause));
        let handed_back = self.store().release(id, fence, again).await;
        if let Err(error) = &handed_back {
            tracing::warn!(issuance = id.0, error = error as &dyn std::error::Error, "lease not handed back");
        }
        match handed_back {
            Err(StoreError::LeaseLost(_)) => Ok(()),
            other => other,
        }
    }
}

/// Returns when the sender says so, or is gone.
async fn told_to_stop(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// What this process works on: issuances, and, one at a time, removals of leftover records and questions to CAs.
#[derive(Default)]
struct AtWork {
    tasks: JoinSet<Result<(), StoreError>>,
    leases: HashMap<Id, (IssuanceId, Fence)>,
    /// Leases of what is not worked on any more, which the store did not take back: on them the work would wait until they
    /// end.
    owed: Vec<(IssuanceId, Fence)>,
    removing: Option<Id>,
    asking: Option<Id>,
}

/// Forgets what another process changed, and sweeps what has had its time.
async fn housekeeping(engine: Engine) {
    let mut epoch = None;
    let mut sweeps = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tokio::select! {
            () = engine.store().nudged() => {
                engine.catch_up_serving().await;
                if let Err(error) = engine.forget_what_others_changed(&mut epoch).await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "what others changed is not known");
                }
            }
            _ = sweeps.tick() => {
                if let Err(error) = engine.sweep().await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "not swept");
                }
            }
        }
    }
}

impl Engine {
    async fn forget_what_others_changed(&self, epoch: &mut Option<Epoch>) -> Result<(), UseCaseError> {
        let now = self.store().epoch().await?;
        // What was remembered before the first look may be void already.
        let before = *epoch;
        if before.is_none_or(|before| before.access != now.access) {
            self.inner.remembered_access.forget_all();
        }
        if before.is_none_or(|before| before.certificates != now.certificates) {
            self.inner.remembered_certificates.forget_all();
            self.reload_served().await?;
        }
        *epoch = Some(now);
        Ok(())
    }

    /// Deletes uploads that were kept for their time (contract §4.5), tokens that are long dead, browser sessions that are over, idle counters, what was
    /// spent at CAs so long ago that it says nothing any more.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let now = self.now();
        let uploads = self.store().sweep_uploads(now.saturating_sub(UPLOAD_LIFE).unwrap_or(now)).await?;
        let tokens = self.store().sweep_sessions(now.saturating_sub(DEAD_TOKEN_LIFE).unwrap_or(now)).await?;
        let ago = |life| now.saturating_sub(life).unwrap_or(now);
        let browsers = self.store().sweep_browser_sessions(ago(SESSION_IDLE), ago(SESSION_LIFE)).await?;
        let counters = self.store().sweep_failed_logins(now.saturating_sub(FAILED_LOGIN_LIFE).unwrap_or(now)).await?;
        let spendings = self.store().sweep_spendings(now).await?;
        if uploads + tokens + browsers + counters + spendings > 0 {
            tracing::info!(uploads, tokens, browsers, counters, spendings, "swept");
        }
        Ok(())
    }
}
