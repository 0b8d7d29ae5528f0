use std::sync::Arc;

use certkeep_core::certificate::{ApplyStatus, CertificateId, Kind, Origin, Role};
use certkeep_core::ports::{CreateError, NewCertificate, NewServer, Store, Upload, UsedUpload};
use secrecy::SecretSlice;

use crate::fixtures::{FAST, application, applied, at, entry, renewed, server, trusted, uploaded, version};

pub(crate) async fn an_uploaded_entry_holds_its_version_and_is_issued(store: Arc<dyn Store>) {
    let id = store.create(&uploaded("a.pem")).await.unwrap();
    let certificate = entry(&store, id).await;
    let expected = version("uploaded.example.com", at(1000));
    assert_eq!((certificate.id, certificate.name.as_str()), (id, "a.pem"));
    assert_eq!(certificate.held, Some(expected.held.clone()));
    assert_eq!(certificate.issue_to(), "uploaded.example.com");
    let server = server(&store, id).await;
    assert_eq!((server.origin, server.auto_renewal), (Origin::Upload, false));
    assert_eq!((server.status, server.failure), (ApplyStatus::IssuanceSuccess, None));
    assert_eq!(server.application, None);
    let current = store.current_version(id).await.unwrap().unwrap();
    assert_eq!((current.chain, current.held), (expected.chain, expected.held));
    assert_eq!(current.key.unwrap().expose_pkcs8(), expected.key.unwrap().expose_pkcs8());
    assert!(server_of_renewed(&store).await.auto_renewal);
}

async fn server_of_renewed(store: &Arc<dyn Store>) -> certkeep_core::certificate::Server {
    let id = store.create(&renewed("renewed.pem", at(500))).await.unwrap();
    server(store, id).await
}

pub(crate) async fn an_applied_entry_is_issuing_and_holds_nothing(store: Arc<dyn Store>) {
    let id = store.create(&applied("a.pem", "a.example.com,b.example.com", at(0))).await.unwrap();
    let certificate = entry(&store, id).await;
    assert_eq!((certificate.held.clone(), certificate.issue_to()), (None, "a.example.com"));
    let server = server(&store, id).await;
    assert_eq!((server.origin, server.auto_renewal), (Origin::Apply, true));
    assert_eq!(server.status, ApplyStatus::Issuing);
    assert_eq!(server.application, Some(application("a.example.com,b.example.com")));
    assert!(store.current_version(id).await.unwrap().is_none());
}

pub(crate) async fn a_trusted_entry_has_no_key(store: Arc<dyn Store>) {
    let id = store.create(&trusted("root.pem")).await.unwrap();
    let certificate = entry(&store, id).await;
    assert_eq!(certificate.role, Role::Trusted);
    assert_eq!(certificate.expiration(), Some(at(5000)));
    assert!(store.current_version(id).await.unwrap().unwrap().key.is_none());
}

pub(crate) async fn an_entry_is_found_by_its_name(store: Arc<dyn Store>) {
    let id = store.create(&uploaded("ä'.pem")).await.unwrap();
    assert_eq!(store.certificate_by_name("ä'.pem").await.unwrap().unwrap().id, id);
    assert_eq!(store.certificate_by_name("Ä'.pem").await.unwrap(), None);
    assert_eq!(store.certificate(CertificateId(id.0 + 1)).await.unwrap(), None);
}

pub(crate) async fn those_that_exist_are_found_by_number(store: Arc<dyn Store>) {
    let mut ids = Vec::new();
    for n in 0..70 {
        ids.push(store.create(&trusted(&format!("{n}.pem"))).await.unwrap());
    }
    let asked: Vec<CertificateId> =
        ids.iter().copied().chain([CertificateId(-1), CertificateId(i64::MAX), ids[3], ids[3]]).collect();
    let found = store.certificates(&asked).await.unwrap();
    assert_eq!(found.len(), 70);
    assert!(found.iter().all(|(id, certificate)| *id == certificate.id));
    assert!(store.certificates(&[]).await.unwrap().is_empty());
    assert_eq!(store.certificates(&[ids[5]]).await.unwrap().len(), 1);
}

