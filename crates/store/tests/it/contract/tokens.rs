use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use certkeep_core::client::{ClientKey, ClientRole, Digest, MAX_LIVE_TOKENS, ROTATION_GRACE, TokenPair};
use certkeep_core::ports::{ClientChange, Opening, Rotation, Store};

use super::clients::pair;
use crate::fixtures::at;

async fn client(store: &Arc<dyn Store>) -> ClientKey {
    assert!(store.add_client("pbx", "id", Digest::of("s"), ClientRole::Admin, &[]).await.unwrap());
    store.client("id").await.unwrap().unwrap().0.key
}

async fn open(store: &Arc<dyn Store>, client: ClientKey, pair: &TokenPair, second: i64) -> bool {
    let opening = store.open_session(client, &Digest::of("s"), pair, at(second), MAX_LIVE_TOKENS).await.unwrap();
    opening == Opening::Opened
}

async fn is_live(store: &Arc<dyn Store>, pair: &TokenPair, second: i64) -> bool {
    store.session(&pair.access).await.unwrap().is_some_and(|session| session.is_live(at(second)))
}

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

async fn turn(store: &Arc<dyn Store>, old: &TokenPair, new: &TokenPair, second: i64) -> Rotation {
    store.rotate_session(&old.refresh, new, HERE, at(second), ROTATION_GRACE, MAX_LIVE_TOKENS).await.unwrap()
}

async fn rotate(store: &Arc<dyn Store>, old: &TokenPair, new: &TokenPair, second: i64) -> bool {
    match turn(store, old, new, second).await {
        Rotation::Rotated(_) => true,
        Rotation::Unknown => false,
        other => panic!("{other:?}"),
    }
}

/// Opens sessions until no more are let in; answers how many.
async fn fill(store: &Arc<dyn Store>, client: ClientKey, second: i64) -> usize {
    let mut opened = 0;
    while open(store, client, &pair(&format!("filler {second} {opened}"), second), second).await {
        opened += 1;
    }
    opened
}

pub(crate) async fn an_open_session_is_read_back(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert!(open(&store, key, &pair("a", 0), 0).await);
    let session = store.session(&pair("a", 0).access).await.unwrap().unwrap();
    assert_eq!((session.client.key, session.ends), (key, at(1800)));
    assert_eq!(store.session(&pair("a", 0).refresh).await.unwrap(), None, "a refresh token opens no door");
    assert_eq!(store.session(&pair("b", 0).access).await.unwrap(), None);
}

pub(crate) async fn no_more_than_the_limit_are_live(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert_eq!(fill(&store, key, 0).await, 8);
    assert!(store.add_client("other", "id2", Digest::of("s"), ClientRole::Admin, &[]).await.unwrap());
    let other = store.client("id2").await.unwrap().unwrap().0.key;
    assert_eq!(fill(&store, other, 1).await, 8);
}

pub(crate) async fn a_session_counts_through_its_grace_and_no_longer(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert_eq!(fill(&store, key, 0).await, 8);
    assert_eq!(fill(&store, key, 1805).await, 0);
    assert_eq!(fill(&store, key, 1806).await, 8);
}

pub(crate) async fn revoking_frees_a_slot_and_kills_both_tokens_at_once(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert!(open(&store, key, &pair("a", 0), 0).await);
    assert_eq!(fill(&store, key, 0).await, 7);
    assert!(is_live(&store, &pair("a", 0), 10).await);
    assert!(store.revoke_session(&pair("a", 0).access, at(10)).await.unwrap().is_some());
    assert!(!is_live(&store, &pair("a", 0), 10).await);
    assert!(!rotate(&store, &pair("a", 0), &pair("b", 0), 10).await);
    assert_eq!(fill(&store, key, 10).await, 1);
}

pub(crate) async fn revoking_tells_whose_it_was_twice_too(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert!(open(&store, key, &pair("a", 0), 0).await);
    for second in [10, 20] {
        assert_eq!(store.revoke_session(&pair("a", 0).access, at(second)).await.unwrap(), Some(key));
    }
    assert_eq!(store.revoke_session(&pair("b", 0).access, at(0)).await.unwrap(), None);
    assert_eq!(store.revoke_session(&pair("a", 0).refresh, at(0)).await.unwrap(), None);
}

pub(crate) async fn rotating_uses_no_further_slot(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert!(open(&store, key, &pair("a", 0), 0).await);
    assert_eq!(fill(&store, key, 0).await, 7);
    assert!(rotate(&store, &pair("a", 0), &pair("b", 10), 10).await);
    assert!(is_live(&store, &pair("a", 0), 20).await && is_live(&store, &pair("b", 10), 20).await);
    assert_eq!(fill(&store, key, 20).await, 0);
    assert!(store.revoke_session(&pair("b", 10).access, at(20)).await.unwrap().is_some());
    assert_eq!(fill(&store, key, 20).await, 1);
}

pub(crate) async fn the_old_pair_dies_after_its_grace(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert!(open(&store, key, &pair("a", 0), 0).await);
    assert!(rotate(&store, &pair("a", 0), &pair("b", 10), 10).await);
    assert!(is_live(&store, &pair("a", 0), 39).await);
    assert!(!is_live(&store, &pair("a", 0), 40).await);
    assert!(!rotate(&store, &pair("a", 0), &pair("c", 40), 40).await);
    assert!(is_live(&store, &pair("b", 10), 1810).await);
    // A token that was about to end anyway is not prolonged by the grace.
    assert!(rotate(&store, &pair("b", 10), &pair("c", 1800), 1800).await);
    assert!(!is_live(&store, &pair("b", 10), 1816).await);
}

