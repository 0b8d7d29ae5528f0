//! Applications that end in a certificate.
use certkeep_core::ports::Certificates;
use certkeep_sandbox::{Fault, Options, Times};
use futures::future::join_all;

use super::house::{House, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wildcard_and_its_base_name_share_one_order_and_one_certificate() {
    let house = House::new(Options::default()).await;
    let running = house.start().await;
    let id = running.apply("*.example.com, example.com", house.input()).await;
    let entry = running.issued(id).await;
    assert_eq!((entry.name.as_str(), entry.issue_to()), ("_.example.com.pem", "*.example.com"));
    let version = running.store.current_version(id).await.unwrap().expect("a version");
    let mut names = version.chain.facts().unwrap().dns_names;
    names.sort();
    assert_eq!(names, ["*.example.com", "example.com"]);
    assert!(version.chain.certificates().len() > 1 && version.key.is_some());
    assert_eq!((house.sandbox.orders(), house.sandbox.issued()), (1, 1));
    assert_eq!(house.sandbox.txt_records(), []);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_in_another_script_is_applied_for_in_a_labels() {
    let house = House::new(Options::default()).await;
    let running = house.start().await;
    let id = running.apply("telefon-zürich.example.com", house.input()).await;
    let entry = running.issued(id).await;
    assert_eq!(entry.held.as_ref().unwrap().issue_to, "xn--telefon-zrich-4ob.example.com");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_applications_at_once_in_one_zone() {
    let house = House::new(Options::default()).await;
    let running = house.start().await;
    let ids =
        join_all((0..10).map(|n| running.apply(Box::leak(format!("pbx{n}.example.com").into_boxed_str()), house.input()))).await;
    for id in ids {
        running.issued(id).await;
    }
    assert_eq!(house.sandbox.issued(), 10);
    assert_eq!(house.sandbox.txt_records(), []);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_name_is_followed_into_another_zone() {
    let zones = vec!["example.com".to_owned(), "challenges.example.net".to_owned()];
    let house = House::new(Options { zones, ..Options::default() }).await;
    house.sandbox.set_cname("_acme-challenge.pbx.example.com", "pbx.challenges.example.net").unwrap();
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    running.issued(id).await;
    assert_eq!(house.sandbox.txt_records(), []);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_bad_nonces_of_ten_are_no_failure() {
    let house = House::new(Options::default()).await;
    house.sandbox.faults().set(Fault::BadNonce, Times::AllBut(10));
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    running.issued(id).await;
    assert!(house.sandbox.faults().fired(Fault::BadNonce) > 9);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_valid_authorization_needs_no_record() {
    let reuse = Some(std::time::Duration::from_secs(3600));
    let house = House::new(Options { authorization_reuse: reuse, ..Options::default() }).await;
    let running = house.start().await;
    let first = running.apply("pbx.example.com", house.input()).await;
    running.issued(first).await;
    running.engine.delete(first).await.unwrap();
    // No record can be written now; none is needed.
    house.sandbox.shut_dns_api().await.unwrap();
    let second = running.apply("pbx.example.com", house.input()).await;
    let entry = running.issued(second).await;
    assert!(server(&entry).auto_renewal);
    running.stop().await;
}
