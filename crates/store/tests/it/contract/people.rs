use std::sync::Arc;

use certkeep_core::client::Digest;
use certkeep_core::people::password::PasswordHash;
use certkeep_core::people::totp::TotpSecret;
use certkeep_core::people::{Act, Rights, Role, TokenId, UserId};
use certkeep_core::ports::{FirstUser, NewApiToken, NewUser, Store, UserChange, UserChanged};

use crate::fixtures::at;

/// A hash that stands for a password: what is hashed makes no difference here.
fn hash(letter: char) -> PasswordHash {
    let hash = format!("{letter}{}", "A".repeat(42));
    PasswordHash::parse(&format!("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ${hash}")).unwrap()
}

fn new(name: &str, role: Role) -> NewUser {
    NewUser { name: name.into(), role, password: hash('A'), created: at(0) }
}

pub(crate) async fn user(store: &Arc<dyn Store>, name: &str, role: Role) -> UserId {
    store.add_user(&new(name, role)).await.unwrap().expect("the name is free")
}

pub(crate) fn token(name: &str, owner: Option<UserId>) -> NewApiToken {
    let rights = Rights { role: Role::Operator, scopes: Some([Act::ReadInventory, Act::Revoke].into()) };
    NewApiToken { name: name.into(), token: Digest::of(name), rights, expires: Some(at(100)), owner, created: at(0) }
}

async fn change(store: &Arc<dyn Store>, user: UserId, change: UserChange) -> UserChanged {
    store.change_user(user, &change).await.unwrap()
}

async fn open(store: &Arc<dyn Store>, user: UserId, token: &str) -> bool {
    store.open_browser_session(user, &hash('A'), &Digest::of(token), at(5)).await.unwrap()
}

async fn is_open(store: &Arc<dyn Store>, token: &str) -> bool {
    store.browser_session(&Digest::of(token)).await.unwrap().is_some()
}

pub(crate) async fn a_user_is_found_by_name(store: Arc<dyn Store>) {
    assert!(!store.has_users().await.unwrap());
    user(&store, "b", Role::Viewer).await;
    let anna = user(&store, "anna", Role::Admin).await;
    assert!(store.has_users().await.unwrap());
    let found = store.user("anna").await.unwrap().unwrap();
    assert_eq!((found.user.id, found.user.role, found.user.created), (anna, Role::Admin, at(0)));
    assert!(!found.user.has_totp && !found.user.disabled && found.user.last_login.is_none());
    assert_eq!((found.password, found.totp_step), (hash('A'), None));
    assert!(store.user("Anna").await.unwrap().is_none());
    let names: Vec<String> = store.users().await.unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!(names, ["anna", "b"]);
    assert_eq!(store.add_user(&new("anna", Role::Viewer)).await.unwrap(), None, "the name is taken");
}

pub(crate) async fn only_the_setup_token_makes_the_first_user(store: Arc<dyn Store>) {
    let first = async |token: &str| store.add_first_user(&Digest::of(token), &new("anna", Role::Admin)).await.unwrap();
    assert_eq!(first("none").await, FirstUser::Refused);
    store.set_setup_token(&Digest::of("earlier")).await.unwrap();
    store.set_setup_token(&Digest::of("later")).await.unwrap();
    assert_eq!(first("earlier").await, FirstUser::Refused);
    assert!(matches!(first("later").await, FirstUser::Added(_)));
    assert_eq!(first("later").await, FirstUser::Refused);
    store.set_setup_token(&Digest::of("again")).await.unwrap();
    assert_eq!(first("again").await, FirstUser::Refused, "there is a user");
}

pub(crate) async fn the_last_admin_stays(store: Arc<dyn Store>) {
    let (anna, bert) = (user(&store, "anna", Role::Admin).await, user(&store, "bert", Role::Admin).await);
    assert_eq!(change(&store, bert, UserChange::Disabled(true)).await, UserChanged::Done);
    for weaker in [UserChange::Remove, UserChange::Disabled(true), UserChange::Role(Role::Operator)] {
        assert_eq!(change(&store, anna, weaker).await, UserChanged::LastAdmin);
    }
    assert_eq!(change(&store, anna, UserChange::Role(Role::Admin)).await, UserChanged::Done);
    assert_eq!(change(&store, bert, UserChange::Disabled(false)).await, UserChanged::Done);
    assert_eq!(change(&store, anna, UserChange::Role(Role::Viewer)).await, UserChanged::Done);
    assert_eq!(change(&store, bert, UserChange::Remove).await, UserChanged::LastAdmin);
    assert_eq!(change(&store, anna, UserChange::Remove).await, UserChanged::Done);
    assert_eq!(change(&store, anna, UserChange::Remove).await, UserChanged::Unknown);
}