pub(crate) async fn a_refresh_token_dies_at_its_end(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert!(open(&store, key, &pair("a", 0), 0).await);
    assert!(open(&store, key, &pair("b", 0), 0).await);
    assert!(rotate(&store, &pair("a", 0), &pair("c", 86_400), 86_400).await, "the access token is long dead");
    assert!(!rotate(&store, &pair("b", 0), &pair("d", 86_406), 86_406).await);
    assert!(!rotate(&store, &pair("unknown", 0), &pair("d", 0), 0).await);
}

pub(crate) async fn a_second_rotation_replaces_the_first_ones_pair(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert!(open(&store, key, &pair("a", 0), 0).await);
    assert_eq!(fill(&store, key, 0).await, 7);
    assert!(rotate(&store, &pair("a", 0), &pair("b", 10), 10).await);
    assert!(rotate(&store, &pair("a", 0), &pair("c", 20), 20).await);
    assert!(!is_live(&store, &pair("a", 0), 40).await, "the second rotation does not prolong its grace");
    assert!(!is_live(&store, &pair("b", 10), 50).await);
    assert!(is_live(&store, &pair("c", 20), 50).await);
    assert_eq!(fill(&store, key, 50).await, 0);
    assert!(store.revoke_session(&pair("c", 20).access, at(50)).await.unwrap().is_some());
    assert_eq!(fill(&store, key, 50).await, 1, "one session, one slot");
}

pub(crate) async fn revoking_the_new_pair_kills_the_old_one_in_its_grace(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert!(open(&store, key, &pair("a", 0), 0).await);
    assert!(rotate(&store, &pair("a", 0), &pair("b", 10), 10).await);
    assert!(store.revoke_session(&pair("b", 10).access, at(20)).await.unwrap().is_some());
    assert!(!is_live(&store, &pair("a", 0), 20).await);
    assert!(!rotate(&store, &pair("a", 0), &pair("c", 20), 20).await);
}

pub(crate) async fn revoking_the_old_pair_leaves_the_new_one(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert!(open(&store, key, &pair("a", 0), 0).await);
    assert!(rotate(&store, &pair("a", 0), &pair("b", 10), 10).await);
    assert!(store.revoke_session(&pair("a", 0).access, at(20)).await.unwrap().is_some());
    assert!(!is_live(&store, &pair("a", 0), 20).await);
    assert!(is_live(&store, &pair("b", 10), 20).await);
}

pub(crate) async fn a_removed_client_gets_no_session(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert!(store.change_client("pbx", ClientChange::Remove).await.unwrap());
    assert!(!open(&store, key, &pair("a", 0), 0).await);
}

pub(crate) async fn dead_tokens_are_told_until_they_are_swept(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert!(open(&store, key, &pair("revoked", 0), 0).await);
    assert!(open(&store, key, &pair("live", 0), 0).await);
    assert!(store.revoke_session(&pair("revoked", 0).access, at(10)).await.unwrap().is_some());
    assert!(store.session(&pair("revoked", 0).access).await.unwrap().is_some());
    assert_eq!(store.sweep_sessions(at(10)).await.unwrap(), 0);
    assert_eq!(store.sweep_sessions(at(3600)).await.unwrap(), 1, "a refresh token lives longer than its access token");
    assert_eq!(store.session(&pair("revoked", 0).access).await.unwrap(), None);
    assert!(store.session(&pair("live", 0).access).await.unwrap().is_some());
    assert_eq!(store.sweep_sessions(at(86_500)).await.unwrap(), 1);
}

pub(crate) async fn a_secret_that_changed_meanwhile_opens_nothing(store: Arc<dyn Store>) {
    let key = client(&store).await;
    store.change_client("pbx", ClientChange::Rotate(Digest::of("new"))).await.unwrap();
    let opening = store.open_session(key, &Digest::of("s"), &pair("a", 0), at(0), MAX_LIVE_TOKENS).await.unwrap();
    assert_eq!(opening, Opening::SecretChanged);
    assert_eq!(store.session(&pair("a", 0).access).await.unwrap(), None);
}

pub(crate) async fn rotating_from_elsewhere_changes_nothing(store: Arc<dyn Store>) {
    let networks = ["198.51.100.0/24".parse().unwrap()];
    store.add_client("pbx", "id", Digest::of("s"), ClientRole::Admin, &networks).await.unwrap();
    let key = store.client("id").await.unwrap().unwrap().0.key;
    assert!(open(&store, key, &pair("a", 0), 0).await);
    assert_eq!(turn(&store, &pair("a", 0), &pair("b", 10), 10).await, Rotation::Forbidden);
    assert!(is_live(&store, &pair("a", 0), 100).await);
    assert_eq!(store.session(&pair("b", 10).access).await.unwrap(), None);
}

pub(crate) async fn rotating_an_ended_session_needs_a_slot(store: Arc<dyn Store>) {
    let key = client(&store).await;
    assert!(open(&store, key, &pair("a", 0), 0).await);
    assert_eq!(fill(&store, key, 1806).await, 8);
    assert_eq!(turn(&store, &pair("a", 0), &pair("b", 1810), 1810).await, Rotation::TooMany);
    assert_eq!(turn(&store, &pair("a", 0), &pair("b", 3700), 3700).await, Rotation::Rotated(key));
}
