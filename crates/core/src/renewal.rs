//! When a certificate is replaced, and when a failed attempt is repeated: pure functions of time.
use jiff::{SignedDuration, Timestamp};

/// From when to when a certificate is valid (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second of validity.
    pub not_before: Timestamp,
    /// Last second of validity.
    pub not_after: Timestamp,
}

impl Validity {
    /// How long it is valid in all; never negative.
    pub fn life(&self) -> SignedDuration {
        self.not_after.duration_since(self.not_before).max(SignedDuration::ZERO)
    }
}

/// How renewal is planned. Fractions of a certificate's life, never a number of days.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Renewed when this part of its life is left.
    pub part_left: f64,
    /// A life shorter than this is short …
    pub short_life: SignedDuration,
    /// … and renewed when this part of it is left.
    pub short_part_left: f64,
    /// Renewals are spread over this part of the life before the planned instant, so that what was issued together is
    /// not renewed together.
    pub spread: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { part_left: 1.0 / 3.0, short_life: SignedDuration::from_hours(240), short_part_left: 0.5, spread: 0.02 }
    }
}

/// The instant at which a certificate is to be renewed; `draw` in `[0, 1)` is chosen once per version and spreads
/// renewals. Always after `not_before` and before `not_after` where the life is longer than zero.
pub fn renew_at(validity: Validity, policy: Policy, draw: f64) -> Timestamp {
    let life = validity.life();
    let part = if life < policy.short_life { policy.short_part_left } else { policy.part_left };
    let left = (part + policy.spread * draw.clamp(0.0, 1.0)).clamp(0.0, 1.0);
    let at = validity.not_after.saturating_sub(life.mul_f64(left)).unwrap_or(validity.not_after);
    if life > SignedDuration::from_hours(24) { off_the_hour(at, draw) } else { at }
}

/// The same for a version that was issued just now: never so soon that renewals chase each other, whatever the CA's
/// clock or ours makes of its life. A third of what is left has to pass, and ten seconds at least.
pub fn renew_after_issue(now: Timestamp, validity: Validity, policy: Policy, draw: f64) -> Timestamp {
    let left = validity.not_after.duration_since(now).max(SignedDuration::ZERO);
    let earliest = now.saturating_add((left / 3).max(SignedDuration::from_secs(10))).unwrap_or(now);
    renew_at(validity, policy, draw).max(earliest)
}

/// How long to wait after the `failures`-th failure in a row (the first is 1): 1, 10, 100 minutes, then a day.
pub fn retry_delay(failures: u32) -> SignedDuration {
    match failures {
        0 | 1 => SignedDuration::from_mins(1),
        2 => SignedDuration::from_mins(10),
        3 => SignedDuration::from_mins(100),
        _ => SignedDuration::from_hours(24),
    }
}

/// The longest that another side may keep us waiting: the longest window of a public CA's limits and a day.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(8 * 24);

/// When to try again after the `failures`-th failure in a row: the table's delay and up to a tenth more, not before
/// what the other side asked for (eight days at most), never on the hour. `draw` in `[0, 1)`.
pub fn retry_at(now: Timestamp, failures: u32, not_before: Option<Timestamp>, draw: f64) -> Timestamp {
    let delay = retry_delay(failures);
    let delay = delay.saturating_add(delay.mul_f64(draw.clamp(0.0, 1.0) / 10.0));
    let at = now.saturating_add(delay).unwrap_or(now);
    let latest = now.saturating_add(LONGEST_WAIT).unwrap_or(now);
    off_the_hour(not_before.map_or(at, |earliest| at.max(earliest.min(latest))), draw)
}

/// The same for an entry that holds a certificate: it is tried again before a sixth of the time that is left to it has
/// passed, so that a CA that comes back in between is not missed. Not more often than hourly for that, and not before
/// what the other side asked for.
pub fn retry_in_time(now: Timestamp, failures: u32, not_before: Option<Timestamp>, not_after: Timestamp, draw: f64) -> Timestamp {
    let left = not_after.duration_since(now).max(SignedDuration::ZERO);
    let longest = (left / 6).max(SignedDuration::from_hours(1));
    let in_time = now.saturating_add(longest.mul_f64(1.0 - draw.clamp(0.0, 1.0) / 10.0)).unwrap_or(now);
    let at = retry_at(now, failures, not_before, draw);
    if retry_at(now, failures, None, draw) <= in_time {
        return at;
    }
    let latest = now.saturating_add(LONGEST_WAIT).unwrap_or(now);
    off_the_hour(not_before.map_or(in_time, |earliest| in_time.max(earliest.min(latest))), draw)
}

