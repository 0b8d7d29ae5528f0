//! Two years of a thousand certificates, from 160 hours to 398 days, against a CA that enforces its limits, is away for
//! days and moves renewal windows: the rules of renewal, retries, limits and scheduling together, in simulated time.
//!
//! One pair of years takes some seconds; `CERTKEEP_SEEDS=100` plays as many different ones.
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::num::NonZeroU32;

use certkeep_core::ledger::{Act, Event, Standing};
use certkeep_core::name::DnsName;
use certkeep_core::renewal::{Policy, Validity, renew_after_issue, retry_at, retry_in_time};
use certkeep_core::schedule::{Pace, Turns, Urgency, held_until, urgent_at};
use jiff::Timestamp;

use crate::ledger::{Rows, at};
use crate::model_ca::ModelCa;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// An hour that is neither midnight nor a full one.
const BEGIN: i64 = 1_800_000_123 * SECOND;
const END: i64 = BEGIN + 2 * 365 * DAY;
const ACCOUNT: &str = "https://acme-v02.api.letsencrypt.org/acme/acct/1";
/// How many renewals begin within a minute: enough for these certificates, and soon reached.
const PACE: Pace = Pace { per_minute: NonZeroU32::MIN };
/// How many issuances are under way at once.
const PLACES: usize = 16;
const CERTIFICATES: usize = 1_000;

/// Numbers that look random and are the same in each run (Vigna's SplitMix64).
struct Dice(u64);

impl Dice {
    fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, end: i64) -> i64 {
        (self.draw() * end as f64) as i64
    }
}

struct Entry {
    names: Vec<DnsName>,
    owner: i64,
    life: i64,
    /// Whether its renewals say what they replace (RFC 9773).
    by_ari: bool,
    held: Option<Validity>,
    issued: Option<Timestamp>,
    failures: u32,
    due: i64,
    urgency: Urgency,
    /// When it becomes more pressing.
    urgent: Option<Timestamp>,
    /// Its turn among the applications, once it is due.
    turn: Option<i64>,
    /// What the CA is working at.
    order: Option<Standing>,
    /// Since when it has been meant to be renewed.
    window: i64,
    /// Whether what it holds is known to have expired.
    mourned: bool,
}

