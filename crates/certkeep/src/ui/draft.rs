//! Applications that are being prepared: kept in memory while their preflight runs, so that no secret has to travel twice.
//!
//! The memory is that of one process: where several nodes serve, a browser has to stay with one of them from the check to
//! the application.
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use certkeep_core::application::Names;
use certkeep_core::people::UserId;
use certkeep_engine::inventory::ApplicationInput;
use certkeep_engine::preflight::Finding;
use certkeep_engine::{Engine, UseCaseError};
use tokio::sync::watch;
use tokio::time::Instant;

/// How long one is kept.
const LIFE: Duration = Duration::from_secs(1800);
/// Most that are kept, and most whose preflight runs, of one user.
const MOST: usize = 500;
const MOST_RUNNING: usize = 3;

/// An application that is being prepared.
#[derive(Clone)]
pub(super) struct Draft {
    owner: UserId,
    /// What is asked for.
    pub(super) names: Names,
    /// Provider and parameters.
    pub(super) input: ApplicationInput,
    began: Instant,
    findings: watch::Receiver<Vec<Finding>>,
    over: watch::Receiver<bool>,
}

impl Draft {
    /// What was found so far, and whether that is all.
    pub(super) fn findings(&self) -> (Vec<Finding>, bool) {
        // In this order: what is found before the end is never missed.
        let over = *self.over.borrow();
        (self.findings.borrow().clone(), over)
    }
}

/// All of them.
#[derive(Default)]
pub(crate) struct Drafts(Mutex<HashMap<String, Draft>>);

impl Drafts {
    /// Begins a preflight; answers the draft's word, or `None` where so many of the same user run already.
    pub(super) fn begin(
        &self,
        engine: &Engine,
        owner: UserId,
        names: Names,
        input: ApplicationInput,
    ) -> Result<Option<String>, UseCaseError> {
        engine.check_application(&names, input.clone())?;
        let word = word()?;
        let (told, findings) = watch::channel(Vec::new());
        let (ended, over) = watch::channel(false);
        {
            let mut drafts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            drafts.retain(|_, draft| draft.began.elapsed() < LIFE);
            let running = drafts.values().filter(|draft| draft.owner == owner && !*draft.over.borrow()).count();
            if running >= MOST_RUNNING || drafts.len() >= MOST {
                return Ok(None);
            }
            let draft = Draft { owner, names: names.clone(), input: input.clone(), began: Instant::now(), findings, over };
            drafts.insert(word.clone(), draft);
        }
        let engine = engine.clone();
        tokio::spawn(async move {
            if let Err(error) = engine.preflight(&names, input, told).await {
                tracing::warn!(%error, "a preflight did not run");
            }
            ended.send_replace(true);
        });
        Ok(Some(word))
    }

    /// The draft of this word, for its owner alone.
    pub(super) fn of(&self, word: &str, owner: UserId) -> Option<Draft> {
        let drafts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drafts.get(word).filter(|draft| draft.owner == owner && draft.began.elapsed() < LIFE).cloned()
    }

    /// Forgets a draft that was applied with.
    pub(super) fn forget(&self, word: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(word);
    }
}

impl std::fmt::Debug for Drafts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Drafts(..)")
    }
}

fn word() -> Result<String, UseCaseError> {
    let mut octets = [0; 16];
    SystemRandom::new().fill(&mut octets).map_err(|_| UseCaseError::Internal("the system gives no randomness".to_owned()))?;
    Ok(octets.iter().map(|octet| format!("{octet:02x}")).collect())
}
