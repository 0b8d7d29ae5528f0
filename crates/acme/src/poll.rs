//! How often something is tried again, and how long a CA is waited for.
use std::time::Duration;

use instant_acme::Error;
use tokio::time::{Instant, sleep};

use crate::client::ExchangeError;
use crate::problem;

/// Bad nonces after which a request is given up: a CA that calls nine of ten bad is outlived.
const BAD_NONCES: u32 = 150;
/// Bad nonces that are met without a pause.
const BAD_NONCES_AT_ONCE: u32 = 12;
/// The pause after each further report of one.
const BAD_NONCE_PAUSE: Duration = Duration::from_millis(20);
/// Bad nonces that instant-acme meets before it tells of one.
const UNTOLD: u32 = 3;
/// Pauses after which what met a broken connection or a fault of the CA is tried once more.
const HICCUPS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// The failures of one request that were forgiven so far.
pub(crate) struct Attempts {
    bad_nonces: u32,
    hiccups: std::slice::Iter<'static, Duration>,
}

impl Attempts {
    /// For requests that change nothing, or the same thing however often they come.
    pub(crate) fn at_what_can_be_repeated() -> Self {
        Attempts { bad_nonces: 0, hiccups: HICCUPS.iter() }
    }

    /// For requests that may have done their work though their answer was lost.
    pub(crate) fn at_what_happens_once() -> Self {
        Attempts { bad_nonces: 0, hiccups: [].iter() }
    }

    /// Returns when the request may be tried again, or the error if it may not.
    pub(crate) async fn forgive(&mut self, error: Error) -> Result<(), Error> {
        let forgiven = match &error {
            Error::Api(problem) if problem::is_bad_nonce(problem) => self.bad_nonces(UNTOLD).await,
            Error::Other(other) => match other.downcast_ref::<ExchangeError>() {
                Some(met) => self.exchange(met).await,
                None => Err(GiveUp),
            },
            _ => Err(GiveUp),
        };
        forgiven.map_err(|GiveUp| error)
    }

    /// The same for an exchange of our own.
    pub(crate) async fn exchange(&mut self, error: &ExchangeError) -> Result<(), GiveUp> {
        if !is_hiccup(error) {
            return Err(GiveUp);
        }
        sleep(*self.hiccups.next().ok_or(GiveUp)?).await;
        Ok(())
    }

    /// The same for a bad nonce met by ourselves.
    pub(crate) async fn bad_nonce(&mut self) -> Result<(), GiveUp> {
        self.bad_nonces(1).await
    }

    /// Some need no pause, since a good nonce came with each; many must not become a flood.
    async fn bad_nonces(&mut self, met: u32) -> Result<(), GiveUp> {
        self.bad_nonces += met;
        if self.bad_nonces >= BAD_NONCES {
            return Err(GiveUp);
        }
        if self.bad_nonces > BAD_NONCES_AT_ONCE {
            sleep(BAD_NONCE_PAUSE).await;
        }
        Ok(())
    }
}

/// The error is to be told.
#[derive(Debug)]
pub(crate) struct GiveUp;

/// What is likely to be over in a second; a CA that asks for a pause is not disturbed.
pub(crate) fn is_hiccup(error: &ExchangeError) -> bool {
    match error {
        ExchangeError::Unreachable { .. } => true,
        ExchangeError::Foreign { status, retry_after, .. } | ExchangeError::Refused { status, retry_after, .. } => {
            *status >= 500 && retry_after.is_none()
        }
        ExchangeError::Insecure { .. } | ExchangeError::Roots | ExchangeError::Unsigned | ExchangeError::Untrusted { .. } => {
            false
        }
    }
}

/// The pauses between looks at something that is not finished: short at first, because many CAs need milliseconds,
/// then longer, and as long as the CA says (RFC 8555 §7.5.1).
pub(crate) struct Pace {
    looks: u32,
    pause: Duration,
    deadline: Instant,
}

impl Pace {
    const FIRST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_secs(5);
    /// Looks before which the CA's wish does not count: its whole seconds are longer than many a validation takes.
    const EARLY: u32 = 4;
    const LONGEST_WISH: Duration = Duration::from_secs(20);

    /// Begins now and ends after `patience`.
    pub(crate) fn new(patience: Duration) -> Self {
        Pace { looks: 0, pause: Self::FIRST, deadline: Instant::now() + patience }
    }

    /// Rests before the next look; `false` when the time is over.
    pub(crate) async fn rest(&mut self, wish: Option<Duration>) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        sleep(self.next(wish).min(left)).await;
        !left.is_zero()
    }

    /// How many rests there were.
    pub(crate) fn looks(&self) -> u32 {
        self.looks
    }

    fn next(&mut self, wish: Option<Duration>) -> Duration {
        let pause = self.pause;
        self.looks += 1;
        self.pause = (pause * 2).min(Self::LONGEST);
        match wish {
            Some(wish) if self.looks > Self::EARLY => wish.clamp(pause, Self::LONGEST_WISH.max(pause)),
            _ => pause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(wish: Option<u64>) -> Vec<u128> {
        let mut pace = Pace { looks: 0, pause: Pace::FIRST, deadline: Instant::now() };
        (0..9).map(|_| pace.next(wish.map(Duration::from_secs)).as_millis()).collect()
    }

    #[test]
    fn the_pauses_grow() {
        assert_eq!(pauses(None), [20, 40, 80, 160, 320, 640, 1280, 2560, 5000]);
    }

    #[test]
    fn the_wish_counts_from_the_fifth_look_on() {
        assert_eq!(pauses(Some(3)), [20, 40, 80, 160, 3000, 3000, 3000, 3000, 5000]);
        assert_eq!(pauses(Some(3600)), [20, 40, 80, 160, 20000, 20000, 20000, 20000, 20000]);
        assert_eq!(pauses(Some(0)), pauses(None));
    }
}
