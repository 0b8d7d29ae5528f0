//! In which order due work is begun, and how much of it at once.
//!
//! The store keeps an [`Urgency`] with each entry and picks class by class, the most pressing first:
//!
//! 1. What has become more pressing with time is marked: it is urgent from [`urgent_at`] on, and expired in the end.
//! 2. An application that is due gets a turn ([`Turns`]), so that no client waits for all that another asks for.
//! 3. Renewals in good time begin at a [`Pace`], counted over all nodes, and not in the first minutes of an hour
//!    ([`held_until`]). What is pressing or waited for is not held back: the places for work bound it.
//!
//! Nobody starves: a renewal that is put off becomes urgent by itself, an application has only what is urgent and one turn
//! of each other client ahead of it, and what fails is put off by the table of retries.
use std::collections::BTreeMap;
use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};

use crate::renewal::{Validity, in_the_rush};

/// How pressing an entry's next issuance is; the smaller its number, the sooner it is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Urgency {
    /// The certificate has expired.
    Expired,
    /// The certificate soon expires: see [`urgent_at`].
    Expiring,
    /// Somebody waits for it.
    Application,
    /// A certificate is renewed in good time.
    Renewal,
}

impl Urgency {
    /// All of them, the most pressing first.
    pub const ALL: [Urgency; 4] = [Urgency::Expired, Urgency::Expiring, Urgency::Application, Urgency::Renewal];

    /// The stable number, as stored and indexed.
    pub const fn number(self) -> i64 {
        match self {
            Urgency::Expired => 0,
            Urgency::Expiring => 1,
            Urgency::Application => 2,
            Urgency::Renewal => 3,
        }
    }
}

/// However long a certificate lives, its last hour is urgent.
const LAST: SignedDuration = SignedDuration::from_hours(1);

/// From when on a certificate is urgent: when a tenth of its life is left, or an hour.
pub fn urgent_at(validity: Validity) -> Timestamp {
    let left = (validity.life() / 10).max(LAST).min(validity.life());
    validity.not_after.saturating_sub(left).unwrap_or(validity.not_after)
}

/// How many renewals in good time begin within any minute at most, over all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// So many.
    pub per_minute: NonZeroU32,
}

impl Default for Pace {
    /// Ten thousand that an outage has made overdue begin within an hour and a half, a million within a week: a fraction of
    /// the time that is left of the shortest certificates that public CAs issue by then, and hardly a load for either side.
    fn default() -> Self {
        Pace { per_minute: NonZeroU32::MIN.saturating_add(119) }
    }
}

impl Pace {
    /// How many may begin at the same instant: one, or a tenth of a second's share where that is more.
    pub fn at_once(self) -> u32 {
        1 + self.per_minute.get() / 600
    }

    /// From when on the next may begin, when so many begin now, [`Pace::at_once`] at most.
    pub fn next(self, now: Timestamp, begun: u32) -> Timestamp {
        // Those that begin together may be the last within a minute.
        let per_minute = i64::from(self.per_minute.get()) - i64::from(self.at_once()) + 1;
        let gap = SignedDuration::from_micros((60_000_000 + per_minute - 1) / per_minute);
        now.saturating_add(gap.saturating_mul(i32::try_from(begun).unwrap_or(i32::MAX))).unwrap_or(now)
    }
}

/// Further ahead nothing is held back: whoever said so had a clock that was ahead.
pub const LONGEST_HOLD: SignedDuration = SignedDuration::from_mins(5);

/// Until when no renewal in good time begins, where not now: not before `from`, which is what [`Pace::next`] said last or
/// what was answered here, and not in the first minutes of an hour, when everybody's timers ring.
pub fn held_until(from: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let from = if from.duration_since(now) > LONGEST_HOLD { now } else { from.max(now) };
    in_the_rush(from).or((from > now).then_some(from))
}

