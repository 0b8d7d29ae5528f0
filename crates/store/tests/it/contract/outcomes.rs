use std::sync::Arc;

use certkeep_core::certificate::{ApplyStatus, CertificateId, Origin};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{Fence, Lease, Step};
use certkeep_core::ports::{Outcome, Store, StoreError};
use jiff::Timestamp;

use crate::fixtures::{FAST, at, entry, leased, renewed, server, status, version};

fn failure() -> Failure {
    Failure::new(Code::RecordNotVisible, "propagation").about("a.example.com").fact("ns1 shows nothing.")
}

fn issued(not_after: Timestamp, renewal: Timestamp) -> Outcome {
    Outcome::Issued(Box::new(version("a.example.com", not_after)), renewal)
}

async fn finish(store: &Arc<dyn Store>, lease: &Lease, outcome: &Outcome) {
    store.finish(&lease.issuance, lease.fence, outcome).await.unwrap();
}

/// Begins and leases the one issuance that is due at `now`.
async fn next(store: &Arc<dyn Store>, now: Timestamp) -> Lease {
    assert_eq!(store.start_due(now, 10, FAST).await.unwrap(), 1);
    let mut leases = store.lease(now, at(1_000_000), 10).await.unwrap();
    assert_eq!(leases.len(), 1);
    leases.remove(0)
}

pub(crate) async fn an_issued_version_is_current_and_renewed_at_its_time(store: Arc<dyn Store>) {
    let (id, lease) = leased(&store, "a.pem").await;
    finish(&store, &lease, &issued(at(9000), at(6000))).await;
    assert_eq!(entry(&store, id).await.expiration(), Some(at(9000)));
    assert_eq!(status(&store, id).await, ApplyStatus::IssuanceSuccess);
    let current = store.current_version(id).await.unwrap().unwrap();
    assert_eq!(current.key.unwrap().expose_pkcs8(), version("a.example.com", at(9000)).key.unwrap().expose_pkcs8());
    assert_eq!(store.next_due().await.unwrap(), Some(at(6000)));
    assert_eq!(store.start_due(at(5999), 10, FAST).await.unwrap(), 0);
    assert_eq!(store.start_due(at(6000), 10, FAST).await.unwrap(), 1);
}

pub(crate) async fn the_old_version_serves_until_the_new_one_is_there(store: Arc<dyn Store>) {
    let (id, lease) = leased(&store, "a.pem").await;
    finish(&store, &lease, &issued(at(100), at(50))).await;
    for round in 1..5 {
        let lease = next(&store, at(round * 50)).await;
        let expiration = |certificate: certkeep_core::certificate::Certificate| certificate.expiration();
        assert_eq!(status(&store, id).await, ApplyStatus::Issuing);
        assert_eq!(expiration(entry(&store, id).await), Some(at(round * 100)));
        finish(&store, &lease, &issued(at(round * 100 + 100), at(round * 50 + 50))).await;
        assert_eq!(expiration(entry(&store, id).await), Some(at(round * 100 + 100)));
        let current = store.current_version(id).await.unwrap().unwrap();
        assert_eq!(current.held.validity.not_after, at(round * 100 + 100));
    }
}

pub(crate) async fn a_failure_keeps_what_is_held_and_is_tried_again(store: Arc<dyn Store>) {
    let (id, lease) = leased(&store, "a.pem").await;
    finish(&store, &lease, &issued(at(100), at(50))).await;
    let lease = next(&store, at(50)).await;
    finish(&store, &lease, &Outcome::Failed(failure(), Some(at(70)))).await;
    let certificate = entry(&store, id).await;
    assert_eq!(certificate.expiration(), Some(at(100)));
    let server = server(&store, id).await;
    assert_eq!((server.status, server.failure), (ApplyStatus::IssuanceFail, Some(Code::RecordNotVisible)));
    assert_eq!(store.last_failure(id).await.unwrap(), Some(failure()));
    assert_eq!(store.next_due().await.unwrap(), Some(at(70)));
}

