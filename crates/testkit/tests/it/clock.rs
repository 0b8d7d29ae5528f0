use certkeep_core::time::{Clock, SystemClock};
use certkeep_testkit::clock::MovableClock;
use jiff::{SignedDuration, Timestamp};

#[test]
fn a_frozen_clock_shows_what_it_was_moved_to() {
    let clock = MovableClock::frozen_at(Timestamp::UNIX_EPOCH);
    let other_hand = clock.clone();
    other_hand.advance(SignedDuration::from_hours(1));
    assert_eq!(clock.now(), Timestamp::from_second(3600).unwrap());
    clock.advance(SignedDuration::from_hours(-1));
    assert_eq!(other_hand.now(), Timestamp::UNIX_EPOCH);
    clock.set(Timestamp::from_second(7).unwrap());
    assert_eq!(other_hand.now(), Timestamp::from_second(7).unwrap());
}

#[test]
fn a_running_clock_keeps_its_lead_over_the_machine() {
    let clock = MovableClock::running();
    let day = SignedDuration::from_hours(24);
    clock.advance(day);
    let before = SystemClock.now();
    let shown = clock.now();
    let after = SystemClock.now();
    assert!(before + day <= shown && shown <= after + day, "{before} {shown} {after}");
}

#[test]
fn a_running_clock_runs_on_from_where_it_was_set() {
    let clock = MovableClock::running();
    let began = SystemClock.now();
    clock.set(Timestamp::UNIX_EPOCH);
    let shown = clock.now();
    let elapsed = SystemClock.now().duration_since(began);
    assert!(shown >= Timestamp::UNIX_EPOCH && shown <= Timestamp::UNIX_EPOCH + elapsed, "{shown} {elapsed}");
}
