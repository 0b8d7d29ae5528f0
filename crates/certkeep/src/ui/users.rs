//! *Users*: who works with certkeep.
use askama::Template;
use axum::response::Response;
use certkeep_core::people::{Act, Role, User};
use certkeep_engine::people::UserEdit;

use super::access::people;
use super::form::Form;
use super::frame::{Frame, redirect, shown};
use super::stop::Stop;
use super::visit::Visit;
use super::visitor::role_key;
use super::when;

#[derive(Template)]
#[template(path = "users.html")]
struct Page<'a> {
    f: Frame<'a>,
    users: Vec<Row>,
    roles: Vec<(&'static str, String)>,
    problem: Option<String>,
}

struct Row {
    name: String,
    role: String,
    totp: bool,
    disabled: bool,
    is_me: bool,
    last_login: String,
}

pub(super) async fn show(visit: &Visit<'_>) -> Result<Response, Stop> {
    list(visit, None).await
}

async fn list(visit: &Visit<'_>, problem: Option<String>) -> Result<Response, Stop> {
    let (texts, now) = (visit.texts, visit.now());
    let visitor = visit.needs(Act::ManageUsers)?;
    let users: Vec<User> = match visitor.acting(visit).users().await {
        Ok(users) => users,
        Err(error) => return Err(Stop::Fault(people(texts, error)?)),
    };
    let row = |user: &User| Row {
        name: user.name.clone(),
        role: texts.t(role_key(user.role)).to_owned(),
        totp: user.has_totp,
        disabled: user.disabled,
        is_me: user.id == visitor.user.id,
        last_login: user.last_login.map_or_else(|| "–".to_owned(), |at| when::distance(texts, at, now)),
    };
    let roles = Role::ALL.into_iter().map(|role| (role.as_str(), texts.t(role_key(role)).to_owned())).collect();
    let f = visit.frame(texts.t("nav.users"), "users");
    shown(&Page { f, users: users.iter().map(row).collect(), roles, problem })
}

pub(super) async fn change(visit: &Visit<'_>, form: &Form) -> Result<Response, Stop> {
    let acting = visit.needs(Act::ManageUsers)?.acting(visit);
    let name = form.text("name").trim();
    let password = form.secret("password").cloned().unwrap_or_default();
    let outcome = match (form.text("go"), Role::parse(form.text("role"))) {
        ("add", Some(role)) => acting.add_user(name, role, &password).await.map(drop),
        ("role", Some(role)) => acting.edit_user(name, &UserEdit::Role(role)).await,
        ("remove", _) => acting.edit_user(name, &UserEdit::Remove).await,
        ("disable", _) => acting.edit_user(name, &UserEdit::Disabled(true)).await,
        ("enable", _) => acting.edit_user(name, &UserEdit::Disabled(false)).await,
        ("password", _) => acting.edit_user(name, &UserEdit::Password(password)).await,
        ("totp-off", _) => acting.edit_user(name, &UserEdit::TotpOff).await,
        _ => return Err(Stop::BadForm),
    };
    match outcome {
        Ok(()) => Ok(redirect("/ui/users?done=changed")),
        Err(error) => list(visit, Some(people(visit.texts, error)?)).await,
    }
}
