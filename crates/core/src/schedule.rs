//! In which order due work is begun, and how much of it at once.
//!
//! Rules for a store that keeps two numbers with each entry that has an application: its [`Urgency`] and the instant at
//! which it is due. They can be indexed together, and are all that it needs to pick what to begin:
//!
//! 1. What has become urgent with time is marked: `urgency = 1` where it is 3 and [`urgent_at`] has passed, `urgency = 0`
//!    where the certificate has expired. Both instants are written with the version.
//! 2. What is due is begun in the order of urgency, due instant and number, at most [`Pace::free`] at a time; how many
//!    were begun within the last minute, by any node, is counted in the store.
//! 3. When there is a crowd, more overdue than may begin within some minutes (after an outage, a restart, a mass
//!    revocation), all that is due within the next day is read once, [`spread`], and the due instants that changed are
//!    written. What is planned already has to be among it: two plans that do not know of each other crowd again. Until
//!    then step 2 is right too, but knows nothing of owners.
//!
//! Nobody starves: a renewal that is put off becomes urgent by itself, an application has only what is urgent ahead of
//! it, and what fails is put off by the table of retries.
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use jiff::{SignedDuration, Timestamp};

use crate::renewal::{Validity, in_the_rush};

/// How pressing an entry's next issuance is; the smaller its number, the sooner it is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Urgency {
    /// The certificate has expired.
    Expired,
    /// The certificate soon expires: see [`urgent_at`].
    Expiring,
    /// Somebody waits for a first certificate.
    Application,
    /// A certificate is renewed in good time.
    Renewal,
}

impl Urgency {
    /// All of them, the most pressing first.
    pub const ALL: [Urgency; 4] = [Urgency::Expired, Urgency::Expiring, Urgency::Application, Urgency::Renewal];

    /// The urgency of an entry at an instant: of the version it holds, `None` when it holds none.
    pub fn of(held: Option<Validity>, now: Timestamp) -> Urgency {
        match held {
            None => Urgency::Application,
            Some(validity) if validity.not_after <= now => Urgency::Expired,
            Some(validity) if urgent_at(validity) <= now => Urgency::Expiring,
            Some(_) => Urgency::Renewal,
        }
    }

    /// The stable number, as stored and indexed.
    pub const fn number(self) -> i64 {
        match self {
            Urgency::Expired => 0,
            Urgency::Expiring => 1,
            Urgency::Application => 2,
            Urgency::Renewal => 3,
        }
    }

    /// The one of this number.
    pub fn from_number(number: i64) -> Option<Urgency> {
        Urgency::ALL.into_iter().find(|urgency| urgency.number() == number)
    }
}

/// From when on a certificate is urgent: when a tenth of its life is left.
pub fn urgent_at(validity: Validity) -> Timestamp {
    validity.not_after.saturating_sub(validity.life() / 10).unwrap_or(validity.not_after)
}

/// An entry whose next issuance is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The entry's number.
    pub id: i64,
    /// Whose it is: the client's number, say.
    pub owner: i64,
    /// How pressing it is.
    pub urgency: Urgency,
    /// Since when it is due, or from when on.
    pub due: Timestamp,
}

/// When an entry's next issuance begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The entry's number.
    pub id: i64,
    /// How pressing it is.
    pub urgency: Urgency,
    /// The instant.
    pub at: Timestamp,
}

/// How many issuances begin within a minute at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// At least 1 is meant; 0 counts as 1.
    pub per_minute: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { per_minute: 60 }
    }
}

impl Pace {
    /// How many may begin now, when so many were begun within the last minute.
    pub fn free(self, begun_within_a_minute: u64) -> u32 {
        let begun = u32::try_from(begun_within_a_minute).unwrap_or(u32::MAX);
        self.per_minute.max(1).saturating_sub(begun)
    }

    /// How far apart two beginnings are; rounded up, so that no minute holds one too many.
    fn gap(self) -> SignedDuration {
        let per_minute = i64::from(self.per_minute.max(1));
        SignedDuration::from_micros((60_000_000 + per_minute - 1) / per_minute)
    }
}

