use std::sync::Arc;

use certkeep_core::certificate::{ApplyStatus, CertificateId, Kind};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::ports::{Change, ChangeError, DeleteError, Outcome, Store, Upload, UsedUpload};
use jiff::Timestamp;

use crate::fixtures::{FAST, application, applied, at, entry, leased, renewed, server, status, trusted, uploaded, version};

/// An applied entry that failed at its first issuance.
async fn failed(store: &Arc<dyn Store>, again: Option<Timestamp>) -> CertificateId {
    let (id, lease) = leased(store, "failed.pem").await;
    let outcome = Outcome::Failed(Failure::new(Code::ZoneNotFound, "find zone"), again);
    store.finish(&lease.issuance, lease.fence, &outcome).await.unwrap();
    id
}

pub(crate) async fn a_due_change_makes_it_issuing_and_forgets_its_failure(store: Arc<dyn Store>) {
    let id = failed(&store, None).await;
    assert_eq!(server(&store, id).await.failure, Some(Code::ZoneNotFound));
    let change =
        Change { application: Some(Some(application("b.example.com"))), next_issuance: Some(Some(at(100))), ..Change::default() };
    store.change(id, &change, at(100)).await.unwrap();
    let server = server(&store, id).await;
    assert_eq!((server.status, server.failure), (ApplyStatus::Issuing, None));
    assert_eq!(store.last_failure(id).await.unwrap(), None);
    assert_eq!(store.failures_in_a_row(id).await.unwrap(), 0);
    assert_eq!(store.start_due(at(100), 10, FAST).await.unwrap(), 1);
    let lease = store.lease(at(100), at(160), 1).await.unwrap().remove(0);
    assert_eq!(lease.issuance.application, application("b.example.com"));
}

pub(crate) async fn a_later_issuance_leaves_the_state(store: Arc<dyn Store>) {
    let id = failed(&store, None).await;
    let change = Change { next_issuance: Some(Some(at(500))), ..Change::default() };
    store.change(id, &change, at(100)).await.unwrap();
    let server = server(&store, id).await;
    assert_eq!((server.status, server.failure), (ApplyStatus::IssuanceFail, Some(Code::ZoneNotFound)));
    assert_eq!(store.next_due().await.unwrap(), Some(at(500)));
}

pub(crate) async fn a_new_version_becomes_current_and_is_a_success(store: Arc<dyn Store>) {
    let id = failed(&store, Some(at(500))).await;
    let new = version("other.example.com", at(9000));
    store.change(id, &Change { version: Some(new.clone()), ..Change::default() }, at(100)).await.unwrap();
    let certificate = entry(&store, id).await;
    assert_eq!(certificate.held, Some(new.held));
    assert_eq!(store.current_version(id).await.unwrap().unwrap().chain, new.chain);
    let server = server(&store, id).await;
    assert_eq!((server.status, server.failure), (ApplyStatus::IssuanceSuccess, None));
}

pub(crate) async fn no_issuance_with_nothing_held_stays_as_it_is(store: Arc<dyn Store>) {
    let id = failed(&store, Some(at(500))).await;
    store.change(id, &Change { next_issuance: Some(None), ..Change::default() }, at(100)).await.unwrap();
    let server = server(&store, id).await;
    assert_eq!((server.status, server.failure), (ApplyStatus::IssuanceFail, Some(Code::ZoneNotFound)));
    assert_eq!(store.next_due().await.unwrap(), None);
}

pub(crate) async fn no_issuance_with_a_version_held_is_a_success(store: Arc<dyn Store>) {
    let id = store.create(&renewed("a.pem", at(0))).await.unwrap();
    store.start_due(at(0), 1, FAST).await.unwrap();
    let lease = store.lease(at(0), at(60), 1).await.unwrap().remove(0);
    let outcome = Outcome::Failed(Failure::new(Code::ZoneNotFound, "find zone"), Some(at(500)));
    store.finish(&lease.issuance, lease.fence, &outcome).await.unwrap();
    let change = Change { application: Some(None), next_issuance: Some(None), ..Change::default() };
    store.change(id, &change, at(100)).await.unwrap();
    let server = server(&store, id).await;
    assert_eq!((server.status, server.failure), (ApplyStatus::IssuanceSuccess, None));
}

pub(crate) async fn forgetting_the_application_ends_renewal(store: Arc<dyn Store>) {
    let id = store.create(&renewed("a.pem", at(500))).await.unwrap();
    store.change(id, &Change { application: Some(None), ..Change::default() }, at(100)).await.unwrap();
    let server = server(&store, id).await;
    assert_eq!((server.auto_renewal, server.application), (false, None));
    assert_eq!(store.next_due().await.unwrap(), None);
}