pub(crate) async fn parameters_come_back_in_order_spelling_and_kind(store: Arc<dyn Store>) {
    let id = store.create(&applied("a.pem", "a.example.com", at(0))).await.unwrap();
    assert_eq!(server(&store, id).await.application.unwrap().auth, application("a.example.com").auth);
}

pub(crate) async fn numbers_are_never_given_twice(store: Arc<dyn Store>) {
    let first = store.create(&trusted("a.pem")).await.unwrap();
    store.delete(first).await.unwrap();
    let second = store.create(&trusted("a.pem")).await.unwrap();
    assert!(first.0 > 0 && second > first);
}

pub(crate) async fn a_name_is_taken_once(store: Arc<dyn Store>) {
    store.create(&trusted("a.pem")).await.unwrap();
    assert!(matches!(store.create(&uploaded("a.pem")).await, Err(CreateError::NameTaken)));
}

pub(crate) async fn a_limit_counts_one_kind(store: Arc<dyn Store>) {
    let limited = |name: &str| NewCertificate { limit: Some(2), ..trusted(name) };
    store.create(&uploaded("server.pem")).await.unwrap();
    for name in ["a.pem", "b.pem"] {
        store.create(&limited(name)).await.unwrap();
    }
    assert!(matches!(store.create(&limited("c.pem")).await, Err(CreateError::LimitReached(2))));
    store.create(&trusted("unlimited.pem")).await.unwrap();
}

async fn keep(store: &Arc<dyn Store>, kind: Kind, name: &str) {
    let content = SecretSlice::from(b"file".to_vec());
    let upload = Upload { kind, name: name.into(), content, password: None, kept: at(10) };
    assert!(store.keep_upload(&upload, 10).await.unwrap());
}

fn used(second: i64) -> UsedUpload {
    UsedUpload { kind: Kind::Trusted, name: "a.pem".into(), kept: at(second) }
}

pub(crate) async fn adding_does_not_use_up_what_was_uploaded_since(store: Arc<dyn Store>) {
    keep(&store, Kind::Trusted, "a.pem").await;
    let new = NewCertificate { upload: Some(used(9)), ..trusted("a.pem") };
    assert!(matches!(store.create(&new).await, Err(CreateError::UploadGone)));
    assert!(store.upload(Kind::Trusted, "a.pem", at(0)).await.unwrap().is_some());
}

pub(crate) async fn adding_uses_its_upload_up(store: Arc<dyn Store>) {
    keep(&store, Kind::Trusted, "a.pem").await;
    keep(&store, Kind::Server, "a.pem").await;
    let new = NewCertificate { upload: Some(used(10)), ..trusted("a.pem") };
    store.create(&new).await.unwrap();
    assert!(store.upload(Kind::Trusted, "a.pem", at(0)).await.unwrap().is_none());
    assert!(store.upload(Kind::Server, "a.pem", at(0)).await.unwrap().is_some());
}

pub(crate) async fn an_upload_that_is_gone_adds_nothing(store: Arc<dyn Store>) {
    let new = NewCertificate { upload: Some(used(10)), ..trusted("a.pem") };
    assert!(matches!(store.create(&new).await, Err(CreateError::UploadGone)));
    assert_eq!(store.certificate_by_name("a.pem").await.unwrap(), None);
    // Nor is the upload used up where the entry is refused.
    keep(&store, Kind::Trusted, "a.pem").await;
    store.create(&uploaded("a.pem")).await.unwrap();
    assert!(matches!(store.create(&new).await, Err(CreateError::NameTaken)));
    assert!(store.upload(Kind::Trusted, "a.pem", at(0)).await.unwrap().is_some());
}

pub(crate) async fn an_entry_without_application_is_never_due(store: Arc<dyn Store>) {
    let server = Some(NewServer { application: None, next_issuance: Some(at(0)), owner: None });
    store.create(&NewCertificate { server, ..uploaded("a.pem") }).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
    assert_eq!(store.start_due(at(10), 10, FAST).await.unwrap(), 0);
}
