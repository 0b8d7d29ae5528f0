//! Slows down an address that keeps failing at what anyone may try without a token.
//!
//! Its failures are told late, never its successes: a client that loops with a dead token is held to [`RATE`] whatever
//! it does, and another client behind the same address notices nothing. All addresses together are held to [`ALL`].
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures a second that are told at once to one address, in the long run.
const RATE: u32 = 100;
/// The same, to all addresses together.
const ALL: u32 = 250;
/// Failures in a row that are told at once.
const BURST: u32 = 100;
/// Who is held is let go with all others at the end of such a span: between two ends a flood costs nothing, and each of
/// its callers alone would wake the process as often as it likes.
const SPAN: Duration = Duration::from_millis(50);
/// Longest delay. It bounds how many answers wait, and stays below what clients take for a dead server.
const LONGEST: Duration = Duration::from_secs(1);
/// Most addresses that are remembered.
const MAX_ADDRESSES: usize = 4096;

/// Who has failed, and when all of it will have been paid for (GCRA).
#[derive(Debug)]
pub(super) struct Tarpit {
    debts: Mutex<Debts>,
    /// From here on the spans are counted.
    opened: Instant,
}

impl Default for Tarpit {
    fn default() -> Self {
        Tarpit { debts: Mutex::default(), opened: Instant::now() }
    }
}

#[derive(Debug, Default)]
struct Debts {
    addresses: HashMap<IpAddr, Instant>,
    all: Option<Instant>,
}

impl Tarpit {
    /// Counts a failure and waits for as long as it has to.
    pub(super) async fn hold(&self, address: IpAddr) {
        let now = Instant::now();
        let delay = self.delay(address, now);
        if !delay.is_zero() {
            tokio::time::sleep_until(self.end_of_span(now + delay)).await;
        }
    }

    fn end_of_span(&self, instant: Instant) -> Instant {
        let spans = instant.duration_since(self.opened).as_millis().div_ceil(SPAN.as_millis());
        self.opened + SPAN.saturating_mul(u32::try_from(spans).unwrap_or(u32::MAX))
    }

    fn delay(&self, address: IpAddr, now: Instant) -> Duration {
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        let all = pay(debts.all.get_or_insert(now), ALL, now);
        let addresses = &mut debts.addresses;
        if addresses.len() >= MAX_ADDRESSES {
            addresses.retain(|_, paid| *paid > now);
            if addresses.len() >= MAX_ADDRESSES {
                addresses.clear();
            }
        }
        all.max(pay(addresses.entry(neighbourhood(address)).or_insert(now), RATE, now))
    }
}

/// Counts a failure; answers how long it is held.
fn pay(paid: &mut Instant, rate: u32, now: Instant) -> Duration {
    let cost = Duration::from_secs(1) / rate;
    // A caller that is delayed by the longest delay owes no more than that: it is not held for what it cannot send.
    *paid = ((*paid).max(now) + cost).min(now + cost * BURST + LONGEST);
    paid.saturating_duration_since(now).saturating_sub(cost * BURST)
}

/// What counts as one address: itself, or the /64 that a site commonly has in IPv6.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn one_caller_at_a_time_is_held_to_the_rate() {
        let (tarpit, started) = (Tarpit::default(), Instant::now());
        let mut now = started;
        for _ in 0..BURST {
            now += tarpit.delay(LOOPER, now);
        }
        assert_eq!(now, started);
        for _ in 0..RATE * 4 {
            now += tarpit.delay(LOOPER, now);
        }
        assert_eq!((now - started).as_millis(), 4000);
    }

    #[test]
    fn no_answer_waits_longer_than_the_longest_delay_and_debts_are_paid() {
        let (tarpit, now) = (Tarpit::default(), Instant::now());
        let longest = (0..100_000).map(|_| tarpit.delay(LOOPER, now)).max();
        assert_eq!(longest, Some(LONGEST));
        let later = now + Duration::from_secs(2);
        assert_eq!(tarpit.delay("192.0.2.2".parse().unwrap(), later), Duration::ZERO);
        assert_eq!(tarpit.delay(LOOPER, later), Duration::ZERO);
    }

    #[test]
    fn many_callers_together_are_held_to_the_rate_of_all() {
        let (tarpit, started) = (Tarpit::default(), Instant::now());
        let mut now = started;
        for caller in 0..BURST + ALL * 4 {
            now += tarpit.delay(IpAddr::V4((caller % 1000).into()), now);
        }
        assert_eq!((now - started).as_millis(), 4000);
    }

    #[test]
    fn memory_is_bounded() {
        let (tarpit, now) = (Tarpit::default(), Instant::now());
        for bits in 0..3 * u32::try_from(MAX_ADDRESSES).unwrap() {
            tarpit.delay(IpAddr::V4(bits.into()), now);
        }
        assert!(tarpit.debts.lock().unwrap().addresses.len() <= MAX_ADDRESSES);
    }
}