pub(crate) async fn a_change_of_the_application_changes_issue_to_of_an_applied_one_only(store: Arc<dyn Store>) {
    let change = Change { application: Some(Some(application("new.example.com"))), ..Change::default() };
    let applied = failed(&store, None).await;
    let uploaded = store.create(&uploaded("b.pem")).await.unwrap();
    for (id, issue_to) in [(applied, "new.example.com"), (uploaded, "uploaded.example.com")] {
        store.change(id, &change, at(100)).await.unwrap();
        assert_eq!(entry(&store, id).await.issue_to(), issue_to);
    }
}

pub(crate) async fn a_new_name_may_not_be_anothers(store: Arc<dyn Store>) {
    store.create(&trusted("taken.pem")).await.unwrap();
    let id = store.create(&uploaded("a.pem")).await.unwrap();
    let named = |name: &str| Change { name: Some(name.into()), ..Change::default() };
    assert!(matches!(store.change(id, &named("taken.pem"), at(0)).await, Err(ChangeError::NameTaken)));
    store.change(id, &named("a.pem"), at(0)).await.unwrap();
    store.change(id, &named("b.pem"), at(0)).await.unwrap();
    assert_eq!(entry(&store, id).await.name, "b.pem");
}

pub(crate) async fn a_refused_change_changes_nothing(store: Arc<dyn Store>) {
    let id = store.create(&uploaded("a.pem")).await.unwrap();
    let before = entry(&store, id).await;
    let change = Change {
        name: Some("b.pem".into()),
        version: Some(version("b.example.com", at(9))),
        upload: Some(UsedUpload { kind: Kind::Server, name: "gone.pem".into(), kept: at(0) }),
        ..Change::default()
    };
    assert!(matches!(store.change(id, &change, at(0)).await, Err(ChangeError::UploadGone)));
    assert_eq!(entry(&store, id).await, before);
    assert!(matches!(store.change(CertificateId(99), &change, at(0)).await, Err(ChangeError::NotFound)));
}

pub(crate) async fn changing_does_not_use_up_what_was_uploaded_since(store: Arc<dyn Store>) {
    let id = store.create(&uploaded("a.pem")).await.unwrap();
    let content = secrecy::SecretSlice::from(b"later".to_vec());
    let later = Upload { kind: Kind::Server, name: "b.pem".into(), content, password: None, kept: at(20) };
    assert!(store.keep_upload(&later, 10).await.unwrap());
    let using = |second: i64| Change {
        version: Some(version("b.example.com", at(900))),
        upload: Some(UsedUpload { kind: Kind::Server, name: "b.pem".into(), kept: at(second) }),
        ..Change::default()
    };
    assert!(matches!(store.change(id, &using(10), at(30)).await, Err(ChangeError::UploadGone)));
    assert!(store.upload(Kind::Server, "b.pem", at(0)).await.unwrap().is_some());
    store.change(id, &using(20), at(30)).await.unwrap();
    assert!(store.upload(Kind::Server, "b.pem", at(0)).await.unwrap().is_none());
}

pub(crate) async fn an_entry_that_is_issuing_is_busy(store: Arc<dyn Store>) {
    let waiting = store.create(&applied("waiting.pem", "b.example.com", at(50))).await.unwrap();
    let (running, _) = leased(&store, "running.pem").await;
    for id in [waiting, running] {
        assert!(matches!(store.change(id, &Change::default(), at(0)).await, Err(ChangeError::Busy)));
        assert!(matches!(store.delete(id).await, Err(DeleteError::Busy)));
    }
}

pub(crate) async fn an_entry_that_waits_for_a_retry_is_not_busy(store: Arc<dyn Store>) {
    let id = failed(&store, Some(at(500))).await;
    store.change(id, &Change::default(), at(100)).await.unwrap();
    assert_eq!(status(&store, id).await, ApplyStatus::IssuanceFail);
    store.delete(id).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
}

pub(crate) async fn only_server_certificates_are_changed(store: Arc<dyn Store>) {
    let id = store.create(&trusted("root.pem")).await.unwrap();
    assert!(matches!(store.change(id, &Change::default(), at(0)).await, Err(ChangeError::NotFound)));
}

pub(crate) async fn deleting_deletes_versions(store: Arc<dyn Store>) {
    let id = store.create(&uploaded("a.pem")).await.unwrap();
    store.delete(id).await.unwrap();
    assert_eq!(store.certificate(id).await.unwrap(), None);
    assert!(store.current_version(id).await.unwrap().is_none());
    assert!(matches!(store.delete(id).await, Err(DeleteError::NotFound)));
}

pub(crate) async fn servable_are_the_server_certificates_that_hold_something(store: Arc<dyn Store>) {
    for name in ["b.pem", "a.pem"] {
        store.create(&uploaded(name)).await.unwrap();
    }
    store.create(&trusted("root.pem")).await.unwrap();
    store.create(&applied("waiting.pem", "b.example.com", at(50))).await.unwrap();
    assert_eq!(store.servable_names().await.unwrap(), ["a.pem", "b.pem"]);
}
