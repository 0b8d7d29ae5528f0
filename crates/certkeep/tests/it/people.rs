//! Users, sessions and API tokens, as the native API and the page have them.
use std::net::IpAddr;

use certkeep_core::people::{Act, Rights, Role};
use certkeep_core::ports::People;
use certkeep_engine::UseCaseError;
use certkeep_engine::access::AccessError;
use certkeep_engine::acting::Acting;
use certkeep_engine::inventory::Create;
use certkeep_engine::people::{LoggedIn, LoginError, PeopleError, TokenWish, UserEdit, is_csrf_token};
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};

use crate::call::{ELSEWHERE, HERE};
use crate::house::House;

const ANNA: (&str, &str) = ("anna", "annas password");

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

/// Makes the first user, Anna.
async fn set_up(house: &House) -> LoggedIn {
    let token = house.engine.setup_token().await.unwrap().expect("there is no user yet");
    house.engine.set_up(HERE, &token, ANNA.0, &secret(ANNA.1)).await.unwrap()
}

async fn log_in(house: &House, from: IpAddr, (name, password): (&str, &str)) -> Result<LoggedIn, LoginError> {
    house.engine.log_in(from, name, &secret(password), None).await
}

/// Whoever has this session, acting.
async fn acting(house: &House, session: &LoggedIn) -> Acting {
    let identity = house.engine.browser(session.token.expose_secret()).await.unwrap();
    house.engine.acting_as(&identity, HERE)
}

