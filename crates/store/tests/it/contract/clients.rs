use std::sync::Arc;

use certkeep_core::client::{ClientKey, ClientRole, Digest, TokenPair};
use certkeep_core::ports::{BlockSubject, ClientChange, Opening, Rotation, Store};

use crate::fixtures::{at, minutes};

const SECRET: &str = "secret";

async fn opened(store: &Arc<dyn Store>, key: ClientKey, secret: &str, name: &str) -> bool {
    let opening = store.open_session(key, &Digest::of(secret), &pair(name, 0), at(0), 1).await.unwrap();
    opening == Opening::Opened
}

async fn add(store: &Arc<dyn Store>, name: &str, client_id: &str) -> bool {
    store.add_client(name, client_id, Digest::of(SECRET), ClientRole::Admin, &[]).await.unwrap()
}

pub(crate) fn pair(name: &str, opened: i64) -> TokenPair {
    TokenPair {
        access: Digest::of(&format!("access {name}")),
        refresh: Digest::of(&format!("refresh {name}")),
        access_ends: at(opened + 1800),
        refresh_ends: at(opened + 86_400),
    }
}

pub(crate) async fn a_client_is_found_by_its_client_id(store: Arc<dyn Store>) {
    let networks = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/64".parse().unwrap()];
    assert!(store.add_client("pbx", "id-1", Digest::of("s"), ClientRole::Viewer, &networks).await.unwrap());
    let (client, secret) = store.client("id-1").await.unwrap().unwrap();
    assert_eq!((client.name.as_str(), client.client_id.as_str(), client.role), ("pbx", "id-1", ClientRole::Viewer));
    assert_eq!(client.networks, networks);
    assert!(secret.matches(&Digest::of("s")));
    assert!(store.client("pbx").await.unwrap().is_none());
}

pub(crate) async fn role_and_networks_are_changed_apart(store: Arc<dyn Store>) {
    add(&store, "a", "1").await;
    add(&store, "b", "2").await;
    let network: ipnet::IpNet = "10.0.0.0/8".parse().unwrap();
    let change = async |role, networks| store.change_client("a", ClientChange::Access { role, networks }).await.unwrap();
    let present = async |id: &str| {
        let client = store.client(id).await.unwrap().unwrap().0;
        (client.role, client.networks)
    };
    assert!(change(Some(ClientRole::Viewer), None).await);
    assert_eq!(present("1").await, (ClientRole::Viewer, vec![]));
    assert!(change(None, Some(vec![network])).await);
    assert_eq!(present("1").await, (ClientRole::Viewer, vec![network]));
    assert!(change(Some(ClientRole::Admin), Some(vec![])).await);
    assert_eq!(present("1").await, (ClientRole::Admin, vec![]));
    assert_eq!(present("2").await, (ClientRole::Admin, vec![]));
}

