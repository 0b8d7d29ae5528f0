//! The ledger against a CA that enforces the limits for itself.
use std::collections::HashMap;

use certkeep_core::authority::limits_at;
use certkeep_core::failure::Code;
use certkeep_core::ledger::{ALLOWANCE, Act, Asked, Bucket, Counted, Event, Refusal, Spending, Standing, earliest, spend};
use certkeep_core::name::DnsName;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::model_ca::ModelCa;

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const MINUTE: i64 = 60_000_000;
const ACCOUNT: &str = "https://acme-v02.api.letsencrypt.org/acme/acct/1";

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap()
}

fn names(all: &[&str]) -> Vec<DnsName> {
    all.iter().map(|name| name.parse().unwrap()).collect()
}

/// The rows of one CA, as a store keeps them.
#[derive(Default)]
pub(crate) struct Rows(HashMap<Bucket, Timestamp>);

impl Rows {
    fn of(&self, buckets: &[Bucket]) -> Vec<Spending> {
        let row = |bucket: &Bucket| self.0.get(bucket).map(|full_at| Spending { bucket: bucket.clone(), full_at: *full_at });
        buckets.iter().filter_map(row).collect()
    }

    pub(crate) fn ask(&self, act: Act<'_>, now: i64) -> Result<(), Refusal> {
        earliest(limits_at(LETS_ENCRYPT), &self.of(&act.buckets()), &Asked { act, overridden: false }, at(now))
    }

    pub(crate) fn note(&mut self, event: &Event<'_>, now: i64) {
        for spending in spend(limits_at(LETS_ENCRYPT), &self.of(&event.buckets()), event, at(now)) {
            self.0.insert(spending.bucket, spending.full_at);
        }
    }

