//! What becomes of an entry whose certificate is revoked.
use certkeep_core::certificate::ApplyStatus;
use certkeep_core::ports::{Certificates, Issuances, RevocationReason};
use certkeep_core::time::Clock;
use certkeep_engine::UseCaseError;
use certkeep_engine::revoking::{RevokeError, apply_anew, revoke, revoke_and_delete};
use certkeep_sandbox::Options;
use certkeep_testkit::wait::{PATIENCE, eventually};

use super::house::{House, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_certificate_with_another_key_takes_the_place_of_one_that_was_revoked() {
    let house = House::new(Options::default()).await;
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    running.issued(id).await;
    let before = running.store.current_version(id).await.unwrap().unwrap();
    running.stop().await;

    let store = house.store().await;
    let (issuer, cas) = (house.ports(&store).issuer, house.settings().cas);
    revoke(&store, issuer.as_ref(), &cas, id, RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!(house.sandbox.revoked(), 1);
    assert!(apply_anew(&store, id, house.clock.now()).await.unwrap());
    let held = store.current_version(id).await.unwrap().unwrap();
    assert_eq!(held.chain, before.chain, "served until another one is there");
    assert_eq!(server(&store.certificate(id).await.unwrap().unwrap()).status, ApplyStatus::Issuing);
    assert!(apply_anew(&store, id, house.clock.now()).await.unwrap(), "one is on its way");
    let busy = revoke_and_delete(&store, issuer.as_ref(), &cas, id, RevocationReason::Unspecified).await.unwrap_err();
    assert!(matches!(busy, RevokeError::Entry(UseCaseError::Busy)), "{busy}");
    store.close().await;

    let running = house.start().await;
    let renewed = || async { (running.store.issuances(id).await.ok()?.len() == 2).then_some(()) };
    eventually(PATIENCE, "the next issuance", renewed).await;
    running.issued(id).await;
    let after = running.store.current_version(id).await.unwrap().unwrap();
    assert_ne!(after.key.unwrap().expose_pkcs8(), before.key.unwrap().expose_pkcs8());
    assert_eq!((house.sandbox.issued(), house.sandbox.revoked()), (2, 1));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_served_is_neither_deleted_nor_revoked_and_what_is_deleted_is_revoked_before() {
    let house = House::new(Options::default()).await;
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    let name = running.issued(id).await.name.clone();
    let (issuer, cas) = (house.ports(&running.store).issuer, house.settings().cas);
    let delete = || revoke_and_delete(&running.store, issuer.as_ref(), &cas, id, RevocationReason::Superseded);
    running.engine.serve_https_with(&name).await.unwrap();
    let refused = delete().await.unwrap_err();
    assert!(matches!(refused, RevokeError::Entry(UseCaseError::InUse)), "{refused}");
    assert_eq!(house.sandbox.revoked(), 0);
    running.engine.serve_https_with("default").await.unwrap();
    delete().await.unwrap();
    assert_eq!(house.sandbox.revoked(), 1);
    assert!(running.store.certificate(id).await.unwrap().is_none());
    running.stop().await;
}
