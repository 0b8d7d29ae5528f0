//! What goes wrong, and how often: switches that any thread may turn while the sandbox runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// Something that can go wrong on request.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Fault {
    /// The CA does what a request asks and hangs up without an answer; a HEAD is spared.
    AcmeAnswerLost,
    /// The CA answers a request with 500 `serverInternal`.
    AcmeError,
    /// The CA hangs up on a request and does nothing; a HEAD is spared.
    AcmeRequestLost,
    /// The CA answers a request with 503, without a problem document; see [`Faults::set_retry_after`].
    AcmeUnavailable,
    /// The DNS API does what a request asks and hangs up without an answer.
    ApiAnswerLost,
    /// The DNS API answers a request with 500.
    ApiError,
    /// The DNS API answers a request with 200 and a page of HTML.
    ApiHtml,
    /// The DNS API hangs up on a request and does nothing.
    ApiRequestLost,
    /// The CA refuses the nonce of a POST.
    BadNonce,
    /// A certificate that was issued is not there yet when it is asked for (404).
    CertificateLate,
    /// The DNS server keeps silent.
    DnsDropped,
    /// The DNS server answers SERVFAIL.
    DnsServfail,
    /// The DNS server answers questions for TXT as if there were none.
    HideTxt,
    /// `finalize` turns the order invalid.
    InvalidAtFinalize,
    /// An order that is not valid yet turns invalid when it is looked at.
    OrderInvalid,
    /// `newOrder` is refused with 429 `rateLimited`; see [`Faults::set_retry_after`].
    RateLimit,
    /// `renewalInfo` proposes a window that is over.
    RenewalDue,
    /// `newOrder` is refused until new terms are agreed to (`userActionRequired`).
    UserActionRequired,
    /// A certificate is handed out under an intermediate that did not sign it.
    WrongChain,
    /// A certificate is handed out that holds another public key.
    WrongKey,
    /// A certificate is handed out that holds another name.
    WrongName,
    /// The CA reads another value than the TXT record has.
    WrongTxtView,
}

/// When a fault happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Times {
    /// On all but each n-th occasion, counted from the setting; 0 is always.
    AllBut(u32),
    /// On every occasion.
    Always,
    /// On each n-th occasion, counted from the setting; 0 is never.
    Every(u32),
    /// On every occasion for as long as this from the setting on.
    For(Duration),
    /// On no occasion.
    Never,
    /// On the next n occasions.
    Next(u32),
    /// On the n-th occasion alone, counted from the setting; 0 is never.
    Nth(u32),
}

/// How the CA says when to come back (RFC 9110 §10.2.3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RetryAfter {
    /// As the date that lies this far ahead.
    HttpDate(Duration),
    /// Not at all.
    #[default]
    Missing,
    /// In seconds.
    Seconds(u64),
}

/// The switches.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    switches: BTreeMap<Fault, Switch>,
    refused: BTreeSet<String>,
    retry_after: RetryAfter,
    renewal_window: Option<(Timestamp, Timestamp)>,
    renewal_retry_after: Option<RetryAfter>,
    clock_offset: SignedDuration,
    waits_as_dates: bool,
    issuance_delay: Duration,
    validation_delay: Duration,
    longest_life: Option<Duration>,
}

#[derive(Debug)]
struct Switch {
    times: Times,
    since: Instant,
    occasions: u32,
    fired: usize,
}

impl Faults {
    /// Sets when `fault` happens from now on.
    pub fn set(&self, fault: Fault, times: Times) {
        let mut state = self.state();
        let switch = state.switch(fault);
        switch.times = times;
        switch.since = Instant::now();
        switch.occasions = 0;
    }

    /// How often `fault` has happened.
    pub fn fired(&self, fault: Fault) -> usize {
        self.state().switch(fault).fired
    }

    /// What a refusal by [`Fault::AcmeUnavailable`] or [`Fault::RateLimit`] says about when to come back.
    pub fn set_retry_after(&self, retry_after: RetryAfter) {
        self.state().retry_after = retry_after;
    }

    /// What `renewalInfo` proposes for every certificate, from then to then; the last third of its life if `None`.
    pub fn set_renewal_window(&self, window: Option<(Timestamp, Timestamp)>) {
        self.state().renewal_window = window;
    }

    /// What `renewalInfo` says about when to ask again; six hours if `None`.
    pub fn set_renewal_retry_after(&self, retry_after: Option<RetryAfter>) {
        self.state().renewal_retry_after = retry_after;
    }

    /// By how much the CA's clock is fast; slow if negative.
    pub fn set_clock_offset(&self, offset: SignedDuration) {
        self.state().clock_offset = offset;
    }

    /// Whether a `Retry-After` for what is under way is a date, not a number of seconds.
    pub fn set_waits_as_dates(&self, dates: bool) {
        self.state().waits_as_dates = dates;
    }

