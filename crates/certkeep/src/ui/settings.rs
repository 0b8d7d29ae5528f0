//! *Settings*: one's own password, one-time passwords and tokens; the certificate that certkeep itself shows; how it runs.
use askama::Template;
use axum::response::Response;
use certkeep_core::people::{Act, ApiToken, Rights, Role};
use certkeep_engine::people::TokenWish;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};

use super::access::people;
use super::form::Form;
use super::frame::{Frame, redirect, shown};
use super::stop::{Stop, sentence};
use super::visit::Visit;
use super::visitor::role_key;
use super::when;

#[derive(Template)]
#[template(path = "settings.html")]
struct Page<'a> {
    f: Frame<'a>,
    problem: Option<String>,
    has_totp: bool,
    totp: Option<Totp>,
    made: Option<String>,
    tokens: Vec<Row>,
    roles: Vec<(&'static str, String)>,
    served: String,
    choices: Vec<String>,
    facts: Vec<(String, String)>,
}

/// A secret that is shown once, to be confirmed.
struct Totp {
    secret: String,
    uri: String,
}

struct Row {
    id: i64,
    name: String,
    owner: String,
    role: String,
    expires: String,
    last_used: String,
}

/// What the page shows besides what is always there.
#[derive(Default)]
struct Shown {
    problem: Option<String>,
    totp: Option<Totp>,
    made: Option<String>,
}

pub(super) async fn show(visit: &Visit<'_>) -> Result<Response, Stop> {
    settings(visit, Shown::default()).await
}

async fn settings(visit: &Visit<'_>, Shown { problem, totp, made }: Shown) -> Result<Response, Stop> {
    let (texts, now, engine) = (visit.texts, visit.now(), visit.engine());
    let visitor = visit.visitor()?;
    let tokens = visitor.acting(visit).api_tokens().await;
    let tokens = match tokens {
        Ok(tokens) => tokens,
        Err(error) => return Err(Stop::Fault(people(texts, error)?)),
    };
    let never = || "–".to_owned();
    let row = |token: ApiToken| Row {
        id: token.id.0,
        owner: token.owner.as_ref().map_or_else(never, |owner| owner.name.clone()),
        role: texts.t(role_key(token.rights.role)).to_owned(),
        expires: token.expires.map_or_else(never, when::day),
        last_used: token.last_used.map_or_else(never, |at| when::distance(texts, at, now)),
        name: token.name,
    };
    let mut f = visit.frame(texts.t("nav.settings"), "settings");
    if problem.is_some() {
        f.notice = None;
    }
    let may_choose = f.may(Act::ChangeCertificates);
    let roles = Role::ALL.into_iter().filter(|role| *role <= visitor.user.role);
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let started = format!("{} ({})", when::minute(visit.api.started), when::distance(texts, visit.api.started, now));
    let decided = engine.settings();
    let many = |limit: Option<u32>| limit.map_or_else(|| texts.t("settings.unlimited").to_owned(), |limit| limit.to_string());
    let facts = [
        ("settings.version", version),
        ("settings.started", started),
        ("settings.at_once", decided.concurrency.to_string()),
        ("settings.max_server", many(decided.max_server)),
        ("settings.max_trusted", many(decided.max_trusted)),
        ("settings.api", texts.t(if visit.api.enabled { "settings.on" } else { "settings.off" }).to_owned()),
    ];
    shown(&Page {
        problem,
        has_totp: visitor.user.has_totp,
        totp,
        made,
        tokens: tokens.into_iter().map(row).collect(),
        roles: roles.map(|role| (role.as_str(), texts.t(role_key(role)).to_owned())).collect(),
        served: engine.https_certificate(),
        choices: if may_choose { engine.https_choices().await? } else { Vec::new() },
        facts: facts.into_iter().map(|(key, value)| (texts.t(key).to_owned(), value)).collect(),
        f,
    })
}

pub(super) async fn change(visit: &Visit<'_>, form: &Form) -> Result<Response, Stop> {
    let visitor = visit.visitor()?;
    let acting = visitor.acting(visit);
    let secret = |name: &str| form.secret(name).cloned().unwrap_or_default();
    let outcome = match form.text("go") {
        "password" => {
            let session = visitor.session().expose_secret();
            acting.change_own_password(session, &secret("present"), &secret("next")).await
        }
        "totp" => match acting.propose_totp(&secret("present")).await {
            Ok(proposed) => {
                let totp = Totp {
                    secret: proposed.to_base32().expose_secret().to_owned(),
                    uri: proposed.to_uri(&visitor.user.name).expose_secret().to_owned(),
                };
                return settings(visit, Shown { totp: Some(totp), ..Shown::default() }).await;
            }
            Err(error) => Err(error),
        },
        "totp-confirm" => acting.confirm_totp(&SecretString::from(form.text("code").trim())).await,
        "totp-off" => acting.drop_totp(&secret("present")).await,
        "token" => {
            let role = Role::parse(form.text("role")).ok_or(Stop::BadForm)?;
            let days: Option<i64> = form.filled("days").and_then(|days| days.parse().ok()).filter(|days| *days > 0);
            let end = days.map(|days| visit.now().saturating_add(SignedDuration::from_hours(24 * days.min(3_660))));
            let expires = end.and_then(Result::ok);
            let wish = TokenWish { name: form.text("name").trim().to_owned(), rights: Rights::of(role), expires };
            match acting.add_api_token(&wish).await {
                Ok(made) => {
                    let made = Some(made.token.expose_secret().to_owned());
                    return settings(visit, Shown { made, ..Shown::default() }).await;
                }
                Err(error) => Err(error),
            }
        }
        "revoke" => {
            let id = form.text("id").parse().map_err(|_| Stop::BadForm)?;
            acting.revoke_api_token(certkeep_core::people::TokenId(id)).await
        }
        "served" => match acting.serve_https_with(form.text("certificate")).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let problem = Some(sentence(visit.texts, &error));
                return settings(visit, Shown { problem, ..Shown::default() }).await;
            }
        },
        _ => return Err(Stop::BadForm),
    };
    match outcome {
        Ok(()) => Ok(redirect("/ui/settings?done=changed")),
        Err(error) => {
            let problem = Some(people(visit.texts, error)?);
            settings(visit, Shown { problem, ..Shown::default() }).await
        }
    }
}
