//! Records that a node may put up after it has lost its lease.
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{ChallengeRecord, Lease};
use certkeep_core::ports::{Outcome, Store};

use super::opened;
use crate::fixtures::{at, leased, record};

async fn journalled(store: &dyn Store, lease: &Lease) -> ChallengeRecord {
    store.journal(vec![record(&lease.issuance, "one")], lease.fence).await.unwrap().remove(0)
}

async fn taken_over(store: &dyn Store, second: i64) -> Lease {
    store.lease(at(second), at(second + 60), 1).await.unwrap().remove(0)
}

async fn fail(store: &dyn Store, lease: &Lease) {
    let outcome = Outcome::Failed(Failure::new(Code::Internal, "test"), None);
    store.finish(&lease.issuance, lease.fence, &outcome).await.unwrap();
}

async fn due(store: &dyn Store, second: i64) -> usize {
    store.due_removals(at(second), 10).await.unwrap().len()
}

#[tokio::test]
async fn a_record_that_its_own_lease_removes_is_forgotten() {
    let opened = opened().await;
    let store = opened.store.as_ref();
    let (_, lease) = leased(&opened.store, "a.pem").await;
    let id = journalled(store, &lease).await.id.unwrap();
    store.record_removed(id, Some(lease.fence), at(0), at(500)).await.unwrap();
    fail(store, &lease).await;
    assert_eq!(due(store, 1_000_000).await, 0);
}

#[tokio::test]
async fn a_record_of_an_earlier_lease_is_removed_once_more() {
    let opened = opened().await;
    let store = opened.store.as_ref();
    let (_, lease) = leased(&opened.store, "a.pem").await;
    let id = journalled(store, &lease).await.id.unwrap();
    let lease = taken_over(store, 60).await;
    store.record_removed(id, Some(lease.fence), at(70), at(500)).await.unwrap();
    assert!(store.records(lease.issuance.id).await.unwrap().is_empty(), "it is none of the issuance's any more");
    fail(store, &lease).await;
    assert_eq!((due(store, 499).await, due(store, 500).await), (0, 1));
    // Another node that was just removing it too does not end the pause.
    store.record_removed(id, None, at(80), at(600)).await.unwrap();
    assert_eq!((due(store, 599).await, due(store, 600).await), (0, 1));
    store.record_removed(id, None, at(600), at(900)).await.unwrap();
    assert_eq!(due(store, 1_000_000).await, 0);
}

#[tokio::test]
async fn who_has_lost_the_lease_forgets_nothing() {
    let opened = opened().await;
    let store = opened.store.as_ref();
    let (_, lost) = leased(&opened.store, "a.pem").await;
    let lease = taken_over(store, 60).await;
    let id = journalled(store, &lease).await.id.unwrap();
    store.record_removed(id, Some(lost.fence), at(70), at(500)).await.unwrap();
    assert_eq!(store.records(lease.issuance.id).await.unwrap().len(), 1, "whoever has the lease removes it as well");
    fail(store, &lease).await;
    assert_eq!(due(store, 100).await, 1);
}

#[tokio::test]
async fn a_record_whose_entry_is_gone_is_removed_once_more() {
    let opened = opened().await;
    let store = opened.store.as_ref();
    let (entry, lease) = leased(&opened.store, "a.pem").await;
    let id = journalled(store, &lease).await.id.unwrap();
    fail(store, &lease).await;
    store.delete(entry).await.unwrap();
    store.record_removed(id, None, at(100), at(500)).await.unwrap();
    assert_eq!((due(store, 499).await, due(store, 500).await), (0, 1));
}

#[tokio::test]
async fn what_was_put_up_too_late_is_due_at_once() {
    let opened = opened().await;
    let store = opened.store.as_ref();
    let (_, lost) = leased(&opened.store, "a.pem").await;
    let late = journalled(store, &lost).await;
    let id = late.id.unwrap();
    store.record_added(id, &serde_json::json!(7)).await.unwrap();
    let lease = taken_over(store, 60).await;
    // As long as it is in the journal it stays as it is there.
    store.journal_late(std::slice::from_ref(&late), at(61)).await.unwrap();
    assert_eq!(store.records(lease.issuance.id).await.unwrap()[0].handle, Some(serde_json::json!(7)));
    store.record_removed(id, Some(lease.fence), at(62), at(500)).await.unwrap();
    store.journal_late(std::slice::from_ref(&late), at(63)).await.unwrap();
    fail(store, &lease).await;
    assert_eq!((due(store, 499).await, due(store, 500).await), (0, 1), "it is removed once more anyway");
    store.record_removed(id, None, at(500), at(900)).await.unwrap();
    // Nothing is known of it any more.
    store.journal_late(&[late], at(1_000)).await.unwrap();
    let again = store.due_removals(at(1_000), 10).await.unwrap();
    assert_eq!((again.len(), again[0].handle.as_ref(), &again[0].auth), (1, None, &lost.issuance.application.auth));
}

#[tokio::test]
async fn a_late_record_is_wanted_by_its_own_issuance_under_another_number() {
    let opened = opened().await;
    let store = opened.store.as_ref();
    let (_, lost) = leased(&opened.store, "a.pem").await;
    let late = journalled(store, &lost).await;
    let lease = taken_over(store, 60).await;
    store.record_removed(late.id.unwrap(), Some(lease.fence), at(62), at(63)).await.unwrap();
    assert!(!store.is_wanted_elsewhere(&late).await.unwrap(), "a removed one is not wanted");
    let again = journalled(store, &lease).await;
    assert!(!store.is_wanted_elsewhere(&again).await.unwrap(), "it is only its own");
    let other = ChallengeRecord { id: Some(certkeep_core::issuance::RecordId(4_711)), ..late };
    store.journal_late(std::slice::from_ref(&other), at(64)).await.unwrap();
    assert!(store.is_wanted_elsewhere(&other).await.unwrap());
}