    /// Forgets what is over.
    pub(crate) fn sweep(&mut self, now: i64) {
        self.0.retain(|bucket, full_at| !Spending { bucket: bucket.clone(), full_at: *full_at }.is_over(at(now)));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What a client does next: wait, then order for a set of names; how that ends.
#[derive(Clone, Debug)]
struct Round {
    wait: i64,
    names: Vec<DnsName>,
    replaces: bool,
    fails: bool,
    /// How long each message takes to the CA.
    delays: [i64; 2],
}

fn rounds(longest_delay: i64, replacements: f64) -> impl Strategy<Value = Vec<Round>> {
    let sets = prop::sample::select(vec![
        names(&["a.example.com"]),
        names(&["b.example.com", "a.example.com"]),
        names(&["*.example.com", "example.com"]),
        names(&["pbx.example.co.uk", "pbx.example.com"]),
    ]);
    // Bursts, minutes, hours and days: each of the limits is met on some way.
    let waits = prop_oneof![8 => 0i64..2_000_000, 4 => 0i64..900_000_000, 2 => 0i64..20_000_000_000, 1 => 0i64..200_000_000_000];
    let replaces = prop::bool::weighted(replacements);
    let delay = || prop_oneof![Just(0), Just(longest_delay), 0..=longest_delay];
    let delays = [delay(), delay()];
    let round = (waits, sets, replaces, prop::bool::weighted(0.3), delays)
        .prop_map(|(wait, names, replaces, fails, delays)| Round { wait, names, replaces, fails, delays });
    prop::collection::vec(round, 1..250)
}

/// Plays the rounds; `refused` is called wherever the ledger says no, and says whether to wait for as long as that takes.
fn play(rounds: &[Round], mut refused: impl FnMut(&ModelCa, &Round, &Refusal, i64) -> bool) -> ModelCa {
    let (mut ca, mut rows, mut now) = (ModelCa::default(), Rows::default(), 1_800_000_000_000_000);
    let mut issued: HashMap<&[DnsName], Timestamp> = HashMap::new();
    for round in rounds {
        now += round.wait;
        rows.sweep(now);
        let last = issued.get(round.names.as_slice()).copied();
        let standing = Standing::of(last, round.replaces && last.is_some(), at(now));
        let act = Act::Order { account: ACCOUNT, names: &round.names, standing };
        if let Err(refusal) = rows.ask(act, now) {
            if !refused(&ca, round, &refusal, now) {
                continue;
            }
            now = refusal.until.as_microsecond();
            rows.ask(act, now).unwrap();
        }
        rows.note(&Event::Ordered { account: ACCOUNT, standing }, now);
        assert!(ca.order(&round.names, standing.replaces, now + round.delays[0]), "refused at {now}: {round:?}");
        if round.fails {
            let name = &round.names[0];
            rows.note(&Event::AuthorizationFailed { account: ACCOUNT, name }, now);
            ca.authorization_failed(name, now + round.delays[1]);
            continue;
        }
        for name in &round.names {
            rows.note(&Event::AuthorizationValid { account: ACCOUNT, name }, now);
            ca.authorization_valid(name);
        }
        rows.note(&Event::Issued { names: &round.names, standing }, now);
        ca.issued(&round.names, now + round.delays[1]);
        issued.insert(&round.names, at(now));
        // The next round begins when the answers are here: a client does not do the second thing before the first.
        now += round.delays.iter().max().unwrap();
    }
    ca
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_the_ledger_lets_pass_the_ca_takes(rounds in rounds(ALLOWANCE.as_micros() as i64, 0.2)) {
        let ca = play(&rounds, |_, _, refusal, _| refusal.bucket.counted != Counted::FailuresInARow);
        prop_assert_eq!(ca.refusals, 0);
        prop_assert!(ca.paused.is_empty());
    }

    /// Where messages take no time and nothing passes the limits by, the wait is exact but for the allowance: before
    /// that the CA would refuse.
    #[test]
    fn what_the_ledger_holds_back_the_ca_would_refuse_until_then(rounds in rounds(0, 0.0)) {
        play(&rounds, |ca, round, refusal, now| {
            let first = refusal.until.as_microsecond() - ALLOWANCE.as_micros() as i64;
            // The pause of a name is not tried out: a person would have to lift it.
            if refusal.bucket.counted != Counted::FailuresInARow {
                if first > now {
                    assert!(!ca.clone().would_take_order(&round.names, false, first - 1), "too late: {refusal:?}");
                }
                assert!(ca.clone().would_take_order(&round.names, false, first), "too early: {refusal:?}");
            }
            false
        });
    }

    /// Many nodes at once: each asks and notes, and the CA hears of it in another order.
    #[test]
    fn orders_that_overtake_each_other_are_taken(delays in prop::collection::vec(0i64..=30_000_000, 310..400), gap in 0i64..40_000_000) {
        let (mut ca, mut rows, mut now) = (ModelCa::default(), Rows::default(), 0);
        let mut on_their_way = Vec::new();
        for (number, delay) in delays.into_iter().enumerate() {
            let one = names(&[&format!("a.example{number}.com")]);
            if rows.ask(Act::Order { account: ACCOUNT, names: &one, standing: Standing::NEW }, now).is_ok() {
                rows.note(&Event::Ordered { account: ACCOUNT, standing: Standing::NEW }, now);
                on_their_way.push((now + delay, one));
            }
            now += gap;
        }
        on_their_way.sort_by_key(|(arrives, _)| *arrives);
        for (arrives, one) in on_their_way {
            prop_assert!(ca.order(&one, false, arrives));
        }
    }

    #[test]
    fn accounts_are_not_registered_too_often(waits in prop::collection::vec(0i64..1_200_000_000, 1..60)) {
        let (mut ca, mut rows, mut now) = (ModelCa::default(), Rows::default(), 0);
        for wait in waits {
            now += wait;
            if rows.ask(Act::Register, now).is_ok() {
                rows.note(&Event::Registered, now);
                prop_assert!(ca.register(now));
            }
        }
    }
}

fn order<'a>(names: &'a [DnsName], standing: Standing) -> Act<'a> {
    Act::Order { account: ACCOUNT, names, standing }
}

#[test]
fn the_sixth_certificate_for_the_same_names_waits_for_a_token_whatever_their_order() {
    let (mut rows, there, back) =
        (Rows::default(), names(&["a.example.com", "b.example.com"]), names(&["b.example.com", "a.example.com"]));
    for minute in 0..5 {
        rows.ask(order(&there, Standing::RENEWAL), minute * MINUTE).unwrap();
        rows.note(&Event::Issued { names: &there, standing: Standing::RENEWAL }, minute * MINUTE);
    }
    let refusal = rows.ask(order(&back, Standing::RENEWAL), 5 * MINUTE).unwrap_err();
    assert_eq!((refusal.bucket.counted, refusal.taken, refusal.capacity), (Counted::CertificatesOfSet, 5, 5));
    assert_eq!(refusal.until, at(0) + SignedDuration::from_mins(33 * 60 + 36) + ALLOWANCE);
    let failure = refusal.failure("new order");
    assert_eq!((failure.code, failure.not_before), (Code::CaLimitAhead, Some(refusal.until)));
    assert!(failure.to_string().contains("5 of 5 certificates of set are used up"), "{failure}");
    // By ARI no limit holds; for one name less it is another set; and a person may know better.
    rows.ask(order(&back, Standing::REPLACEMENT), 5 * MINUTE).unwrap();
    rows.ask(order(&back[..1], Standing::RENEWAL), 5 * MINUTE).unwrap();
    let act = order(&back, Standing::RENEWAL);
    earliest(limits_at(LETS_ENCRYPT), &rows.of(&act.buckets()), &Asked { act, overridden: true }, at(5 * MINUTE)).unwrap();
    rows.ask(act, refusal.until.as_microsecond()).unwrap();
}

