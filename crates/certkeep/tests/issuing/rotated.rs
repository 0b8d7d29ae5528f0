//! A change of the account's key that was interrupted after the CA had made it.
use certkeep_acme::account_facts;
use certkeep_core::ports::{Issuances, Settings};
use certkeep_sandbox::Options;
use certkeep_store::SqlStore;
use certkeep_testkit::wait::{PATIENCE, eventually};
use secrecy::ExposeSecret;

use super::house::House;

/// Gives the account another key as a process does that is killed before it saves that; answers its thumbprint.
async fn interrupted(house: &House, store: &SqlStore) -> String {
    let (issuer, ca) = (house.ports(store).issuer, house.settings().cas.first.ca);
    let account = store.acme_account(&ca.directory).await.unwrap().unwrap();
    let next = issuer.new_account(&ca).unwrap();
    store.set_setting(&place(house), &next.credentials).await.unwrap();
    issuer.roll_over(&ca, &account, &next).await.unwrap();
    account_facts(&next).unwrap().thumbprint
}

fn place(house: &House) -> String {
    format!("acme.next_account.{}", house.sandbox.directory_url())
}

/// The thumbprint of the account that is kept, once no change is under way.
async fn settled(house: &House, store: &SqlStore) -> String {
    let over = || async {
        let next = store.setting(&place(house)).await.ok()??;
        next.expose_secret().is_empty().then_some(())
    };
    eventually(PATIENCE, "the end of the change", over).await;
    let account = store.acme_account(house.sandbox.directory_url()).await.unwrap().unwrap();
    account_facts(&account).unwrap().thumbprint
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_brought_to_its_end_at_the_start() {
    let house = House::new(Options::default()).await;
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    running.issued(id).await;
    running.stop().await;
    let store = house.store().await;
    let expected = interrupted(&house, &store).await;
    store.close().await;

    let running = house.start().await;
    assert_eq!(settled(&house, &running.store).await, expected);
    let id = running.apply("other.example.com", house.input()).await;
    running.issued(id).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_brought_to_its_end_when_the_ca_refuses_the_old_key() {
    let house = House::new(Options::default()).await;
    let running = house.start().await;
    let id = running.apply("pbx.example.com", house.input()).await;
    running.issued(id).await;
    let expected = interrupted(&house, &running.store).await;
    let id = running.apply("other.example.com", house.input()).await;
    running.issued(id).await;
    assert_eq!(settled(&house, &running.store).await, expected);
    assert_eq!(running.store.issuances(id).await.unwrap().len(), 1, "in the same issuance");
    running.stop().await;
}
