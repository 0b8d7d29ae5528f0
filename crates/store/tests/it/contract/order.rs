use std::num::NonZeroU32;
use std::sync::Arc;

use certkeep_core::certificate::{ApplyStatus, CertificateId};
use certkeep_core::client::ClientKey;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::Lease;
use certkeep_core::ports::{Change, NewCertificate, NewServer, Outcome, Store};
use certkeep_core::schedule::Pace;
use jiff::{SignedDuration, Timestamp};

use crate::fixtures::{FAST, application, applied, at, entry, minutes, renewed, status, version};

const DAY: i64 = 86_400;

fn pace(per_minute: u32) -> Pace {
    Pace { per_minute: NonZeroU32::new(per_minute).unwrap() }
}

/// An entry that holds what ends at `not_after` and is renewed at `due`.
async fn renewal(store: &Arc<dyn Store>, name: &str, due: Timestamp, not_after: Timestamp) -> CertificateId {
    let new = NewCertificate { version: Some(version("a.example.com", not_after)), ..renewed(name, due) };
    store.create(&new).await.unwrap()
}

/// One that lives for ninety days.
async fn in_good_time(store: &Arc<dyn Store>, name: &str, due: Timestamp) -> CertificateId {
    renewal(store, name, due, at(90 * DAY)).await
}

async fn applied_by(store: &Arc<dyn Store>, client: i64, name: &str, due: Timestamp) -> CertificateId {
    let server =
        NewServer { application: Some(application("a.example.com")), next_issuance: Some(due), owner: Some(ClientKey(client)) };
    store.create(&NewCertificate { server: Some(server), ..applied(name, "a.example.com", due) }).await.unwrap()
}

/// Begins what may begin; answers the leases in the order in which they were begun.
async fn begin(store: &Arc<dyn Store>, now: Timestamp, limit: u32, pace: Pace) -> Vec<Lease> {
    let begun = store.start_due(now, limit, pace).await.unwrap();
    let leases = store.lease(now, at(365 * DAY), 1000).await.unwrap();
    assert_eq!(leases.len() as u64, begun);
    leases
}

async fn begun(store: &Arc<dyn Store>, now: Timestamp, limit: u32, pace: Pace) -> Vec<CertificateId> {
    begin(store, now, limit, pace).await.iter().map(|lease| lease.issuance.certificate).collect()
}

pub(crate) async fn what_is_most_pressing_begins_first(store: Arc<dyn Store>) {
    let early = in_good_time(&store, "early.pem", at(0)).await;
    let waiting = store.create(&applied("new.pem", "new.example.com", at(5))).await.unwrap();
    let expiring = renewal(&store, "expiring.pem", at(10), at(2000)).await;
    let expired = renewal(&store, "expired.pem", at(20), at(50)).await;
    assert_eq!(begun(&store, at(100), 1, FAST).await, [expired]);
    assert_eq!(begun(&store, at(100), 3, FAST).await, [expiring, waiting, early]);
}

pub(crate) async fn renewals_begin_at_the_pace(store: Arc<dyn Store>) {
    let mut all = Vec::new();
    for n in 0..4 {
        all.push(in_good_time(&store, &format!("{n}.pem"), at(n)).await);
    }
    assert_eq!(begun(&store, at(10), 9, pace(60)).await, all[..1]);
    assert_eq!(store.start_due(at(10), 9, pace(60)).await.unwrap(), 0);
    // What is left is due when the next may begin: until then nobody has to look.
    assert_eq!(store.next_due().await.unwrap(), Some(at(11)));
    assert_eq!(begun(&store, at(11), 9, pace(60)).await, all[1..2]);
    assert_eq!(begun(&store, at(20), 9, pace(60)).await, all[2..3], "time that passed is not caught up");
    // A fast pace lets some begin at once.
    for n in 4..20 {
        in_good_time(&store, &format!("{n}.pem"), at(n)).await;
    }
    assert_eq!(begun(&store, at(30), 20, pace(6000)).await.len(), 11);
}

pub(crate) async fn what_is_put_off_becomes_urgent_and_is_held_back_no_more(store: Arc<dyn Store>) {
    let slow = pace(1);
    let first = in_good_time(&store, "first.pem", at(0)).await;
    // Its last hour begins at 30.
    let short = renewal(&store, "short.pem", at(1), at(3630)).await;
    let second = in_good_time(&store, "second.pem", at(2)).await;
    let third = in_good_time(&store, "third.pem", at(3)).await;
    assert_eq!(begun(&store, at(10), 9, slow).await, [first]);
    assert_eq!(begun(&store, at(69), 9, slow).await, []);
    assert_eq!(begun(&store, at(70), 9, slow).await, [short, second]);
    // More than the pace, once they are urgent: nothing expires because others were ahead.
    let late = at(81 * DAY);
    let fourth = in_good_time(&store, "fourth.pem", at(4)).await;
    assert_eq!(begun(&store, late, 9, slow).await, [third, fourth]);
}

pub(crate) async fn renewals_keep_out_of_the_first_minutes_of_an_hour(store: Arc<dyn Store>) {
    // The hour begins at 800.
    let renewal = in_good_time(&store, "renewal.pem", at(790)).await;
    assert_eq!(begun(&store, at(800), 9, FAST).await, []);
    assert_eq!(store.next_due().await.unwrap(), Some(at(920)));
    let waited_for = store.create(&applied("new.pem", "new.example.com", at(801))).await.unwrap();
    assert_eq!(begun(&store, at(801), 9, FAST).await, [waited_for]);
    assert_eq!(begun(&store, at(919), 9, FAST).await, []);
    assert_eq!(begun(&store, at(920), 9, FAST).await, [renewal]);
}