/// The world: what a store, a loop and a CA are to the real thing.
struct World {
    entries: Vec<Entry>,
    /// Instant and entry; what an entry's `due` no longer names is stale.
    agenda: BinaryHeap<Reverse<(i64, usize)>>,
    overdue: Vec<usize>,
    /// The last turn of each owner.
    last_turns: BTreeMap<i64, i64>,
    rows: Rows,
    ca: ModelCa,
    dice: Dice,
    outages: Vec<(i64, i64)>,
    /// How many orders stand.
    at_work: usize,
    /// From when on the next renewal in good time may begin.
    renewals_from: Timestamp,
    /// When a renewal in good time was begun, within the last hour.
    begun: VecDeque<i64>,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    issued: u64,
    unreachable: u64,
    failed_authorizations: u64,
    held_back: u64,
    /// Looks at which renewals had to wait for others or for the hour.
    put_off: u64,
    /// Renewals that were put off, and pressing by the time they began.
    became_urgent: u64,
    most_in_an_hour: usize,
    /// Expired though the CA was there for a whole day in which it was to be renewed.
    expired_without_excuse: Vec<String>,
    expired_with_excuse: u64,
    rows_at_most: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice(seed);
        let lives = [160 * HOUR, 10 * DAY, 45 * DAY, 64 * DAY, 90 * DAY, 200 * DAY, 398 * DAY];
        let mut entries = Vec::new();
        for number in 0..CERTIFICATES {
            // Eighty of one registered domain: more than the CA issues in a week.
            let domain = if number < 80 { "example.com".to_owned() } else { format!("example{}.co.uk", number % 90) };
            let mut names: Vec<DnsName> = vec![format!("pbx{number}.{domain}").parse().unwrap()];
            if number % 5 == 0 {
                names.push(format!("*.pbx{number}.{domain}").parse().unwrap());
            }
            let life = match number % 8 {
                7 => 160 * HOUR + dice.below(398 * DAY - 160 * HOUR),
                some => lives[some],
            };
            let due = BEGIN;
            let by_ari = number % 2 == 0;
            let owner = (number % 13) as i64;
            entries.push(Entry {
                names,
                owner,
                life,
                by_ari,
                held: None,
                issued: None,
                failures: 0,
                due,
                urgency: Urgency::Application,
                urgent: None,
                turn: None,
                order: None,
                mourned: false,
                window: due,
            });
        }
        let mut outages = Vec::new();
        let mut from = BEGIN + 5 * DAY;
        while from < END {
            // One of them is longer than short-lived certificates can bear.
            let long = if outages.len() == 5 { 7 * DAY } else { 3 * DAY };
            outages.push((from, from + long));
            from += long + 20 * DAY + dice.below(40 * DAY);
        }
        let agenda = entries.iter().enumerate().map(|(number, entry)| Reverse((entry.due, number))).collect();
        let (rows, ca) = (Rows::default(), ModelCa::default());
        let (begun, renewals_from, tally) = (VecDeque::new(), at(BEGIN), Tally::default());
        let (overdue, last_turns) = (Vec::new(), BTreeMap::new());
        World { entries, agenda, overdue, last_turns, rows, ca, dice, outages, at_work: 0, renewals_from, begun, tally }
    }

    fn is_away(&self, now: i64) -> bool {
        self.outages.iter().any(|(from, until)| (*from..*until).contains(&now))
    }

    /// The longest time without an outage between two instants.
    fn longest_there(&self, from: i64, until: i64) -> i64 {
        let mut there = from;
        let mut longest = 0;
        for (away, back) in self.outages.iter().filter(|(away, back)| *back > from && *away < until) {
            longest = longest.max(away - there);
            there = *back;
        }
        longest.max(until - there)
    }

    fn plan(&mut self, number: usize, due: Timestamp) {
        let due = due.as_microsecond();
        self.entries[number].due = due;
        self.agenda.push(Reverse((due, number)));
    }

    /// Moves what is due by now from the agenda to what is overdue; orders that the CA is done with come to their end.
    fn gather(&mut self, now: i64) {
        while let Some(Reverse((due, number))) = self.agenda.peek().copied() {
            if due > now {
                break;
            }
            self.agenda.pop();
            if self.entries[number].due != due || self.overdue.contains(&number) {
                continue;
            }
            match self.entries[number].order.take() {
                Some(standing) => {
                    self.at_work -= 1;
                    self.conclude(number, standing, due);
                }
                None => self.overdue.push(number),
            }
        }
    }

    /// What is overdue, the most pressing first, as the store marks it, hands out turns and picks.
    fn in_order(&mut self, now: i64) -> Vec<usize> {
        let mut overdue = std::mem::take(&mut self.overdue);
        for number in &overdue {
            let entry = &mut self.entries[*number];
            while let Some(passed) = entry.urgent.filter(|urgent| *urgent <= at(now)) {
                let expires = entry.held.map(|held| held.not_after).filter(|expires| *expires > passed);
                entry.urgency = if expires.is_some() { Urgency::Expiring } else { Urgency::Expired };
                entry.urgent = expires;
            }
        }
        overdue.sort_by_key(|number| (self.entries[*number].due, *number));
        let first = overdue.iter().filter_map(|number| self.entries[*number].turn).min();
        let mut turns = Turns::new(first.or(self.last_turns.values().copied().max()));
        for number in &overdue {
            let Entry { owner, urgency: Urgency::Application, turn: None, .. } = self.entries[*number] else { continue };
            self.entries[*number].turn = Some(turns.take(owner, self.last_turns.get(&owner).copied()));
        }
        self.last_turns.extend(turns.last());
        overdue.sort_by_key(|number| {
            let entry = &self.entries[*number];
            (entry.urgency, entry.turn, entry.due, *number)
        });
        overdue
    }

    /// Begins what there are places for; answers whether renewals are left that are held back.
    fn begin_due(&mut self, now: i64) -> bool {
        let mut held_back = false;
        if self.at_work >= PLACES || self.overdue.is_empty() {
            return false;
        }
        for number in self.in_order(now) {
            let in_good_time = self.entries[number].urgency == Urgency::Renewal;
            if self.at_work >= PLACES {
                self.overdue.push(number);
            } else if !in_good_time {
                let planned = |held: Validity| self.entries[number].due < urgent_at(held).as_microsecond();
                self.tally.became_urgent += u64::from(self.entries[number].held.is_some_and(planned));
                self.begin(number, now);
            } else if let Some(until) = held_until(self.renewals_from, at(now)) {
                self.renewals_from = until;
                held_back = true;
                self.overdue.push(number);
            } else {
                self.renewals_from = PACE.next(at(now), 1);
                self.begun.push_back(now);
                self.begin(number, now);
            }
        }
        self.tally.put_off += u64::from(held_back);
        held_back
    }

    /// When the loop has to look again: when anything becomes due, or may begin that could not.
    fn next_look(&self, held_back: bool) -> i64 {
        let next_due = self.agenda.peek().map_or(END, |Reverse((due, _))| *due);
        if held_back { next_due.min(self.renewals_from.as_microsecond()) } else { next_due }
    }

    fn run(&mut self) {
        let (mut now, mut swept) = (BEGIN, BEGIN);
        while now < END {
            if now - swept > DAY {
                self.rows.sweep(now);
                swept = now;
            }
            self.gather(now);
            let held_back = self.begin_due(now);
            self.move_windows(now);
            now = self.next_look(held_back).max(now + 1);
        }
    }

    /// Now and then the CA moves the windows of many certificates to now, as before a mass revocation.
    fn move_windows(&mut self, now: i64) {
        if self.dice.draw() > 0.000_2 || self.is_away(now) {
            return;
        }
        for number in 0..self.entries.len() {
            let (draw, chosen) = (self.dice.draw(), now + self.dice.below(10 * MINUTE));
            let entry = &mut self.entries[number];
            if entry.by_ari && entry.held.is_some() && entry.order.is_none() && draw < 0.3 && chosen < entry.due {
                {
                    entry.window = entry.window.min(chosen);
                    self.plan(number, at(chosen));
                }
            }
        }
    }

    fn begin(&mut self, number: usize, now: i64) {
        while self.begun.front().is_some_and(|begun| now - begun >= HOUR) {
            self.begun.pop_front();
        }
        self.tally.most_in_an_hour = self.tally.most_in_an_hour.max(self.begun.len());
        self.tally.rows_at_most = self.tally.rows_at_most.max(self.rows.len());
        self.entries[number].turn = None;
        self.excuse(number, now);
        let draw = self.dice.draw();
        let entry = &self.entries[number];
        let standing = Standing::of(entry.issued, entry.by_ari && entry.held.is_some(), at(now));
        let names = &entry.names;
        if let Err(refusal) = self.rows.ask(Act::Order { account: ACCOUNT, names, standing }, now) {
            // To wait is no failure, and does not lead to longer waits.
            self.tally.held_back += 1;
            let again = retry_at(at(now), 1, Some(refusal.until), draw);
            return self.plan(number, again);
        }
        if self.is_away(now) {
            self.tally.unreachable += 1;
            return self.fail(number, now, draw);
        }
        self.rows.note(&Event::Ordered { account: ACCOUNT, standing }, now);
        self.ca.order(&self.entries[number].names, standing.replaces, now);
        self.entries[number].order = Some(standing);
        self.at_work += 1;
        let takes = 5 * SECOND + self.dice.below(90 * SECOND);
        self.plan(number, at(now + takes));
    }

    fn conclude(&mut self, number: usize, standing: Standing, now: i64) {
        let (draw, lookup_fails) = (self.dice.draw(), self.dice.draw() < 0.02);
        if self.is_away(now) {
            self.tally.unreachable += 1;
            return self.fail(number, now, draw);
        }
        let entry = &mut self.entries[number];
        if lookup_fails {
            self.tally.failed_authorizations += 1;
            self.rows.note(&Event::AuthorizationFailed { account: ACCOUNT, name: &entry.names[0] }, now);
            self.ca.authorization_failed(&entry.names[0], now);
            return self.fail(number, now, draw);
        }
        for name in &entry.names {
            self.rows.note(&Event::AuthorizationValid { account: ACCOUNT, name }, now);
            self.ca.authorization_valid(name);
        }
        self.rows.note(&Event::Issued { names: &entry.names, standing }, now);
        self.ca.issued(&entry.names, now);
        self.tally.issued += 1;
        // Public CAs date certificates back by an hour.
        let validity = Validity { not_before: at(now - HOUR), not_after: at(now - HOUR + entry.life) };
        let renewal = renew_after_issue(at(now), validity, Policy::default(), draw);
        (entry.held, entry.issued, entry.failures) = (Some(validity), Some(at(now)), 0);
        (entry.window, entry.mourned) = (renewal.as_microsecond(), false);
        (entry.urgency, entry.urgent) = (Urgency::Renewal, Some(urgent_at(validity)));
        self.plan(number, renewal);
    }

    fn fail(&mut self, number: usize, now: i64, draw: f64) {
        let entry = &mut self.entries[number];
        entry.failures += 1;
        let again = match entry.held {
            Some(held) => retry_in_time(at(now), entry.failures, None, held.not_after, draw),
            None => retry_at(at(now), entry.failures, None, draw),
        };
        self.plan(number, again);
    }

    /// Notes a certificate that expired before this attempt.
    fn excuse(&mut self, number: usize, now: i64) {
        let entry = &self.entries[number];
        let Some(held) = entry.held.filter(|held| held.not_after <= at(now) && !entry.mourned) else { return };
        let (window, expired, life) = (entry.window, held.not_after.as_microsecond(), entry.life / HOUR);
        if self.longest_there(window, expired) >= DAY {
            self.tally.expired_without_excuse.push(format!("{number}: {life} h, due {}, expired {}", at(window), held.not_after));
        } else {
            self.tally.expired_with_excuse += 1;
        }
        self.entries[number].mourned = true;
    }
}