    /// Refuses orders for `name` with `rejectedIdentifier`.
    pub fn refuse_name(&self, name: &str) {
        self.state().refused.insert(name.to_ascii_lowercase());
    }

    /// How long the CA lets pass before it looks at a record.
    pub fn set_validation_delay(&self, delay: Duration) {
        self.state().validation_delay = delay;
    }

    /// How long an order stays in `processing` after `finalize`.
    pub fn set_issuance_delay(&self, delay: Duration) {
        self.state().issuance_delay = delay;
    }

    /// How long a certificate lives at most, whatever the sandbox was started with.
    pub fn set_longest_life(&self, life: Duration) {
        self.state().longest_life = Some(life);
    }

    /// Takes every fault back; what [`Faults::fired`] counted stays.
    pub fn clear(&self) {
        let mut state = self.state();
        for switch in state.switches.values_mut() {
            switch.times = Times::Never;
        }
        let switches = std::mem::take(&mut state.switches);
        *state = State { switches, ..State::default() };
    }

    /// Whether `fault` happens on this occasion, which is counted.
    pub(crate) fn fires(&self, fault: Fault) -> bool {
        self.state().switch(fault).fires()
    }

    pub(crate) fn refuses(&self, name: &str) -> bool {
        self.state().refused.contains(name)
    }

    pub(crate) fn retry_after(&self) -> RetryAfter {
        self.state().retry_after
    }

    pub(crate) fn renewal_window(&self) -> Option<(Timestamp, Timestamp)> {
        self.state().renewal_window
    }

    pub(crate) fn renewal_retry_after(&self) -> Option<RetryAfter> {
        self.state().renewal_retry_after
    }

    pub(crate) fn clock_offset(&self) -> SignedDuration {
        self.state().clock_offset
    }

    /// What is said of something that takes `delay`: whole seconds, or the date when it is done.
    pub(crate) fn wait(&self, delay: Duration) -> RetryAfter {
        let seconds = delay.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX);
        match self.state().waits_as_dates {
            true => RetryAfter::HttpDate(Duration::from_secs(seconds)),
            false => RetryAfter::Seconds(seconds),
        }
    }

    pub(crate) fn validation_delay(&self) -> Duration {
        self.state().validation_delay
    }

    pub(crate) fn issuance_delay(&self) -> Duration {
        self.state().issuance_delay
    }

    pub(crate) fn longest_life(&self) -> Option<Duration> {
        self.state().longest_life
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn switch(&mut self, fault: Fault) -> &mut Switch {
        let never = || Switch { times: Times::Never, since: Instant::now(), occasions: 0, fired: 0 };
        self.switches.entry(fault).or_insert_with(never)
    }
}

impl Switch {
    fn fires(&mut self) -> bool {
        self.occasions = self.occasions.wrapping_add(1);
        let fires = match &mut self.times {
            Times::AllBut(n) => self.occasions.checked_rem(*n) != Some(0),
            Times::Always => true,
            Times::For(duration) => self.since.elapsed() < *duration,
            Times::Every(n) => self.occasions.checked_rem(*n) == Some(0),
            Times::Never | Times::Next(0) => false,
            Times::Nth(n) => self.occasions == *n,
            Times::Next(left) => {
                *left -= 1;
                true
            }
        };
        self.fired += usize::from(fires);
        fires
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_as_often_as_asked() {
        let cases = [
            (Times::AllBut(0), [true, true, true, true]),
            (Times::AllBut(2), [true, false, true, false]),
            (Times::AllBut(3), [true, true, false, true]),
            (Times::Always, [true, true, true, true]),
            (Times::Every(0), [false, false, false, false]),
            (Times::Every(2), [false, true, false, true]),
            (Times::For(Duration::ZERO), [false, false, false, false]),
            (Times::For(Duration::from_secs(3600)), [true, true, true, true]),
            (Times::Never, [false, false, false, false]),
            (Times::Next(2), [true, true, false, false]),
            (Times::Nth(0), [false, false, false, false]),
            (Times::Nth(3), [false, false, true, false]),
        ];
        for (times, expected) in cases {
            let faults = Faults::default();
            faults.set(Fault::BadNonce, times);
            let seen = [(); 4].map(|()| faults.fires(Fault::BadNonce));
            assert_eq!(seen, expected, "{times:?}");
            let count = expected.iter().filter(|fires| **fires).count();
            assert_eq!(faults.fired(Fault::BadNonce), count, "{times:?}");
        }
    }

    #[test]
    fn cleared_faults_no_longer_happen() {
        let faults = Faults::default();
        faults.set(Fault::HideTxt, Times::Always);
        faults.refuse_name("A.example.com");
        assert!(faults.fires(Fault::HideTxt) && faults.refuses("a.example.com"));
        faults.clear();
        assert!(!faults.fires(Fault::HideTxt) && !faults.refuses("a.example.com"));
        assert_eq!(faults.fired(Fault::HideTxt), 1);
    }
}