pub(crate) async fn the_epoch_grows_with_every_change_of_a_user_or_token(store: Arc<dyn Store>) {
    user(&store, "anna", Role::Admin).await;
    let bert = user(&store, "bert", Role::Viewer).await;
    let mut last = store.epoch().await.unwrap().access;
    let mut grown = async |what: &str| {
        let now = store.epoch().await.unwrap().access;
        assert!(now > last, "{what}");
        last = now;
    };
    let token = store.add_api_token(&token("ci", Some(bert))).await.unwrap().unwrap();
    grown("a token is added").await;
    assert!(store.revoke_api_token(token).await.unwrap());
    grown("a token is revoked").await;
    for other in [
        UserChange::Role(Role::Operator),
        UserChange::Disabled(true),
        UserChange::Password { hash: hash('E'), keep: None },
        UserChange::TotpProposed(TotpSecret::new(vec![1; 20])),
        UserChange::TotpConfirmed(7),
        UserChange::TotpOff,
        UserChange::Remove,
    ] {
        let what = format!("{other:?}");
        assert_eq!(change(&store, bert, other).await, UserChanged::Done, "{what}");
        grown(&what).await;
    }
}

pub(crate) async fn one_time_passwords_are_asked_for_once_they_are_confirmed(store: Arc<dyn Store>) {
    let anna = user(&store, "anna", Role::Admin).await;
    assert_eq!(change(&store, anna, UserChange::TotpConfirmed(1)).await, UserChanged::TotpState);
    let secret = TotpSecret::new((0..20).collect());
    assert_eq!(change(&store, anna, UserChange::TotpProposed(secret.clone())).await, UserChanged::Done);
    let proposed = store.user("anna").await.unwrap().unwrap();
    assert_eq!((proposed.user.has_totp, proposed.totp.unwrap().octets()), (false, secret.octets()));
    assert_eq!(change(&store, anna, UserChange::TotpConfirmed(41)).await, UserChanged::Done);
    let confirmed = store.user("anna").await.unwrap().unwrap();
    assert_eq!((confirmed.user.has_totp, confirmed.totp_step), (true, Some(41)));
    assert_eq!(change(&store, anna, UserChange::TotpProposed(secret)).await, UserChanged::TotpState, "one is on");
    assert_eq!(change(&store, anna, UserChange::TotpOff).await, UserChanged::Done);
    let off = store.user("anna").await.unwrap().unwrap();
    assert!(!off.user.has_totp && off.totp.is_none());
}

pub(crate) async fn a_step_is_used_once(store: Arc<dyn Store>) {
    let anna = user(&store, "anna", Role::Admin).await;
    assert!(store.use_totp_step(anna, 7).await.unwrap());
    assert!(!store.use_totp_step(anna, 7).await.unwrap());
    assert!(!store.use_totp_step(anna, 6).await.unwrap());
    assert!(store.use_totp_step(anna, 8).await.unwrap());
}

pub(crate) async fn a_session_is_opened_by_the_present_password_only(store: Arc<dyn Store>) {
    let anna = user(&store, "anna", Role::Admin).await;
    user(&store, "bert", Role::Admin).await;
    assert!(open(&store, anna, "one").await);
    let session = store.browser_session(&Digest::of("one")).await.unwrap().unwrap();
    assert_eq!((session.user.name.as_str(), session.opened, session.last_seen), ("anna", at(5), at(5)));
    assert_eq!(session.user.last_login, Some(at(5)));
    change(&store, anna, UserChange::Password { hash: hash('E'), keep: None }).await;
    assert!(!open(&store, anna, "two").await);
    change(&store, anna, UserChange::Password { hash: hash('A'), keep: None }).await;
    change(&store, anna, UserChange::Disabled(true)).await;
    assert!(!open(&store, anna, "three").await);
}