/// Hands out turns to applications that are due, so that the owners' applications begin alternately. Those with lower turns
/// begin first, of one turn the one that has been due for longest.
///
/// An owner's application gets the turn after the owner's last, or the one that is up where that is past. So before an
/// owner's n-th of those that wait, at most n of each other owner begin that came later.
#[derive(Debug)]
pub struct Turns {
    /// The turn that is up.
    first: i64,
    /// The last turns of owners, of those that were handed out here.
    last: BTreeMap<i64, i64>,
}

impl Turns {
    /// Turns where `first` is the lowest of those that wait, or else the highest that was ever handed out.
    pub fn new(first: Option<i64>) -> Turns {
        Turns { first: first.unwrap_or(1), last: BTreeMap::new() }
    }

    /// The turn of an owner's next application; `before` is the owner's last that was handed out before these.
    pub fn take(&mut self, owner: i64, before: Option<i64>) -> i64 {
        let last = self.last.get(&owner).copied().or(before);
        let turn = last.map_or(self.first, |last| last.saturating_add(1).max(self.first));
        self.last.insert(owner, turn);
        turn
    }

    /// The owners that got turns, and the last of each.
    pub fn last(&self) -> impl Iterator<Item = (i64, i64)> {
        self.last.iter().map(|(owner, last)| (*owner, *last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;
    use crate::renewal::{Policy, renew_at};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Half an hour past the hour.
    const NOW: i64 = 1_800_001_800;

    fn pace(per_minute: u32) -> Pace {
        Pace { per_minute: NonZeroU32::new(per_minute).unwrap() }
    }

    proptest! {
        #[test]
        fn no_minute_holds_more_than_the_pace(
            per_minute in 1u32..3_000, looks in prop::collection::vec((0i64..400_000, 1u32..9), 1..300), late in 0i64..3_600,
        ) {
            let pace = pace(per_minute);
            let (mut now, mut from) = (at(NOW + late), Timestamp::MIN);
            let mut begun = Vec::new();
            for (pause, wanted) in looks {
                now = now.saturating_add(SignedDuration::from_micros(pause)).unwrap();
                if let Some(until) = held_until(from, now) {
                    prop_assert!(until > now && until >= from && in_the_rush(until).is_none());
                    from = until;
                    continue;
                }
                let count = wanted.min(pace.at_once());
                from = pace.next(now, count);
                begun.extend((0..count).map(|_| now));
                prop_assert!(in_the_rush(now).is_none());
            }
            for window in begun.windows(per_minute as usize + 1) {
                let first_to_last = window.last().unwrap().duration_since(*window.first().unwrap());
                prop_assert!(first_to_last >= SignedDuration::from_mins(1), "{per_minute}: {first_to_last}");
            }
        }

        #[test]
        fn whoever_looks_when_told_wastes_no_time(per_minute in 1u32..3_000, late in 0i64..3_600) {
            let pace = pace(per_minute);
            let (begin, mut now, mut begun) = (at(NOW + late), at(NOW + late), 0);
            while begun < u64::from(per_minute) * 5 {
                match held_until(now, now) {
                    Some(until) => now = until,
                    None => {
                        now = pace.next(now, pace.at_once());
                        begun += u64::from(pace.at_once());
                    }
                }
            }
            // Five minutes, some more for rounding, and the beginning of an hour.
            let took = now.duration_since(begin);
            prop_assert!(took <= SignedDuration::from_secs(300 + 120 + 2), "{per_minute}: {took}");
        }

        #[test]
        fn before_an_owners_nth_at_most_n_of_another_begin_that_came_later(
            arrivals in prop::collection::vec((0i64..4, 0usize..4), 1..200),
        ) {
            let mut waiting: Vec<(i64, usize, i64)> = Vec::new();
            let mut last: HashMap<i64, i64> = HashMap::new();
            // How many of each owner have passed one that waits, and how many of its owner were ahead when it came.
            let mut passed: HashMap<(usize, i64), usize> = HashMap::new();
            let mut ahead: HashMap<usize, usize> = HashMap::new();
            for (number, (owner, begin)) in arrivals.into_iter().enumerate() {
                ahead.insert(number, waiting.iter().filter(|(_, _, other)| *other == owner).count());
                let first = waiting.iter().map(|(turn, ..)| *turn).min().or(last.values().copied().max());
                let mut turns = Turns::new(first);
                waiting.push((turns.take(owner, last.get(&owner).copied()), number, owner));
                last.extend(turns.last());
                waiting.sort_unstable();
                for (_, begun, of) in waiting.drain(..begin.min(waiting.len())).collect::<Vec<_>>() {
                    for (_, still, owner) in waiting.iter().filter(|(_, still, owner)| *still < begun && *owner != of) {
                        let by = passed.entry((*still, of)).or_default();
                        *by += 1;
                        prop_assert!(*by <= ahead[still] + 1, "{still} of {owner} was passed by {of} {by} times");
                    }
                }
            }
        }

        #[test]
        fn turns_of_a_batch_are_those_that_one_by_one_would_get(owners in prop::collection::vec(0i64..4, 1..60)) {
            let mut at_once = Turns::new(None);
            let batch: Vec<i64> = owners.iter().map(|owner| at_once.take(*owner, None)).collect();
            let mut last: HashMap<i64, i64> = HashMap::new();
            for (number, owner) in owners.iter().enumerate() {
                // The first of those that wait, which none of them leaves.
                let mut alone = Turns::new(batch[..number].first().copied());
                prop_assert_eq!(alone.take(*owner, last.get(owner).copied()), batch[number]);
                last.extend(alone.last());
            }
        }

        #[test]
        fn a_renewal_becomes_urgent_before_it_expires(start in 0i64..4_000_000_000, life in 60i64..40_000_000) {
            let validity = Validity { not_before: at(start), not_after: at(start + life) };
            let urgent = urgent_at(validity);
            prop_assert!(urgent >= validity.not_before && urgent < validity.not_after);
            let left = validity.not_after.duration_since(urgent);
            prop_assert!(left >= LAST.min(validity.life()) && left <= LAST.max(validity.life() / 10));
            prop_assert!(renew_at(validity, Policy::default(), 0.0) < urgent || life < 3 * 3_600);
        }
    }

    #[test]
    fn a_client_that_asks_for_five_thousand_does_not_keep_another_waiting() {
        let mut turns = Turns::new(None);
        let mut waiting: Vec<(i64, usize)> = (0..5_000).map(|number| (turns.take(1, None), number)).collect();
        waiting.push((turns.take(2, None), 5_000));
        waiting.sort_unstable();
        assert_eq!(waiting.iter().position(|(_, number)| *number == 5_000), Some(1));
        // It has its turn as often as the other, not more, however often it comes.
        let mut later = Turns::new(Some(1_000));
        assert_eq!([later.take(2, Some(1)), later.take(2, Some(1)), later.take(1, Some(5_000))], [1_000, 1_001, 5_001]);
        assert_eq!(Turns::new(Some(1_000)).take(2, Some(1_000)), 1_001);
    }

    #[test]
    fn what_a_clock_that_was_ahead_said_holds_nothing_back() {
        let hours = |hours: i64| at(NOW + hours * 3_600);
        assert_eq!(held_until(hours(1), hours(0)), None);
        assert_eq!(held_until(at(NOW + 60), hours(0)), Some(at(NOW + 60)));
        assert_eq!(held_until(hours(-1), hours(0)), None);
        // On the hour, and shortly before it.
        let hour = NOW + 1_800;
        assert_eq!(held_until(at(0), at(hour)), Some(at(hour + 120)));
        assert_eq!(held_until(at(hour + 30), at(hour - 10)), Some(at(hour + 120)));
        assert_eq!(held_until(at(hour + 120), at(hour - 10)), Some(at(hour + 120)));
    }

    #[test]
    fn the_numbers_keep_their_order() {
        assert!(Urgency::ALL.is_sorted() && Urgency::ALL.is_sorted_by_key(|urgency| urgency.number()));
        assert_eq!(Urgency::ALL.iter().map(|urgency| urgency.number()).collect::<HashSet<_>>().len(), 4);
    }
}
