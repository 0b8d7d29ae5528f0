//! Asking CAs when a certificate had better be renewed (RFC 9773).
//!
//! The instant chosen within the CA's window is when the next issuance begins. It is chosen once, and anew only when the
//! CA moves the window; a window that has passed means at once.
use std::time::Duration;

use certkeep_core::ports::{Question, StoreError, Told};
use certkeep_core::renewal_info::choose;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};

use crate::Engine;
use crate::draw::draw;
use crate::issuing::later;

/// Most questions in one look.
const BATCH: u32 = 32;
/// When a question is due again whose asker came to nothing.
const AGAIN: Duration = Duration::from_secs(600);
/// How long after an error a CA is asked again that did not say when.
const AFTER_ERROR: SignedDuration = SignedDuration::from_hours(6);
/// The soonest and the latest that it may say.
const SOONEST: SignedDuration = SignedDuration::from_mins(1);
const LATEST: SignedDuration = SignedDuration::from_hours(24);
/// How long after it had nothing to say: it may learn to.
const AFTER_NOTHING: SignedDuration = SignedDuration::from_hours(24);

impl Engine {
    /// What is due to be asked.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn questions(&self) -> Result<Vec<Question>, StoreError> {
        let now = self.now();
        self.store().questions(now, later(now, AGAIN), BATCH).await
    }

    /// Asks, and keeps the answers.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn ask_about_renewals(&self, questions: &[Question]) -> Result<(), StoreError> {
        let kept = join_all(questions.iter().map(|question| self.ask(question))).await;
        kept.into_iter().collect()
    }

    async fn ask(&self, question: &Question) -> Result<(), StoreError> {
        let issuer = self.inner.ports.issuer.as_ref();
        let answer = match self.inner.settings.cas.at(&question.directory) {
            Some(choice) => issuer.renewal_info(&choice.ca, &question.chain).await,
            // It is no longer among the CAs of the configuration.
            None => Ok(None),
        };
        let now = self.now();
        let after = |pause: SignedDuration| now.saturating_add(pause).unwrap_or(now);
        let told = match answer {
            Ok(Some(info)) => {
                let choice = choose(now, question.validity, info.window, question.kept, draw());
                if question.kept.is_none_or(|kept| kept != choice) {
                    tracing::info!(id = question.certificate.0, at = %choice.at, why = info.explanation_url, "the CA tells when to renew");
                }
                Told { choice: Some(choice), explanation_url: info.explanation_url, ask_at: info.poll_after }
            }
            Ok(None) => Told { choice: None, explanation_url: None, ask_at: after(AFTER_NOTHING) },
            Err(failure) => {
                tracing::warn!(id = question.certificate.0, %failure, "the CA does not tell when to renew");
                Told { choice: None, explanation_url: None, ask_at: after_error(now, failure.not_before) }
            }
        };
        self.store().answered(question, &told).await?;
        if told.choice.is_some() {
            self.nudge();
        }
        Ok(())
    }
}

/// When a CA is asked again after an error: when it says, within the bounds that hold after an answer too.
fn after_error(now: Timestamp, wish: Option<Timestamp>) -> Timestamp {
    let after = |pause: SignedDuration| now.saturating_add(pause).unwrap_or(now);
    wish.map_or_else(|| after(AFTER_ERROR), |wish| wish.clamp(after(SOONEST), after(LATEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_in_trouble_is_asked_neither_at_once_nor_never_again() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let asked = |wish: Option<i64>| after_error(at(0), wish.map(at)).as_second();
        assert_eq!([asked(None), asked(Some(-5)), asked(Some(7200)), asked(Some(99_999_999))], [6 * 3600, 60, 7200, 86_400]);
    }
}