pub(crate) async fn another_password_ends_all_other_sessions(store: Arc<dyn Store>) {
    let anna = user(&store, "anna", Role::Admin).await;
    let bert = user(&store, "bert", Role::Admin).await;
    for (user, token) in [(anna, "one"), (anna, "two"), (bert, "other")] {
        assert!(open(&store, user, token).await);
    }
    change(&store, anna, UserChange::Password { hash: hash('E'), keep: Some(Digest::of("two")) }).await;
    assert_eq!((is_open(&store, "one").await, is_open(&store, "two").await, is_open(&store, "other").await), (false, true, true));
    change(&store, anna, UserChange::Disabled(true)).await;
    assert!(!is_open(&store, "two").await);
}

pub(crate) async fn sessions_are_seen_closed_and_swept(store: Arc<dyn Store>) {
    let anna = user(&store, "anna", Role::Admin).await;
    for token in ["closed", "idle", "seen"] {
        assert!(open(&store, anna, token).await);
    }
    assert!(store.close_browser_session(&Digest::of("closed")).await.unwrap());
    assert!(!store.close_browser_session(&Digest::of("closed")).await.unwrap());
    store.see_browser_session(&Digest::of("seen"), at(50)).await.unwrap();
    store.see_browser_session(&Digest::of("seen"), at(40)).await.unwrap();
    assert_eq!(store.browser_session(&Digest::of("seen")).await.unwrap().unwrap().last_seen, at(50));
    assert_eq!(store.sweep_browser_sessions(at(50), at(5)).await.unwrap(), 1);
    assert_eq!((is_open(&store, "idle").await, is_open(&store, "seen").await), (false, true));
    assert_eq!(store.sweep_browser_sessions(at(50), at(6)).await.unwrap(), 1);
}

pub(crate) async fn a_token_is_read_back_with_its_owner(store: Arc<dyn Store>) {
    let anna = user(&store, "anna", Role::Admin).await;
    let id = store.add_api_token(&token("ci", Some(anna))).await.unwrap().unwrap();
    store
        .add_api_token(&NewApiToken { rights: Rights::of(Role::Viewer), expires: None, ..token("a", None) })
        .await
        .unwrap()
        .unwrap();
    let read = store.api_token(&Digest::of("ci")).await.unwrap().unwrap();
    assert_eq!((read.id, read.name.as_str(), read.expires, read.created), (id, "ci", Some(at(100)), at(0)));
    assert_eq!(read.rights, token("ci", None).rights);
    assert_eq!(read.owner.map(|owner| owner.name).as_deref(), Some("anna"));
    let ownerless = store.api_token(&Digest::of("a")).await.unwrap().unwrap();
    assert_eq!((ownerless.owner, ownerless.expires, ownerless.rights), (None, None, Rights::of(Role::Viewer)));
    let names: Vec<String> = store.api_tokens().await.unwrap().into_iter().map(|token| token.name).collect();
    assert_eq!(names, ["a", "ci"]);
    assert_eq!(store.add_api_token(&token("ci", None)).await.unwrap(), None, "the name is taken");
    assert_eq!(store.add_api_token(&token("x", Some(UserId(99)))).await.unwrap(), None, "there is no such user");
    store.see_api_token(id, at(9)).await.unwrap();
    store.see_api_token(id, at(8)).await.unwrap();
    assert_eq!(store.api_token(&Digest::of("ci")).await.unwrap().unwrap().last_used, Some(at(9)));
}

pub(crate) async fn a_token_goes_with_its_owner(store: Arc<dyn Store>) {
    user(&store, "anna", Role::Admin).await;
    let bert = user(&store, "bert", Role::Operator).await;
    let id = store.add_api_token(&token("ci", Some(bert))).await.unwrap().unwrap();
    let other = store.add_api_token(&token("other", None)).await.unwrap().unwrap();
    assert!(open(&store, bert, "browser").await);
    assert_eq!(change(&store, bert, UserChange::Remove).await, UserChanged::Done);
    assert!(store.api_token(&Digest::of("ci")).await.unwrap().is_none());
    assert!(!is_open(&store, "browser").await);
    assert!(!store.revoke_api_token(id).await.unwrap());
    assert!(store.revoke_api_token(other).await.unwrap());
    assert!(!store.revoke_api_token(TokenId(0)).await.unwrap());
}