#[test]
fn a_thousand_certificates_live_for_two_years() {
    let seeds = std::env::var("CERTKEEP_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    for seed in 1..=seeds {
        let mut world = World::new(seed);
        world.run();
        for number in 0..CERTIFICATES {
            world.excuse(number, END);
        }
        let tally = &world.tally;
        println!("seed {seed}: {tally:?}");
        assert_eq!(world.ca.refusals, 0, "seed {seed}: the CA had to refuse");
        assert!(world.ca.paused.is_empty(), "seed {seed}: {:?} are paused", world.ca.paused);
        assert_eq!(tally.expired_without_excuse, Vec::<String>::new(), "seed {seed}");
        assert!(tally.most_in_an_hour <= 60 * PACE.per_minute.get() as usize, "seed {seed}: {tally:?}");
        assert!(world.entries.iter().all(|entry| entry.issued.is_some()), "seed {seed}: every application was served");
        // The years were not without events.
        assert!(tally.issued > 30_000 && tally.unreachable > 1_000 && tally.held_back > 100, "{tally:?}");
        assert!(tally.put_off > 1_000 && tally.became_urgent > 0, "{tally:?}");
        assert!(tally.failed_authorizations > 100 && tally.expired_with_excuse > 0, "{tally:?}");
    }
}
