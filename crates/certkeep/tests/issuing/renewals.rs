//! A certificate is replaced before it ends, whatever its life, and the old one serves until then.
use std::time::Duration;

use certkeep_core::certificate::{Kind, Origin};
use certkeep_core::ports::Certificates;
use certkeep_engine::inventory::Create;
use certkeep_sandbox::Options;
use certkeep_testkit::wait::{PATIENCE, eventually};
use jiff::SignedDuration;
use rcgen::{CertificateParams, KeyPair};

use super::house::{House, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_sixty_seconds_is_renewed_within_its_life_and_served_at_once() {
    let house = House::new(Options { validity: Duration::from_secs(60), ..Options::default() }).await;
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    let entry = running.issued(id).await;
    running.engine.serve_https_with(&entry.name).await.unwrap();
    let mut served = running.engine.served();
    let first = served.borrow_and_update().chain.clone();
    assert_eq!(first, running.store.current_version(id).await.unwrap().unwrap().chain);

    // The CA's window is the last third of the life, of which the last tenth is left for further attempts.
    house.clock.advance(SignedDuration::from_secs(55));
    let waker = running.apply("waker.example.com", house.input()).await;
    running.issued(waker).await;
    tokio::time::timeout(PATIENCE, served.changed()).await.expect("a renewal").unwrap();
    let second = served.borrow_and_update().chain.clone();
    assert_ne!(first, second);
    let renewed = running.issued(id).await;
    assert!(renewed.expiration() >= entry.expiration());
    assert_eq!(house.sandbox.txt_records(), []);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uploaded_certificate_with_auto_renewal_is_renewed_by_application() {
    let house = House::new(Options::default()).await;
    let running = house.start().await;
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec!["pbx.example.com".to_owned()]).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the certificate has to end soon by the machine's own clock")]
    let now = std::time::SystemTime::now();
    parameters.not_before = (now - Duration::from_secs(3600)).into();
    parameters.not_after = (now + Duration::from_secs(1800)).into();
    let certificate = parameters.self_signed(&key).unwrap();
    let pem = format!("{}{}", certificate.pem(), key.serialize_pem());

    let name = running.engine.upload(Kind::Server, "pbx.pem", pem.into_bytes().into(), None).await.unwrap();
    let created = running.engine.create(Create::Serve { upload: name, renewal: Some(house.input()) }, None).await.unwrap();
    let id = running.by_name(&created.name).await;
    let entry = eventually(PATIENCE, "the renewal", || async {
        let entry = running.engine.certificate(id).await.unwrap();
        (entry.expiration().unwrap().as_second() > entry.held.as_ref().unwrap().validity.not_before.as_second() + 86_400)
            .then_some(entry)
    })
    .await;
    assert_eq!((server(&entry).origin, entry.issue_to()), (Origin::Upload, "pbx.example.com"));
    assert_eq!(house.sandbox.issued(), 1);
    running.stop().await;
}