pub(crate) async fn a_clock_that_was_ahead_holds_nothing_back(store: Arc<dyn Store>) {
    let first = in_good_time(&store, "first.pem", at(0)).await;
    let second = in_good_time(&store, "second.pem", at(1)).await;
    assert_eq!(begun(&store, at(100_000), 9, pace(1)).await, [first]);
    assert_eq!(begun(&store, at(10), 9, pace(1)).await, [second]);
}

pub(crate) async fn clients_take_turns(store: Arc<dyn Store>) {
    let mut many = Vec::new();
    for n in 0..6 {
        many.push(applied_by(&store, 1, &format!("{n}.pem"), at(n)).await);
    }
    let single = applied_by(&store, 2, "single.pem", at(6)).await;
    let nobodys = store.create(&applied("nobodys.pem", "a.example.com", at(7))).await.unwrap();
    assert_eq!(begun(&store, at(10), 2, FAST).await, [many[0], single]);
    // Whoever comes while others wait begins with the turn that is up.
    let third = applied_by(&store, 3, "third.pem", at(11)).await;
    let next = applied_by(&store, 3, "next.pem", at(12)).await;
    assert_eq!(begun(&store, at(20), 3, FAST).await, [nobodys, third, many[1]]);
    assert_eq!(begun(&store, at(20), 9, FAST).await, [next, many[2], many[3], many[4], many[5]]);
}

pub(crate) async fn a_retry_takes_a_new_turn(store: Arc<dyn Store>) {
    let again = applied_by(&store, 1, "again.pem", at(0)).await;
    let other = applied_by(&store, 1, "other.pem", at(1)).await;
    let lease = begin(&store, at(5), 1, FAST).await.remove(0);
    assert_eq!(lease.issuance.certificate, again);
    let failed = Outcome::Failed(Failure::new(Code::CaError, "test"), Some(at(50)));
    store.finish(&lease.issuance, lease.fence, &failed).await.unwrap();
    let anothers = applied_by(&store, 2, "anothers.pem", at(49)).await;
    assert_eq!(begun(&store, at(50), 9, FAST).await, [other, anothers, again]);
}

pub(crate) async fn what_a_person_asks_for_is_not_held_back(store: Arc<dyn Store>) {
    let first = in_good_time(&store, "first.pem", at(0)).await;
    let second = in_good_time(&store, "second.pem", at(500)).await;
    assert_eq!(begun(&store, at(10), 9, pace(1)).await, [first]);
    let change = Change { next_issuance: Some(Some(at(11))), owner: Some(ClientKey(1)), ..Change::default() };
    store.change(second, &change, at(11)).await.unwrap();
    assert_eq!(begun(&store, at(11), 9, pace(1)).await, [second]);
}

pub(crate) async fn what_waits_for_its_turn_can_be_changed_and_deleted(store: Arc<dyn Store>) {
    let first = in_good_time(&store, "first.pem", at(0)).await;
    let (renamed, deleted) = (in_good_time(&store, "b.pem", at(1)).await, in_good_time(&store, "c.pem", at(2)).await);
    assert_eq!(begun(&store, at(10), 9, pace(1)).await, [first]);
    assert_eq!(status(&store, renamed).await, ApplyStatus::IssuanceSuccess);
    store.change(renamed, &Change { name: Some("new.pem".into()), ..Change::default() }, at(11)).await.unwrap();
    store.delete(deleted).await.unwrap();
    assert_eq!(entry(&store, renamed).await.name, "new.pem");
    assert_eq!(begun(&store, at(70), 9, pace(1)).await, [renamed]);
    // An application that failed waits for its turn as well.
    let failing = applied_by(&store, 1, "failing.pem", at(100)).await;
    let other = applied_by(&store, 2, "other.pem", at(101)).await;
    let lease = begin(&store, at(100), 1, FAST).await.remove(0);
    let failed = Outcome::Failed(Failure::new(Code::CaError, "test"), Some(at(150)));
    store.finish(&lease.issuance, lease.fence, &failed).await.unwrap();
    assert_eq!(begun(&store, at(200), 1, FAST).await, [other]);
    store.delete(failing).await.unwrap();
    assert_eq!(begun(&store, at(201), 9, FAST).await, []);
}

pub(crate) async fn a_crowd_is_marked_and_begun_in_the_end(store: Arc<dyn Store>) {
    // More than one look marks, of which every second has expired.
    const CROWD: i64 = 1_100;
    for n in 0..CROWD {
        renewal(&store, &format!("{n}.pem"), at(n % 7), at(3_000 + n % 2 * 3_000)).await;
    }
    let now = at(0).saturating_add(minutes(80)).unwrap();
    let (mut begun, mut looks) = (0, 0);
    while begun < CROWD as u64 {
        looks += 1;
        begun += store.start_due(now, 100, pace(1)).await.unwrap();
        assert!(looks < 20, "{begun} after {looks} looks");
    }
    let leases = store.lease(now, now.saturating_add(SignedDuration::from_hours(1)).unwrap(), 2_000).await.unwrap();
    let mut order = Vec::new();
    for lease in &leases {
        order.push(entry(&store, lease.issuance.certificate).await.expiration().unwrap());
    }
    assert!(order.is_sorted(), "what has expired begins first");
}