/// The order in which work is begun: by urgency; within it the owners take turns, each with what has been due
/// for longest.
pub fn in_order(mut work: Vec<Due>) -> Vec<Due> {
    work.sort_by_key(|due| (due.urgency, due.due, due.id));
    let mut turns: BTreeMap<(Urgency, i64), u64> = BTreeMap::new();
    let mut with_turn: Vec<(u64, Due)> = work
        .into_iter()
        .map(|due| {
            let turn = turns.entry((due.urgency, due.owner)).or_default();
            *turn += 1;
            (*turn, due)
        })
        .collect();
    with_turn.sort_by_key(|(turn, due)| (due.urgency, *turn, due.due, due.id));
    with_turn.into_iter().map(|(_, due)| due).collect()
}

/// At which instant each begins that is due by now or will be: none before it is due, never more within a minute than
/// the pace allows, of those that are due the first [`in_order`]. Renewals in good time keep out of the first minutes of
/// an hour; what is urgent or waited for does not. Where there is no crowd, the instants stay as they are, but for the
/// hour and the distance of two. `draw` in `[0, 1)` shifts what is overdue by less than that.
pub fn spread(work: Vec<Due>, now: Timestamp, pace: Pace, draw: f64) -> Vec<Start> {
    let gap = pace.gap();
    let ordered = in_order(work);
    let mut coming: Vec<(Timestamp, usize)> = ordered.iter().map(|due| due.due).zip(0..).collect();
    coming.sort_unstable_by(|one, other| other.cmp(one));
    let mut ready = BinaryHeap::new();
    let mut slot = now.saturating_add(gap.mul_f64(draw.clamp(0.0, 1.0))).unwrap_or(now);
    let mut starts = Vec::with_capacity(ordered.len());
    loop {
        while let Some((_, rank)) = coming.pop_if(|(due, _)| *due <= slot) {
            ready.push(Reverse(rank));
        }
        let next_due = coming.last().map(|(due, _)| *due);
        let Some(due) = ready.peek().and_then(|Reverse(rank)| ordered.get(*rank)) else {
            let Some(next_due) = next_due else { return starts };
            slot = next_due;
            continue;
        };
        // In the rush only what is more pressing may come in between.
        if due.urgency == Urgency::Renewal
            && let Some(later) = in_the_rush(slot)
        {
            slot = next_due.map_or(later, |next_due| next_due.min(later));
            continue;
        }
        starts.push(Start { id: due.id, urgency: due.urgency, at: slot });
        ready.pop();
        slot = slot.saturating_add(gap).unwrap_or(slot);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const NOW: i64 = 1_800_000_000;

    /// Half of it overdue, the other half due within a few hours.
    fn work() -> impl Strategy<Value = Vec<Due>> {
        let one = (0i64..5, 0usize..4, NOW - 10_000..NOW + 10_000);
        prop::collection::vec(one, 0..400).prop_map(|all| {
            let due = |(id, (owner, urgency, due)): (usize, (i64, usize, i64))| Due {
                id: id as i64,
                owner,
                urgency: Urgency::ALL[urgency],
                due: at(due),
            };
            all.into_iter().enumerate().map(due).collect()
        })
    }

    proptest! {
        #[test]
        fn everything_begins_once_when_it_is_due_at_no_more_than_the_pace(
            work in work(), later in 0i64..4_000, per_minute in 1u32..90, draw in 0.0f64..1.0,
        ) {
            let now = at(NOW + later);
            let dues: HashMap<i64, Timestamp> = work.iter().map(|due| (due.id, due.due)).collect();
            let starts = spread(work.clone(), now, Pace { per_minute }, draw);
            let ids: BTreeSet<i64> = starts.iter().map(|start| start.id).collect();
            prop_assert_eq!((ids.len(), starts.len()), (work.len(), work.len()));
            prop_assert!(starts.is_sorted_by_key(|start| start.at));
            for window in starts.windows(per_minute as usize + 1) {
                let first_to_last = window.last().unwrap().at.duration_since(window.first().unwrap().at);
                prop_assert!(first_to_last >= SignedDuration::from_mins(1));
            }
            for (number, start) in starts.iter().enumerate() {
                prop_assert!(start.at >= now.max(dues[&start.id]));
                prop_assert!(start.urgency != Urgency::Renewal || start.at.as_second().rem_euclid(3600) >= 120);
                let passed_by = |after: &&Start| after.urgency < start.urgency && dues[&after.id] <= start.at;
                prop_assert_eq!(starts.iter().skip(number).find(passed_by), None);
            }
            // No time is wasted either: each waits for others only, or for the hour.
            let busy = |seconds: i64| seconds + seconds / 3_480 * 120 + 120;
            let all = busy(work.len() as i64 * 60 / i64::from(per_minute) + work.len() as i64 / 60 + 60);
            prop_assert!(starts.iter().all(|start| start.at <= now.max(at(NOW + 10_000)) + SignedDuration::from_secs(all)));
        }

        #[test]
        fn where_there_is_no_crowd_nothing_is_put_off(count in 0i64..50, draw in 0.0f64..1.0) {
            let due = |id| Due { id, owner: id, urgency: Urgency::Application, due: at(NOW + 60 + id * 60) };
            let starts = spread((0..count).map(due).collect(), at(NOW), Pace::default(), draw);
            prop_assert!(starts.iter().all(|start| start.at == at(NOW + 60 + start.id * 60)));
        }

        #[test]
        fn no_owner_begins_twice_before_another_who_waits_has_begun_as_often(overdue in work()) {
            let ordered = in_order(overdue.clone());
            for urgency in Urgency::ALL {
                let total = |owner| overdue.iter().filter(|due| due.urgency == urgency && due.owner == owner).count();
                let mut begun: HashMap<i64, usize> = HashMap::new();
                for due in ordered.iter().filter(|due| due.urgency == urgency) {
                    let mine = begun.get(&due.owner).copied().unwrap_or(0);
                    for other in 0..5 {
                        let theirs = begun.get(&other).copied().unwrap_or(0);
                        prop_assert!(theirs >= mine || theirs == total(other));
                    }
                    *begun.entry(due.owner).or_default() += 1;
                }
            }
        }

        #[test]
        fn a_renewal_becomes_urgent_before_it_expires(start in 0i64..4_000_000_000, life in 60i64..40_000_000) {
            let validity = Validity { not_before: at(start), not_after: at(start + life) };
            let urgent = urgent_at(validity);
            prop_assert!(urgent > validity.not_before && urgent < validity.not_after);
            prop_assert!(crate::renewal::renew_at(validity, crate::renewal::Policy::default(), 0.0) < urgent || life < 3_600);
            let second = SignedDuration::from_secs(1);
            prop_assert_eq!(Urgency::of(Some(validity), urgent - second), Urgency::Renewal);
            prop_assert_eq!(Urgency::of(Some(validity), urgent), Urgency::Expiring);
            prop_assert_eq!(Urgency::of(Some(validity), validity.not_after), Urgency::Expired);
            prop_assert_eq!(Urgency::of(None, urgent), Urgency::Application);
        }
    }

    #[test]
    fn ten_thousand_after_an_outage_take_hours_and_one_who_just_came_does_not() {
        let renewal = |id| Due { id, owner: id % 3, urgency: Urgency::Renewal, due: at(id) };
        let mut overdue: Vec<Due> = (0..10_000).map(renewal).collect();
        overdue.push(Due { id: 10_000, owner: 7, urgency: Urgency::Application, due: at(20_000) });
        overdue.push(Due { id: 10_001, owner: 7, urgency: Urgency::Expired, due: at(20_000) });
        let starts = spread(overdue, at(20_000), Pace::default(), 0.5);
        assert_eq!(starts.iter().take(2).map(|start| start.id).collect::<Vec<_>>(), [10_001, 10_000]);
        let took = starts.last().unwrap().at.duration_since(at(20_000));
        assert!(took > SignedDuration::from_mins(10_000 / 60) && took < SignedDuration::from_hours(3), "{took}");
    }

    #[test]
    fn the_numbers_keep_their_order() {
        for urgency in Urgency::ALL {
            assert_eq!(Urgency::from_number(urgency.number()), Some(urgency));
        }
        assert!(Urgency::ALL.is_sorted() && Urgency::ALL.is_sorted_by_key(|urgency| urgency.number()));
        assert_eq!((Pace::default().free(0), Pace::default().free(59), Pace::default().free(1_000_000)), (60, 1, 0));
        assert_eq!(Pace { per_minute: 0 }.free(0), 1);
    }
}
