//! The protocol of leases and fences, every interleaving of it: nodes that lease, act, save under the fence, are stopped
//! for longer than their lease and come back, are killed, hand their leases back. The only time is the database's.
//!
//! What is modelled: `crates/store/src/issuances/leases.rs` (a lease raises the fence; a write asks for it), and the
//! order of acts and writes in `crates/engine/src/issuing.rs`, and when a record is forgotten (`store/src/issuances/journal.rs`). A node's acts at the CA and at the DNS provider ask for
//! no fence, for none could be asked there: whoever has lost a lease may still do the one it was about to do.
mod explorer;
mod protocol;

use explorer::explore;
use protocol::{Look, Mutation, State};

const ALL: Look = Look { at_writes: true, stops_are_short: true };

/// The property that is broken when two nodes are interrupted so often, and how to get there.
fn broken(interruptions: u8, mutation: Option<Mutation>, look: Look) -> (&'static str, Vec<String>) {
    explore(&State::new(2, interruptions), mutation, look).violation.unwrap()
}

/// Every way in which three nodes are interrupted up to twice; `CERTKEEP_INTERRUPTIONS=3` looks further, for longer.
#[test]
fn no_interleaving_breaks_the_protocol() {
    let interruptions = std::env::var("CERTKEEP_INTERRUPTIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let explored = explore(&State::new(3, interruptions), None, ALL);
    println!("{} states, {} transitions", explored.states, explored.transitions);
    assert_eq!(explored.violation, None);
    assert!(explored.states > 5_000, "{} states are too few to say anything", explored.states);
}

#[test]
fn without_the_check_of_the_fence_a_node_that_comes_back_writes() {
    let (property, trace) = broken(1, Some(Mutation::NoFenceCheck), ALL);
    assert_eq!(property, "no write is made under an old fence");
    assert!(trace.iter().any(|act| act.contains("stopped for longer")), "{trace:#?}");
    // And this is what comes of such writes, if they are not looked at themselves.
    let (property, trace) = broken(1, Some(Mutation::NoFenceCheck), Look { at_writes: false, ..ALL });
    assert_eq!(property, "no record is left when everything is over", "{trace:#?}");
}

#[test]
fn without_a_new_fence_for_each_lease_two_nodes_write() {
    let (property, trace) = broken(1, Some(Mutation::SameFence), ALL);
    assert_eq!(property, "no two nodes hold the same fence", "{trace:#?}");
}

#[test]
fn what_is_journalled_after_it_was_created_is_left_behind() {
    let (property, trace) = broken(1, Some(Mutation::JournalAfterAdd), ALL);
    assert_eq!(property, "no record is left when everything is over", "{trace:#?}");
}

#[test]
fn a_lease_that_does_not_end_leaves_an_issuance_stuck() {
    let (property, trace) = broken(1, Some(Mutation::LeaseWithoutEnd), ALL);
    assert_eq!(property, "every issuance ends", "{trace:#?}");
}

/// The DNS knows no fence: a node that was stopped between journalling a record and creating it creates it when it comes back,
/// though another has brought the issuance to its end meanwhile. Then the record is removed once more.
#[test]
fn without_the_other_look_a_record_that_is_created_too_late_may_stay() {
    let (property, trace) = broken(2, Some(Mutation::NoOtherLook), ALL);
    assert_eq!(property, "no record is left when everything is over");
    let created = trace.iter().rposition(|act| act.contains("creates the record")).unwrap();
    assert!(trace[created..].iter().any(|act| act.contains("is killed")), "else it would have told itself: {trace:#?}");
}

/// However long a node was stopped: as long as it lives, it journals what it has created too late.
#[test]
fn who_created_a_record_too_late_has_it_removed() {
    let look = Look { stops_are_short: false, ..ALL };
    assert_eq!(explore(&State::new(3, 1), None, look).violation, None);
    let (property, trace) = broken(1, Some(Mutation::NoLateJournal), look);
    assert_eq!(property, "no record is left when everything is over", "{trace:#?}");
}

/// What the protocol cannot promise: a node is stopped between journalling and creating for longer than the pause before the
/// other look, and killed between creating and saying so.
#[test]
fn only_who_is_stopped_for_long_and_then_killed_leaves_a_record() {
    let look = Look { stops_are_short: false, ..ALL };
    let (property, trace) = broken(2, None, look);
    assert_eq!(property, "no record is left when everything is over");
    let at = |act: &str| trace.iter().rposition(|done| done.contains(act)).unwrap_or_else(|| panic!("{act}: {trace:#?}"));
    assert!(at("stopped for longer") < at("removes a record once more"), "{trace:#?}");
    assert!(at("removes a record once more") < at("creates the record"), "{trace:#?}");
    assert!(at("creates the record") < at("is killed"), "{trace:#?}");
}