#[test]
fn the_cas_own_word_wins_over_the_count() {
    let (mut rows, one, other) = (Rows::default(), names(&["a.example.com"]), names(&["b.example.com"]));
    let told = |name, until| Event::ToldToWait { account: ACCOUNT, name, until: at(until) };
    rows.note(&told(Some(&one[0]), 900), 0);
    rows.note(&told(Some(&one[0]), 500), 0);
    let refusal = rows.ask(order(&one, Standing::REPLACEMENT), 899).unwrap_err();
    assert_eq!(
        (refusal.bucket.counted, refusal.until, refusal.subject.as_str()),
        (Counted::ToldToWait, at(900), "a.example.com")
    );
    assert_eq!(refusal.failure("new order").code, Code::CaRateLimited);
    rows.ask(order(&one, Standing::NEW), 900).unwrap();
    rows.ask(order(&other, Standing::NEW), 0).unwrap();
    rows.note(&told(None, 1_000), 0);
    assert_eq!(rows.ask(order(&other, Standing::NEW), 0).unwrap_err().until, at(1_000));
}

#[test]
fn a_name_that_always_fails_is_held_back_before_the_ca_pauses_it() {
    const HOUR: i64 = 3_600_000_000;
    let (mut ca, mut rows, one) = (ModelCa::default(), Rows::default(), names(&["a.example.com"]));
    let mut held_back_by = None;
    // Once an hour for a hundred days: 24 a day, of which one is forgiven.
    for hour in 0..24 * 100 {
        let now = hour * HOUR;
        match rows.ask(order(&one, Standing::NEW), now) {
            Ok(()) => {
                rows.note(&Event::Ordered { account: ACCOUNT, standing: Standing::NEW }, now);
                assert!(ca.order(&one, false, now));
                rows.note(&Event::AuthorizationFailed { account: ACCOUNT, name: &one[0] }, now);
                ca.authorization_failed(&one[0], now);
            }
            Err(refusal) => held_back_by = Some(refusal.bucket.counted),
        }
    }
    assert_eq!(held_back_by, Some(Counted::FailuresInARow));
    assert!(ca.paused.is_empty());
    rows.note(&Event::AuthorizationValid { account: ACCOUNT, name: &one[0] }, 24 * 100 * HOUR);
    rows.ask(order(&one, Standing::NEW), 24 * 100 * HOUR).unwrap();
}

#[test]
fn what_has_refilled_is_forgotten() {
    let (mut rows, one) = (Rows::default(), names(&["a.example.com"]));
    rows.note(&Event::Issued { names: &one, standing: Standing::NEW }, 0);
    rows.note(&Event::Ordered { account: ACCOUNT, standing: Standing::NEW }, 0);
    assert_eq!(rows.len(), 3);
    rows.note(&Event::AuthorizationFailed { account: ACCOUNT, name: &one[0] }, 0);
    rows.note(&Event::Registered, 40 * 60 * MINUTE);
    rows.sweep(40 * 60 * MINUTE);
    let left: Vec<Counted> = rows.0.keys().map(|bucket| bucket.counted).collect();
    assert_eq!(left.len(), 1, "only the last one is still out: {left:?}");
}

#[test]
fn what_a_ca_does_not_limit_is_not_counted() {
    let one = names(&["a.example.com"]);
    assert!(spend(&[], &[], &Event::Issued { names: &one, standing: Standing::NEW }, at(0)).is_empty());
    for counted in Counted::ALL {
        assert_eq!(Counted::from_word(counted.as_str()), Some(counted));
    }
}