/// How long everybody's timers ring, from each full hour on.
const RUSH: i64 = 120;

/// The end of the rush, if the instant is in the first two minutes of an hour.
pub(crate) fn in_the_rush(at: Timestamp) -> Option<Timestamp> {
    let into_the_hour = at.as_second().rem_euclid(3600);
    let end = Timestamp::from_second(at.as_second().saturating_add(RUSH - into_the_hour));
    if into_the_hour < RUSH { end.ok() } else { None }
}

/// An instant in the first two minutes of an hour, when everybody's timers ring, moved one to six minutes on.
fn off_the_hour(at: Timestamp, draw: f64) -> Timestamp {
    if in_the_rush(at).is_none() {
        return at;
    }
    let shift = SignedDuration::from_secs(120).saturating_add(SignedDuration::from_secs(240).mul_f64(draw.clamp(0.0, 1.0)));
    at.saturating_add(shift).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    proptest! {
        #[test]
        fn renewal_falls_inside_the_life(start in 0i64..4_000_000_000, life in 20i64..40_000_000, draw in 0.0f64..1.0) {
            let validity = Validity { not_before: at(start), not_after: at(start + life) };
            let renewal = renew_at(validity, Policy::default(), draw);
            prop_assert!(renewal > validity.not_before && renewal < validity.not_after);
            let left = validity.not_after.duration_since(renewal).as_secs_f64() / life as f64;
            let part = if life < 240 * 3600 { 0.5 } else { 1.0 / 3.0 };
            // The shift off the hour is at most six minutes.
            prop_assert!(left <= part + 0.021 && left >= part - 360.0 / life as f64 - 0.01, "left {left}");
        }

        #[test]
        fn what_was_issued_just_now_is_not_renewed_at_once(
            start in 0i64..4_000_000_000, life in 20i64..40_000_000, ahead in -1_000_000i64..50_000_000, draw in 0.0f64..1.0,
        ) {
            let validity = Validity { not_before: at(start), not_after: at(start + life) };
            let now = at((start + ahead).max(0));
            let renewal = renew_after_issue(now, validity, Policy::default(), draw);
            prop_assert!(renewal >= now + SignedDuration::from_secs(10));
            prop_assert!(renewal >= renew_at(validity, Policy::default(), draw));
            if validity.not_after.duration_since(now) > SignedDuration::from_secs(15) {
                prop_assert!(renewal < validity.not_after);
            }
        }

        #[test]
        fn retries_come_later_each_time_and_never_on_the_hour(now in 0i64..4_000_000_000, failures in 1u32..20, draw in 0.0f64..1.0) {
            let again = retry_at(at(now), failures, None, draw);
            let waited = again.duration_since(at(now));
            let table = retry_delay(failures);
            prop_assert!(waited >= table);
            prop_assert!(waited <= table + table.mul_f64(0.1) + SignedDuration::from_mins(6));
            prop_assert!(again.as_second() % 3600 >= 120);
        }

        #[test]
        fn what_is_left_of_a_life_allows_six_attempts_or_one_an_hour(
            now in 0i64..4_000_000_000, failures in 1u32..20, left in 0i64..40_000_000, draw in 0.0f64..1.0,
        ) {
            let again = retry_in_time(at(now), failures, None, at(now + left), draw);
            let waited = again.duration_since(at(now));
            prop_assert!(waited <= SignedDuration::from_secs((left / 6).max(3_600) + 360));
            prop_assert!(again <= retry_at(at(now), failures, None, draw) + SignedDuration::from_mins(6));
            prop_assert!(waited >= SignedDuration::from_mins(1) && again.as_second() % 3600 >= 120);
        }

        #[test]
        fn the_other_side_is_heeded_though_time_is_short(
            now in 0i64..4_000_000_000, ask in 0i64..1_000_000, left in 0i64..1_000_000, draw in 0.0f64..1.0,
        ) {
            let earliest = at(now + ask);
            let again = retry_in_time(at(now), 9, Some(earliest), at(now + left), draw);
            prop_assert!(again >= earliest.min(at(now) + LONGEST_WAIT));
        }

        #[test]
        fn the_other_side_is_heeded(now in 0i64..4_000_000_000, ask in 0i64..1_000_000, draw in 0.0f64..1.0) {
            let earliest = at(now + ask);
            let longest = at(now) + LONGEST_WAIT;
            prop_assert!(retry_at(at(now), 1, Some(earliest), draw) >= earliest.min(longest));
        }
    }

    #[test]
    fn nobody_keeps_us_waiting_for_years() {
        let again = retry_at(at(0), 1, Some(at(1_000_000_000)), 0.5);
        assert!(again <= at(8 * 86_400 + 360));
    }
}