pub(crate) async fn a_final_failure_is_never_due(store: Arc<dyn Store>) {
    let (_, lease) = leased(&store, "a.pem").await;
    finish(&store, &lease, &Outcome::Failed(failure(), None)).await;
    assert_eq!(store.next_due().await.unwrap(), None);
    assert_eq!(store.start_due(at(1_000_000), 10, FAST).await.unwrap(), 0);
}

pub(crate) async fn failures_in_a_row_are_counted_until_a_success(store: Arc<dyn Store>) {
    let (id, mut lease) = leased(&store, "a.pem").await;
    for failures in 0..3u32 {
        assert_eq!(store.failures_in_a_row(id).await.unwrap(), failures);
        let again = at(i64::from(failures) * 10 + 10);
        finish(&store, &lease, &Outcome::Failed(failure(), Some(again))).await;
        lease = next(&store, again).await;
    }
    assert_eq!(store.failures_in_a_row(id).await.unwrap(), 3);
    finish(&store, &lease, &issued(at(9000), at(6000))).await;
    assert_eq!(store.failures_in_a_row(id).await.unwrap(), 0);
    assert_eq!(store.failures_in_a_row(CertificateId(99)).await.unwrap(), 0);
}

pub(crate) async fn the_failure_is_shown_until_the_next_issuance_begins(store: Arc<dyn Store>) {
    let (id, lease) = leased(&store, "a.pem").await;
    finish(&store, &lease, &Outcome::Failed(failure(), Some(at(10)))).await;
    assert_eq!(server(&store, id).await.failure, Some(Code::RecordNotVisible));
    let lease = next(&store, at(10)).await;
    let shown = server(&store, id).await;
    assert_eq!((shown.status, shown.failure), (ApplyStatus::Issuing, None));
    // Its evidence is there until an issuance succeeds.
    assert_eq!(store.last_failure(id).await.unwrap(), Some(failure()));
    finish(&store, &lease, &issued(at(9000), at(6000))).await;
    assert_eq!(store.last_failure(id).await.unwrap(), None);
    assert_eq!(store.last_failure(CertificateId(99)).await.unwrap(), None);
}

pub(crate) async fn finishing_needs_the_lease(store: Arc<dyn Store>) {
    let (id, old) = leased(&store, "a.pem").await;
    let new = store.lease(at(60), at(120), 10).await.unwrap().remove(0);
    for fence in [old.fence, Fence(0), Fence(new.fence.0 + 1)] {
        let result = store.finish(&old.issuance, fence, &issued(at(9000), at(6000))).await;
        assert!(matches!(result, Err(StoreError::LeaseLost(_))));
    }
    assert_eq!((entry(&store, id).await.held, status(&store, id).await), (None, ApplyStatus::Issuing));
    finish(&store, &new, &issued(at(9000), at(6000))).await;
}

pub(crate) async fn a_finished_issuance_is_never_leased(store: Arc<dyn Store>) {
    let (id, lease) = leased(&store, "a.pem").await;
    finish(&store, &lease, &Outcome::Failed(failure(), None)).await;
    assert!(store.lease(at(1_000_000), at(1_000_060), 10).await.unwrap().is_empty());
    let mut late = lease.issuance;
    late.step = Step::Ordered;
    assert!(matches!(store.save(&late, lease.fence, at(500)).await, Err(StoreError::LeaseLost(_))));
    assert!(matches!(store.release(late.id, lease.fence, None).await, Err(StoreError::LeaseLost(_))));
    let again = store.finish(&late, lease.fence, &issued(at(9000), at(6000))).await;
    assert!(matches!(again, Err(StoreError::LeaseLost(_))));
    assert_eq!(status(&store, id).await, ApplyStatus::IssuanceFail);
}

pub(crate) async fn a_renewed_upload_stays_an_upload(store: Arc<dyn Store>) {
    let id = store.create(&renewed("a.pem", at(10))).await.unwrap();
    let lease = next(&store, at(10)).await;
    finish(&store, &lease, &issued(at(9000), at(6000))).await;
    let server = server(&store, id).await;
    assert_eq!((server.origin, server.auto_renewal), (Origin::Upload, true));
    assert_eq!(entry(&store, id).await.issue_to(), "a.example.com");
}