async fn is_known(house: &House, session: &LoggedIn) -> bool {
    match house.engine.browser(session.token.expose_secret()).await {
        Ok(_) => true,
        Err(AccessError::TokenExpired) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn add(anna: &Acting, name: &str, role: Role) {
    anna.add_user(name, role, &secret("a password of theirs")).await.unwrap();
}

async fn log_in_as(house: &House, name: &str) -> LoggedIn {
    log_in(house, HERE, (name, "a password of theirs")).await.unwrap()
}

#[tokio::test]
async fn the_setup_link_makes_one_admin() {
    let house = House::directly().await;
    let first = house.engine.setup_token().await.unwrap().unwrap();
    let second = house.engine.setup_token().await.unwrap().unwrap();
    let set_up = async |token: &SecretString, name, password| house.engine.set_up(HERE, token, name, &secret(password)).await;
    assert!(matches!(set_up(&first, "anna", ANNA.1).await, Err(PeopleError::Wrong)), "an earlier start's");
    assert!(matches!(set_up(&second, "anna", "too short").await, Err(PeopleError::Password)));
    assert!(matches!(set_up(&second, " anna", ANNA.1).await, Err(PeopleError::Name)));
    let session = set_up(&second, "anna", ANNA.1).await.unwrap();
    assert!(acting(&house, &session).await.may(Act::ManageUsers));
    assert!(matches!(set_up(&second, "bert", ANNA.1).await, Err(PeopleError::Wrong)));
    assert!(house.engine.setup_token().await.unwrap().is_none());
}

#[tokio::test]
async fn a_login_opens_a_session_that_ends() {
    let house = House::directly().await;
    set_up(&house).await;
    let session = log_in(&house, HERE, ANNA).await.unwrap();
    assert!(is_csrf_token(session.token.expose_secret(), session.csrf.expose_secret()));
    for _ in 0..13 {
        house.advance(11 * 3600);
        assert!(is_known(&house, &session).await, "it does not rest for long enough to end");
    }
    house.advance(11 * 3600);
    assert!(is_known(&house, &session).await);
    house.advance(15 * 3600);
    assert!(!is_known(&house, &session).await, "a week is over");
    let session = log_in(&house, HERE, ANNA).await.unwrap();
    house.advance(12 * 3600);
    assert!(!is_known(&house, &session).await, "it rested");
    let session = log_in(&house, HERE, ANNA).await.unwrap();
    house.engine.log_out(HERE, session.token.expose_secret()).await.unwrap();
    assert!(!is_known(&house, &session).await);
    house.engine.log_out(HERE, session.token.expose_secret()).await.unwrap();
}

#[tokio::test]
async fn sessions_survive_a_restart_and_only_hashes_are_stored() {
    let house = House::directly().await;
    let session = set_up(&house).await;
    let made = {
        let wish = TokenWish { name: "ci".into(), rights: Rights::of(Role::Viewer), expires: None };
        acting(&house, &session).await.add_api_token(&wish).await.unwrap()
    };
    let again = house.restarted().await;
    assert!(is_known(&again, &session).await);
    again.engine.bearer(made.token.expose_secret()).await.unwrap();
    let stored = house.stored();
    let holds = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(ANNA.0));
    for kept_nowhere in [ANNA.1, session.token.expose_secret(), session.csrf.expose_secret(), made.token.expose_secret()] {
        assert!(!holds(kept_nowhere));
    }
}

#[tokio::test]
async fn five_failures_block_the_address_and_the_wrong_pair() {
    let house = House::directly().await;
    set_up(&house).await;
    for attempt in 0..5 {
        let wrong = log_in(&house, HERE, ("anna", &format!("wrong password {attempt}"))).await;
        assert!(matches!(wrong, Err(LoginError::Wrong)), "{wrong:?}");
    }
    assert!(matches!(log_in(&house, HERE, ANNA).await, Err(LoginError::Blocked(_))));
    log_in(&house, ELSEWHERE, ANNA).await.expect("a stranger does not lock Anna out");
    house.advance(601);
    log_in(&house, HERE, ANNA).await.unwrap();
    for _ in 0..5 {
        assert!(matches!(log_in(&house, HERE, ("nobody", "the same again")).await, Err(LoginError::Wrong)));
    }
    assert!(matches!(log_in(&house, ELSEWHERE, ("nobody", "the same again")).await, Err(LoginError::Blocked(_))));
}

#[tokio::test]
async fn one_time_passwords_are_asked_for_and_good_once() {
    let house = House::directly().await;
    let anna = acting(&house, &set_up(&house).await).await;
    assert!(matches!(anna.propose_totp(&secret("not my password")).await, Err(PeopleError::Wrong)));
    let shared = anna.propose_totp(&secret(ANNA.1)).await.unwrap();
    log_in(&house, HERE, ANNA).await.expect("not asked for before it is confirmed");
    assert!(matches!(anna.confirm_totp(&secret("000000x")).await, Err(PeopleError::Wrong)));
    let code = |house: &House| shared.code_at(certkeep_core::time::Clock::now(&house.clock));
    anna.confirm_totp(&code(&house)).await.unwrap();

    assert!(matches!(log_in(&house, HERE, ANNA).await, Err(LoginError::CodeNeeded)));
    let with = async |from, code: &SecretString| house.engine.log_in(from, ANNA.0, &secret(ANNA.1), Some(code)).await;
    assert!(matches!(with(HERE, &code(&house)).await, Err(LoginError::Wrong)), "the code that confirmed it");
    house.advance(60);
    with(HERE, &code(&house)).await.unwrap();
    assert!(matches!(with(HERE, &code(&house)).await, Err(LoginError::Wrong)), "no code is good twice");

    house.advance(60);
    for _ in 0..5 {
        let _ = with(HERE, &secret("x")).await;
    }
    assert!(matches!(with(ELSEWHERE, &code(&house)).await, Err(LoginError::Blocked(_))), "wherever the codes come from");
    house.advance(601);
    with(ELSEWHERE, &code(&house)).await.unwrap();
    anna.drop_totp(&secret(ANNA.1)).await.unwrap();
    log_in(&house, HERE, ANNA).await.unwrap();
}

#[tokio::test]
async fn what_a_role_may_not_is_refused_and_nothing_is_changed() {
    let house = House::directly().await;
    let anna = acting(&house, &set_up(&house).await).await;
    add(&anna, "viewer", Role::Viewer).await;
    add(&anna, "operator", Role::Operator).await;
    let id = certkeep_core::certificate::CertificateId(house.uploaded("a.pem", &["a.example.com"], 90).await);
    let viewer = acting(&house, &log_in_as(&house, "viewer").await).await;
    let operator = acting(&house, &log_in_as(&house, "operator").await).await;

    let create = || Create::Trust { upload: "ca.pem".into() };
    assert!(matches!(viewer.create(create()).await, Err(UseCaseError::Forbidden(Act::ChangeTrusted))));
    assert!(matches!(viewer.export(id).await, Err(UseCaseError::Forbidden(Act::ExportKeys))));
    assert!(matches!(viewer.delete(id).await, Err(UseCaseError::Forbidden(_))));
    assert!(matches!(viewer.serve_https_with("a.pem").await, Err(UseCaseError::Forbidden(_))));
    assert!(matches!(viewer.users().await, Err(PeopleError::Forbidden(Act::ManageUsers))));
    assert!(matches!(operator.users().await, Err(PeopleError::Forbidden(Act::ManageUsers))));
    let refused = operator.add_user("eve", Role::Viewer, &secret("a password of eve")).await;
    assert!(matches!(refused, Err(PeopleError::Forbidden(Act::ManageUsers))));
    assert_eq!(house.count().await, 1);
    assert!(operator.export(id).await.unwrap().key.is_some());
    operator.delete(id).await.unwrap();
    assert_eq!(house.count().await, 0);
    assert_eq!(anna.users().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_change_of_a_user_is_known_at_once() {
    let house = House::directly().await;
    let anna = acting(&house, &set_up(&house).await).await;
    add(&anna, "bert", Role::Admin).await;
    let session = log_in_as(&house, "bert").await;
    assert!(acting(&house, &session).await.may(Act::ManageUsers));
    anna.edit_user("bert", &UserEdit::Role(Role::Viewer)).await.unwrap();
    assert!(!acting(&house, &session).await.may(Act::ManageUsers));
    anna.edit_user("bert", &UserEdit::Disabled(true)).await.unwrap();
    assert!(!is_known(&house, &session).await);
    assert!(matches!(log_in(&house, HERE, ("bert", "a password of theirs")).await, Err(LoginError::Wrong)));
    assert!(matches!(anna.edit_user("anna", &UserEdit::Remove).await, Err(PeopleError::LastAdmin)));
    assert!(matches!(anna.edit_user("nobody", &UserEdit::Remove).await, Err(PeopleError::NotFound)));
    anna.edit_user("bert", &UserEdit::Remove).await.unwrap();
    assert_eq!(anna.users().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_another_process_changed_is_known_within_a_second() {
    let house = House::directly().await;
    let session = set_up(&house).await;
    let anna = acting(&house, &session).await;
    add(&anna, "bert", Role::Admin).await;
    let other = house.restarted().await;
    other.work();
    assert!(is_known(&other, &session).await);
    let id = house.store.user("anna").await.unwrap().unwrap().user.id;
    let remove = certkeep_core::ports::UserChange::Remove;
    house.store.change_user(id, &remove).await.unwrap();
    let patience = certkeep_testkit::wait::PATIENCE;
    certkeep_testkit::wait::eventually(patience, "the session to be forgotten".to_owned(), async || {
        (!is_known(&other, &session).await).then_some(())
    })
    .await;
}

#[tokio::test]
async fn another_password_ends_the_other_sessions() {
    let house = House::directly().await;
    let (one, two) = (set_up(&house).await, log_in(&house, HERE, ANNA).await.unwrap());
    let anna = acting(&house, &two).await;
    let change = async |present: &str, next: &str| {
        anna.change_own_password(two.token.expose_secret(), &secret(present), &secret(next)).await
    };
    assert!(matches!(change("not my password", "another password").await, Err(PeopleError::Wrong)));
    assert!(matches!(change(ANNA.1, "short").await, Err(PeopleError::Password)));
    assert!(is_known(&house, &one).await);
    change(ANNA.1, "another password").await.unwrap();
    assert_eq!((is_known(&house, &one).await, is_known(&house, &two).await), (false, true));
    assert!(matches!(log_in(&house, HERE, ANNA).await, Err(LoginError::Wrong)));
    log_in(&house, HERE, (ANNA.0, "another password")).await.unwrap();
}

#[tokio::test]
async fn an_api_token_may_no_more_than_its_maker() {
    let house = House::directly().await;
    let anna = acting(&house, &set_up(&house).await).await;
    add(&anna, "bert", Role::Operator).await;
    let bert = acting(&house, &log_in_as(&house, "bert").await).await;
    let now = certkeep_core::time::Clock::now(&house.clock);
    let wish = |name: &str, role, scopes: Option<&[Act]>, days: Option<i64>| TokenWish {
        name: name.into(),
        rights: Rights { role, scopes: scopes.map(|acts| acts.iter().copied().collect()) },
        expires: days.map(|days| now + SignedDuration::from_hours(24 * days)),
    };
    assert!(matches!(bert.add_api_token(&wish("x", Role::Admin, None, None)).await, Err(PeopleError::TooMuch)));
    let scopes = [Act::Revoke, Act::MakeTokens];
    let made = bert.add_api_token(&wish("ci", Role::Operator, Some(&scopes), Some(10))).await.unwrap();
    assert!(matches!(bert.add_api_token(&wish("ci", Role::Viewer, None, None)).await, Err(PeopleError::NameTaken(_))));

    let token = made.token.expose_secret();
    let identity = house.engine.bearer(token).await.unwrap();
    let ci = house.engine.acting_as(&identity, HERE);
    assert!(ci.may(Act::Revoke) && !ci.may(Act::ChangeCertificates) && !ci.may(Act::ManageUsers));
    let narrow: &[Act] = &[Act::Revoke];
    assert!(matches!(ci.add_api_token(&wish("y", Role::Operator, None, Some(1))).await, Err(PeopleError::TooMuch)));
    assert!(matches!(ci.add_api_token(&wish("y", Role::Operator, Some(narrow), None)).await, Err(PeopleError::TooMuch)));
    ci.add_api_token(&wish("y", Role::Operator, Some(narrow), Some(1))).await.unwrap();
    assert!(matches!(ci.propose_totp(&secret("x")).await, Err(PeopleError::NotFound)), "a token is no user");

    anna.edit_user("bert", &UserEdit::Role(Role::Viewer)).await.unwrap();
    let identity = house.engine.bearer(token).await.unwrap();
    assert!(!identity.may(Act::Revoke), "its owner may not any more");
    anna.edit_user("bert", &UserEdit::Role(Role::Operator)).await.unwrap();
    assert_eq!(anna.api_tokens().await.unwrap().len(), 2);
    house.advance(24 * 3600 * 10);
    assert!(matches!(house.engine.bearer(token).await, Err(AccessError::TokenExpired)), "it ended");
    assert!(matches!(house.engine.bearer("ck_x").await, Err(AccessError::TokenExpired)));
}

#[tokio::test]
async fn tokens_are_revoked_by_their_owner_or_an_admin() {
    let house = House::directly().await;
    let anna = acting(&house, &set_up(&house).await).await;
    add(&anna, "bert", Role::Operator).await;
    add(&anna, "carl", Role::Operator).await;
    let bert = acting(&house, &log_in_as(&house, "bert").await).await;
    let carl = acting(&house, &log_in_as(&house, "carl").await).await;
    let wish = |name: &str| TokenWish { name: name.into(), rights: Rights::of(Role::Viewer), expires: None };
    let (one, two) = (bert.add_api_token(&wish("one")).await.unwrap(), bert.add_api_token(&wish("two")).await.unwrap());
    assert!(carl.api_tokens().await.unwrap().is_empty());
    assert!(matches!(carl.revoke_api_token(one.id).await, Err(PeopleError::NotFound)));
    house.engine.bearer(one.token.expose_secret()).await.unwrap();
    bert.revoke_api_token(one.id).await.unwrap();
    anna.revoke_api_token(two.id).await.unwrap();
    for made in [one, two] {
        assert!(matches!(house.engine.bearer(made.token.expose_secret()).await, Err(AccessError::TokenExpired)));
    }
}

/// No write on the hot path: it is noted now and then that a token was used.
#[tokio::test]
async fn the_use_of_a_token_is_noted_once_an_hour() {
    let house = House::directly().await;
    let anna = acting(&house, &set_up(&house).await).await;
    let wish = TokenWish { name: "ci".into(), rights: Rights::of(Role::Viewer), expires: None };
    let made = anna.add_api_token(&wish).await.unwrap();
    let used = async || {
        house.engine.bearer(made.token.expose_secret()).await.unwrap();
        anna.api_tokens().await.unwrap()[0].last_used
    };
    let first = used().await.unwrap();
    house.advance(3599);
    assert_eq!(used().await, Some(first));
    house.advance(1);
    assert_eq!(used().await, Some(first + SignedDuration::from_hours(1)));
}
