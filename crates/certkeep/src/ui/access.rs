//! First start, login, logout.
use askama::Template;
use axum::response::Response;
use certkeep_engine::people::{LoggedIn, LoginError, PeopleError};
use secrecy::{ExposeSecret, SecretString};

use super::form::Form;
use super::frame::{Frame, page, redirect, shown};
use super::stop::Stop;
use super::texts::Texts;
use super::visit::Visit;
use super::visitor::set_cookie;
use super::when;

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    f: Frame<'a>,
    name: String,
    needs_code: bool,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct Setup<'a> {
    f: Frame<'a>,
    name: String,
    problem: Option<String>,
}

pub(super) async fn login(visit: &Visit<'_>) -> Result<Response, Stop> {
    if visit.known().is_some() {
        return Ok(redirect("/"));
    }
    let f = Frame::new(visit.texts, visit.texts.t("login.title").to_owned(), "", None);
    shown(&Login { f, name: String::new(), needs_code: false, problem: None })
}

pub(super) async fn log_in(visit: &Visit<'_>, form: &Form) -> Result<Response, Stop> {
    let texts = visit.texts;
    let name = form.text("name");
    let password = form.secret("password").cloned().unwrap_or_default();
    let code = form.filled("code").map(SecretString::from);
    let outcome = visit.engine().log_in(visit.caller, name, &password, code.as_ref()).await;
    let (status, problem) = match outcome {
        Ok(logged_in) => return Ok(welcome(visit, &logged_in)),
        Err(LoginError::Store(error)) => return Err(error.into()),
        Err(LoginError::Secrets) => return Err(Stop::Fault("no session can be made".to_owned())),
        Err(LoginError::Wrong) => (http::StatusCode::UNAUTHORIZED, texts.t("login.wrong").to_owned()),
        Err(LoginError::CodeNeeded) => (http::StatusCode::UNAUTHORIZED, texts.t("login.code_needed").to_owned()),
        Err(LoginError::Blocked(until)) => {
            let when = when::distance(texts, until, visit.now());
            (http::StatusCode::TOO_MANY_REQUESTS, texts.fill("login.blocked", &[("when", &when)]))
        }
    };
    let needs_code = status == http::StatusCode::UNAUTHORIZED && (code.is_some() || problem == texts.t("login.code_needed"));
    let f = Frame::new(texts, texts.t("login.title").to_owned(), "", None);
    page(status, &Login { f, name: name.to_owned(), needs_code, problem: Some(problem) })
}

pub(super) async fn log_out(visit: &Visit<'_>) -> Result<Response, Stop> {
    let visitor = visit.visitor()?;
    visit.engine().log_out(visit.caller, visitor.session().expose_secret()).await?;
    let mut response = redirect("/login");
    set_cookie(&mut response, visit.secure, None);
    Ok(response)
}

pub(super) async fn setup(visit: &Visit<'_>) -> Result<Response, Stop> {
    let f = Frame::new(visit.texts, visit.texts.t("setup.title").to_owned(), "", None);
    shown(&Setup { f, name: String::new(), problem: None })
}

pub(super) async fn set_up(visit: &Visit<'_>, form: &Form) -> Result<Response, Stop> {
    let token = form.filled("token").map(SecretString::from).unwrap_or_default();
    let password = form.secret("password").cloned().unwrap_or_default();
    let name = form.text("name").trim();
    match visit.engine().set_up(visit.caller, &token, name, &password).await {
        Ok(logged_in) => Ok(welcome(visit, &logged_in)),
        Err(error) => {
            let problem = match error {
                PeopleError::Wrong => visit.texts.t("setup.wrong").to_owned(),
                other => people(visit.texts, other)?,
            };
            let f = Frame::new(visit.texts, visit.texts.t("setup.title").to_owned(), "", None);
            page(http::StatusCode::CONFLICT, &Setup { f, name: name.to_owned(), problem: Some(problem) })
        }
    }
}

fn welcome(visit: &Visit<'_>, logged_in: &LoggedIn) -> Response {
    let mut response = redirect("/");
    set_cookie(&mut response, visit.secure, Some(&logged_in.token));
    response
}

/// Why somebody is not added or changed, in a sentence; what is a fault of ours stops the request.
pub(super) fn people(texts: &Texts, error: PeopleError) -> Result<String, Stop> {
    let key = match error {
        PeopleError::Forbidden(_) => return Err(Stop::Forbidden),
        PeopleError::Store(error) => return Err(error.into()),
        PeopleError::Secrets => return Err(Stop::Fault("no secret can be made".to_owned())),
        PeopleError::LastAdmin => "people.last_admin",
        PeopleError::Name => "people.name",
        PeopleError::NameTaken(_) => "people.taken",
        PeopleError::NotFound => "people.gone",
        PeopleError::Password => "people.password",
        PeopleError::TooMuch => "people.too_much",
        PeopleError::TotpState => "people.totp",
        PeopleError::Wrong => "people.wrong",
    };
    Ok(texts.t(key).to_owned())
}
