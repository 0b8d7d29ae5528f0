use std::sync::Arc;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{Fence, Step};
use certkeep_core::material::{Chain, PrivateKey};
use certkeep_core::ports::{Change, Outcome, Store, StoreError};

use crate::fixtures::{FAST, application, applied, at, leased, record, renewed, server};

pub(crate) async fn due_entries_begin_once(store: Arc<dyn Store>) {
    store.create(&applied("a.pem", "a.example.com", at(0))).await.unwrap();
    store.create(&renewed("b.pem", at(20))).await.unwrap();
    assert_eq!(store.start_due(at(10), 10, FAST).await.unwrap(), 1);
    assert_eq!(store.start_due(at(10), 10, FAST).await.unwrap(), 0);
    assert_eq!(store.start_due(at(20), 10, FAST).await.unwrap(), 1);
    let leases = store.lease(at(20), at(60), 10).await.unwrap();
    assert_eq!(leases.len(), 2);
    assert!(leases.iter().all(|lease| lease.issuance.step == Step::Queued));
    assert_eq!((leases[0].issuance.started, leases[1].issuance.started), (at(10), at(20)));
}

pub(crate) async fn no_more_begin_than_asked_for_earliest_first(store: Arc<dyn Store>) {
    for n in 0..5 {
        store.create(&applied(&format!("{n}.pem"), &format!("n{n}.example.com"), at(100 - n))).await.unwrap();
    }
    assert_eq!(store.start_due(at(200), 2, FAST).await.unwrap(), 2);
    let first: Vec<String> = store
        .lease(at(200), at(260), 10)
        .await
        .unwrap()
        .iter()
        .map(|lease| lease.issuance.application.names.first().to_owned())
        .collect();
    assert_eq!(first, ["n4.example.com", "n3.example.com"]);
    assert_eq!(store.start_due(at(200), 10, FAST).await.unwrap(), 3);
    assert_eq!(store.lease(at(200), at(260), 2).await.unwrap().len(), 2);
}

pub(crate) async fn a_leased_issuance_is_not_leased_again_before_its_end(store: Arc<dyn Store>) {
    leased(&store, "a.pem").await;
    assert!(store.lease(at(59), at(120), 10).await.unwrap().is_empty());
    assert_eq!(store.lease(at(60), at(120), 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_lease_that_ended_is_taken_over_with_a_higher_fence(store: Arc<dyn Store>) {
    let (_, first) = leased(&store, "a.pem").await;
    let second = store.lease(at(60), at(120), 10).await.unwrap().remove(0);
    assert_eq!(second.issuance.id, first.issuance.id);
    assert!(second.fence.0 > first.fence.0);
}

pub(crate) async fn what_was_saved_is_leased_again(store: Arc<dyn Store>) {
    let (id, lease) = leased(&store, "a.pem").await;
    let mut saved = lease.issuance;
    saved.step = Step::Issued;
    saved.directory = Some("https://ca.test/directory".into());
    saved.order_url = Some("https://ca.test/order/1".into());
    saved.key = Some(PrivateKey::from_pkcs8(vec![1, 2, 3]));
    saved.csr = Some(vec![4, 5]);
    saved.chain = Chain::new(vec![vec![6], vec![]]);
    saved.failure = Some(Failure::new(Code::CaError, "finalize").status("500").not_before(Some(at(7))));
    store.save(&saved, lease.fence, at(60)).await.unwrap();
    let again = store.lease(at(60), at(120), 10).await.unwrap().remove(0).issuance;
    assert_eq!((again.id, again.certificate, again.started), (saved.id, id, saved.started));
    assert_eq!((again.step, again.directory, again.order_url), (saved.step, saved.directory, saved.order_url));
    assert_eq!(again.key.unwrap().expose_pkcs8(), [1, 2, 3]);
    assert_eq!((again.csr, again.chain, again.failure), (saved.csr, saved.chain, saved.failure));
    assert_eq!(again.application, saved.application);
}

pub(crate) async fn saving_prolongs_the_lease(store: Arc<dyn Store>) {
    let (_, lease) = leased(&store, "a.pem").await;
    store.save(&lease.issuance, lease.fence, at(100)).await.unwrap();
    assert!(store.lease(at(99), at(160), 10).await.unwrap().is_empty());
    assert_eq!(store.lease(at(100), at(160), 10).await.unwrap().len(), 1);
}

pub(crate) async fn an_older_fence_writes_nothing(store: Arc<dyn Store>) {
    let (_, old) = leased(&store, "a.pem").await;
    let new = store.lease(at(60), at(120), 10).await.unwrap().remove(0);
    let mut stale = old.issuance.clone();
    stale.step = Step::Ordered;
    let lost = |result: Result<(), StoreError>| matches!(result, Err(StoreError::LeaseLost(id)) if id == old.issuance.id);
    assert!(lost(store.save(&stale, old.fence, at(500)).await));
    assert!(lost(store.release(stale.id, old.fence, None).await));
    assert!(lost(store.save(&stale, Fence(new.fence.0 + 1), at(500)).await));
    let again = store.lease(at(120), at(180), 10).await.unwrap().remove(0);
    assert_eq!(again.issuance.step, Step::Queued);
}

pub(crate) async fn a_released_issuance_is_leased_at_once(store: Arc<dyn Store>) {
    let (_, lease) = leased(&store, "a.pem").await;
    store.release(lease.issuance.id, lease.fence, None).await.unwrap();
    assert_eq!(store.lease(at(0), at(60), 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_paused_issuance_is_leased_when_its_time_comes(store: Arc<dyn Store>) {
    let (_, lease) = leased(&store, "a.pem").await;
    store.release(lease.issuance.id, lease.fence, Some(at(30))).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(30)));
    assert!(store.lease(at(29), at(90), 10).await.unwrap().is_empty());
    assert_eq!(store.lease(at(30), at(90), 10).await.unwrap().len(), 1);
}

pub(crate) async fn the_application_is_the_one_it_began_with(store: Arc<dyn Store>) {
    let (id, lease) = leased(&store, "a.pem").await;
    assert_eq!(lease.issuance.certificate, id);
    assert_eq!(lease.issuance.application, application("a.example.com"));
    assert_eq!(server(&store, id).await.application, Some(application("a.example.com")));
}

pub(crate) async fn next_due_is_the_earliest_of_all_work(store: Arc<dyn Store>) {
    let other = store.create(&renewed("later.pem", at(300))).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(300)));
    let (_, lease) = leased(&store, "a.pem").await;
    // A lease is due when it ends: its holder may be gone.
    assert_eq!(store.next_due().await.unwrap(), Some(at(60)));
    let records = store.journal(vec![record(&lease.issuance, "v")], lease.fence).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(60)));
    store.removal_failed(records[0].id.unwrap(), at(200)).await.unwrap();
    let failed = Outcome::Failed(Failure::new(Code::Internal, "test"), None);
    store.finish(&lease.issuance, lease.fence, &failed).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(200)));
    store.record_removed(records[0].id.unwrap(), None, at(200), at(500)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(300)));
    store.change(other, &Change { next_issuance: Some(Some(at(250))), ..Change::default() }, at(0)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(250)));
}

pub(crate) async fn nothing_is_due_in_an_empty_store(store: Arc<dyn Store>) {
    assert_eq!(store.next_due().await.unwrap(), None);
    assert_eq!(store.start_due(at(0), 10, FAST).await.unwrap(), 0);
    assert!(store.lease(at(0), at(60), 10).await.unwrap().is_empty());
    assert!(store.due_removals(at(0), 10).await.unwrap().is_empty());
}
