use std::sync::Arc;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{ChallengeRecord, Fence, Lease, RecordId};
use certkeep_core::ports::{Outcome, Store, StoreError};

use crate::fixtures::{at, leased, record};

async fn journalled(store: &Arc<dyn Store>, lease: &Lease, values: &[&str]) -> Vec<RecordId> {
    let records = values.iter().map(|value| record(&lease.issuance, value)).collect();
    let records = store.journal(records, lease.fence).await.unwrap();
    records.iter().map(|record| record.id.unwrap()).collect()
}

async fn fail(store: &Arc<dyn Store>, lease: &Lease) {
    let outcome = Outcome::Failed(Failure::new(Code::Internal, "test"), None);
    store.finish(&lease.issuance, lease.fence, &outcome).await.unwrap();
}

async fn due(store: &Arc<dyn Store>, second: i64) -> Vec<ChallengeRecord> {
    store.due_removals(at(second), 10).await.unwrap()
}

pub(crate) async fn journalled_records_have_numbers_and_all_their_removal_needs(store: Arc<dyn Store>) {
    let (_, lease) = leased(&store, "a.pem").await;
    let given = vec![record(&lease.issuance, "one"), record(&lease.issuance, "two")];
    let kept = store.journal(given.clone(), lease.fence).await.unwrap();
    assert_ne!(kept[0].id.unwrap(), kept[1].id.unwrap());
    let read = store.records(lease.issuance.id).await.unwrap();
    assert_eq!(read.len(), 2);
    for (given, read) in given.iter().zip(&read) {
        assert_eq!((&given.record, &given.zone), (&read.record, &read.zone));
        assert_eq!((&given.authorization, &given.challenge), (&read.authorization, &read.challenge));
        assert_eq!((&given.dns_provider, &given.auth), (&read.dns_provider, &read.auth));
        assert_eq!((read.issuance, read.handle.as_ref(), read.failed_removals), (lease.issuance.id, None, 0));
        assert_eq!(given.zone.saved.to_string(), read.zone.saved.to_string(), "the order of its keys is kept");
    }
    assert_eq!(store.journal(kept, lease.fence).await.unwrap().len(), 2);
    assert_eq!(store.records(lease.issuance.id).await.unwrap().len(), 2, "nothing is journalled twice");
}

pub(crate) async fn journalling_needs_the_lease(store: Arc<dyn Store>) {
    let (_, lease) = leased(&store, "a.pem").await;
    let records = vec![record(&lease.issuance, "one")];
    let lost = store.journal(records.clone(), Fence(lease.fence.0 + 1)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost(_))));
    fail(&store, &lease).await;
    assert!(matches!(store.journal(records, lease.fence).await, Err(StoreError::LeaseLost(_))));
    assert!(store.records(lease.issuance.id).await.unwrap().is_empty());
    assert!(store.journal(vec![], lease.fence).await.unwrap().is_empty());
}

pub(crate) async fn a_handle_is_kept(store: Arc<dyn Store>) {
    let (_, lease) = leased(&store, "a.pem").await;
    let ids = journalled(&store, &lease, &["one", "two"]).await;
    let handle = serde_json::json!({"record": 7});
    store.record_added(ids[1], &handle).await.unwrap();
    store.record_added(ids[0], &serde_json::Value::Null).await.unwrap();
    let records = store.records(lease.issuance.id).await.unwrap();
    assert_eq!(records[1].handle, Some(handle));
    assert_eq!(records[0].handle, Some(serde_json::Value::Null), "an empty answer is an answer");
}

pub(crate) async fn records_of_a_running_issuance_are_not_due(store: Arc<dyn Store>) {
    let (_, lease) = leased(&store, "a.pem").await;
    journalled(&store, &lease, &["one"]).await;
    assert!(due(&store, 1_000_000).await.is_empty());
}

pub(crate) async fn records_of_a_finished_issuance_are_due(store: Arc<dyn Store>) {
    let (_, lease) = leased(&store, "a.pem").await;
    journalled(&store, &lease, &["one", "two"]).await;
    fail(&store, &lease).await;
    let records = due(&store, 0).await;
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].auth, lease.issuance.application.auth);
    assert!(store.next_due().await.unwrap().unwrap() <= at(0));
    assert_eq!(store.due_removals(at(0), 1).await.unwrap().len(), 1);
}

pub(crate) async fn records_outlive_their_entry(store: Arc<dyn Store>) {
    let (id, lease) = leased(&store, "a.pem").await;
    journalled(&store, &lease, &["one"]).await;
    fail(&store, &lease).await;
    store.delete(id).await.unwrap();
    let records = due(&store, 0).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].record.value, "one");
    assert_eq!(records[0].auth, lease.issuance.application.auth);
}

pub(crate) async fn a_failed_removal_is_due_again_later(store: Arc<dyn Store>) {
    let (_, lease) = leased(&store, "a.pem").await;
    let ids = journalled(&store, &lease, &["one"]).await;
    fail(&store, &lease).await;
    store.removal_failed(ids[0], at(100)).await.unwrap();
    assert!(due(&store, 99).await.is_empty());
    store.removal_failed(ids[0], at(200)).await.unwrap();
    assert!(due(&store, 199).await.is_empty());
    assert_eq!(store.next_due().await.unwrap(), Some(at(200)));
    assert_eq!(due(&store, 200).await[0].failed_removals, 2);
}

pub(crate) async fn a_removal_that_failed_during_the_run_waits_for_its_instant(store: Arc<dyn Store>) {
    let (_, lease) = leased(&store, "a.pem").await;
    let ids = journalled(&store, &lease, &["one"]).await;
    store.removal_failed(ids[0], at(30)).await.unwrap();
    assert!(due(&store, 40).await.is_empty());
    assert_eq!(store.next_due().await.unwrap(), Some(at(60)), "only the lease is due");
    fail(&store, &lease).await;
    assert!(due(&store, 29).await.is_empty());
    assert_eq!(due(&store, 30).await[0].failed_removals, 1);
}

pub(crate) async fn a_removed_record_is_gone(store: Arc<dyn Store>) {
    let (_, lease) = leased(&store, "a.pem").await;
    let ids = journalled(&store, &lease, &["one", "two"]).await;
    store.record_removed(ids[0], Some(lease.fence), at(0), at(500)).await.unwrap();
    store.record_removed(ids[0], Some(lease.fence), at(0), at(500)).await.unwrap();
    store.record_added(ids[0], &serde_json::json!(1)).await.unwrap();
    let left = store.records(lease.issuance.id).await.unwrap();
    assert_eq!(left.iter().map(|record| record.id.unwrap()).collect::<Vec<_>>(), [ids[1]]);
}

pub(crate) async fn a_value_that_two_issuances_share_is_wanted_while_the_other_runs(store: Arc<dyn Store>) {
    let (_, over) = leased(&store, "a.pem").await;
    let (_, running) = leased(&store, "b.pem").await;
    let shared = record(&over.issuance, "shared");
    let kept = store.journal(vec![shared.clone()], over.fence).await.unwrap().remove(0);
    assert!(!store.is_wanted_elsewhere(&kept).await.unwrap(), "it is only its own");
    let other = ChallengeRecord { issuance: running.issuance.id, ..shared };
    store.journal(vec![other, record(&running.issuance, "another")], running.fence).await.unwrap();
    assert!(store.is_wanted_elsewhere(&kept).await.unwrap());
    fail(&store, &running).await;
    assert!(!store.is_wanted_elsewhere(&kept).await.unwrap());
}