pub(crate) async fn clients_are_listed_by_name(store: Arc<dyn Store>) {
    for (name, id) in [("b", "1"), ("a", "2"), ("c", "0")] {
        assert!(add(&store, name, id).await);
    }
    let names: Vec<String> = store.clients().await.unwrap().into_iter().map(|client| client.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

pub(crate) async fn name_and_client_id_are_unique(store: Arc<dyn Store>) {
    assert!(add(&store, "a", "1").await);
    assert!(!add(&store, "a", "2").await);
    assert!(!add(&store, "b", "1").await);
    assert_eq!(store.clients().await.unwrap().len(), 1);
}

pub(crate) async fn removing_deletes_tokens(store: Arc<dyn Store>) {
    add(&store, "a", "1").await;
    let key = store.client("1").await.unwrap().unwrap().0.key;
    assert!(opened(&store, key, SECRET, "x").await);
    assert!(store.change_client("a", ClientChange::Remove).await.unwrap());
    assert!(!store.change_client("a", ClientChange::Remove).await.unwrap());
    assert!(store.client("1").await.unwrap().is_none());
    assert_eq!(store.session(&pair("x", 0).access).await.unwrap(), None);
}

pub(crate) async fn rotating_changes_the_secret_and_revokes_all_tokens(store: Arc<dyn Store>) {
    add(&store, "a", "1").await;
    let key = store.client("1").await.unwrap().unwrap().0.key;
    assert!(opened(&store, key, SECRET, "x").await);
    assert!(store.change_client("a", ClientChange::Rotate(Digest::of("new"))).await.unwrap());
    assert!(!store.change_client("b", ClientChange::Rotate(Digest::of("new"))).await.unwrap());
    assert!(store.client("1").await.unwrap().unwrap().1.matches(&Digest::of("new")));
    let session = store.session(&pair("x", 0).access).await.unwrap().unwrap();
    assert!(!session.is_live(at(0)));
    let here = [192, 0, 2, 1].into();
    let rotated = store.rotate_session(&pair("x", 0).refresh, &pair("y", 0), here, at(0), minutes(1), 1).await.unwrap();
    assert_eq!(rotated, Rotation::Unknown);
    assert!(opened(&store, key, "new", "z").await, "the slot is free");
}

pub(crate) async fn the_epoch_grows_with_every_change_of_a_client(store: Arc<dyn Store>) {
    let mut last = store.epoch().await.unwrap().access;
    add(&store, "a", "1").await;
    let access = ClientChange::Access { role: Some(ClientRole::Viewer), networks: None };
    for change in [access, ClientChange::Rotate(Digest::of("new")), ClientChange::Remove] {
        store.change_client("a", change).await.unwrap();
        let epoch = store.epoch().await.unwrap().access;
        assert!(epoch > last);
        last = epoch;
    }
    store.change_client("nobody", ClientChange::Remove).await.unwrap();
    assert_eq!(store.epoch().await.unwrap().access, last);
}

fn address(text: &str) -> BlockSubject {
    BlockSubject::Address(text.parse().unwrap())
}

/// Fails `times` in a row, one second apart from `from` on; answers what the last one did.
async fn fail(store: &Arc<dyn Store>, subject: &BlockSubject, from: i64, times: i64) -> Option<jiff::Timestamp> {
    let mut last = None;
    for n in 0..times {
        last = store.failed_login(subject, at(from + n), 5, minutes(10)).await.unwrap();
    }
    last
}

pub(crate) async fn a_block_comes_with_the_last_failure_in_a_row(store: Arc<dyn Store>) {
    let subject = address("192.0.2.1/32");
    assert_eq!(fail(&store, &subject, 0, 4).await, None);
    assert_eq!(store.blocked_until(&subject, at(4)).await.unwrap(), None);
    assert_eq!(fail(&store, &subject, 4, 1).await, Some(at(604)));
    assert_eq!(store.blocked_until(&subject, at(603)).await.unwrap(), Some(at(604)));
    assert_eq!(store.blocked_until(&subject, at(604)).await.unwrap(), None);
}

pub(crate) async fn a_failure_while_blocked_prolongs_the_block(store: Arc<dyn Store>) {
    let subject = BlockSubject::Credential(Digest::of("id secret"));
    fail(&store, &subject, 0, 5).await;
    assert_eq!(fail(&store, &subject, 300, 1).await, Some(at(900)));
    assert_eq!(store.blocked_until(&subject, at(899)).await.unwrap(), Some(at(900)));
}

pub(crate) async fn a_failure_right_after_another_does_not_prolong_the_block(store: Arc<dyn Store>) {
    let subject = address("192.0.2.1/32");
    fail(&store, &subject, 0, 5).await;
    let soon = at(4) + jiff::SignedDuration::from_millis(999);
    assert_eq!(store.failed_login(&subject, soon, 5, minutes(10)).await.unwrap(), Some(at(604)));
    assert_eq!(store.blocked_until(&subject, soon).await.unwrap(), Some(at(604)));
}

pub(crate) async fn a_block_that_ended_starts_the_count_anew(store: Arc<dyn Store>) {
    let subject = address("2001:db8::/64");
    assert_eq!(fail(&store, &subject, 0, 5).await, Some(at(604)));
    assert_eq!(fail(&store, &subject, 604, 4).await, None);
    assert_eq!(fail(&store, &subject, 610, 1).await, Some(at(1210)));
}

pub(crate) async fn a_success_forgets_failures(store: Arc<dyn Store>) {
    let subject = address("192.0.2.1/32");
    fail(&store, &subject, 0, 4).await;
    store.clear_failed_logins(&subject).await.unwrap();
    assert_eq!(fail(&store, &subject, 10, 4).await, None);
}

pub(crate) async fn subjects_are_counted_apart(store: Arc<dyn Store>) {
    fail(&store, &address("192.0.2.1/32"), 0, 5).await;
    for other in [address("192.0.2.2/32"), address("2001:db8::/64"), BlockSubject::Credential(Digest::of("192.0.2.1/32"))] {
        assert_eq!(store.blocked_until(&other, at(10)).await.unwrap(), None);
        assert_eq!(fail(&store, &other, 10, 1).await, None);
    }
}

pub(crate) async fn counters_are_swept_but_blocks_stay(store: Arc<dyn Store>) {
    let (counted, blocked) = (address("192.0.2.1/32"), address("192.0.2.2/32"));
    fail(&store, &counted, 0, 4).await;
    fail(&store, &blocked, 0, 5).await;
    assert_eq!(store.sweep_failed_logins(at(2)).await.unwrap(), 0);
    assert_eq!(store.sweep_failed_logins(at(100)).await.unwrap(), 1);
    assert_eq!(fail(&store, &counted, 100, 4).await, None);
    assert_eq!(store.blocked_until(&blocked, at(100)).await.unwrap(), Some(at(604)));
}
