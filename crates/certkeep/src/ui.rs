//! The web page: what people see of certkeep in a browser, and the buttons they press there.
//!
//! - `frame`: what all pages have in common, and the headers of every answer.
//! - `visit`: one request, and who makes it; `visitor`: the session in its cookie.
//! - `texts`: all words, by language; `assets`: script, style and pictures.
//! - one file for each page.
//!
//! Pages call the engine directly: no rule lives here. Everything is HTML that works without a script: forms are posted
//! and answered by a redirect, and htmx only spares the reloading. Start reading at [`answer`].
mod access;
mod assets;
mod audit;
mod cas;
mod certificate;
mod certificates;
mod clients;
mod draft;
mod failure;
mod form;
mod frame;
mod issuing;
mod newly;
mod providers;
mod reaccess;
mod settings;
mod stop;
mod texts;
mod timeline;
mod today;
mod trusted;
mod upload;
mod users;
mod visit;
mod visitor;
mod when;

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::response::Response;
use futures::FutureExt;
use http::{Method, Request};
use tracing::Instrument;

use crate::http::Api;

use self::form::Form;
use self::stop::Stop;
use self::visit::Visit;

pub(crate) use self::draft::Drafts;

/// Whether a path is a page's.
pub(crate) fn is_ours(path: &str) -> bool {
    matches!(path, "/" | "/login" | "/logout" | "/setup" | "/ui") || path.starts_with("/ui/")
}

/// Answers a request for a page, whatever happens; `secure` says that it came over HTTPS.
pub(crate) async fn answer(api: &Api, caller: IpAddr, secure: bool, request: Request<Body>) -> Response {
    let (parts, mut body) = request.into_parts();
    let path = parts.uri.path();
    if path.starts_with(assets::FOLDER)
        && parts.method == Method::GET
        && let Some(asset) = assets::response(path, &parts.headers)
    {
        return asset;
    }
    let span = tracing::debug_span!("page", method = %parts.method, path);
    let visit = Visit::of(api, caller, secure, &parts).await;
    let serving = AssertUnwindSafe(serve(&visit, &mut body)).catch_unwind().instrument(span);
    let stop = match serving.await {
        Ok(Ok(response)) => return response,
        Ok(Err(stop)) => stop,
        Err(_) => Stop::Fault("a page panicked".to_owned()),
    };
    stop.response(&visit)
}

async fn serve(visit: &Visit<'_>, body: &mut Body) -> Result<Response, Stop> {
    let path = visit.parts.uri.path();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match visit.parts.method {
        Method::GET | Method::HEAD => show(visit, &segments).await,
        Method::POST => {
            visit.is_from_here()?;
            let form = Form::read(visit.parts, body).await?;
            change(visit, &segments, form).await
        }
        _ => Err(Stop::Method),
    }
}

async fn show(visit: &Visit<'_>, segments: &[&str]) -> Result<Response, Stop> {
    match segments {
        ["login"] => return access::login(visit).await,
        ["setup"] => return access::setup(visit).await,
        _ => visit.visitor()?,
    };
    match segments {
        [] => today::show(visit).await,
        ["ui", "certificates"] => certificates::show(visit).await,
        ["ui", "certificates", id] => certificate::show(visit, id).await,
        ["ui", "certificates", id, "chain.pem"] => certificate::chain(visit, id).await,
        ["ui", "certificates", id, "delete"] => certificate::consequences(visit, id).await,
        ["ui", "certificates", id, "access"] => reaccess::show(visit, id).await,
        ["ui", "new"] => newly::names(visit).await,
        ["ui", "new", provider] => newly::parameters(visit, provider).await,
        ["ui", "check", draft] => newly::checked(visit, draft).await,
        ["ui", "upload"] => upload::show(visit).await,
        ["ui", "trusted"] => trusted::show(visit).await,
        ["ui", "providers"] => providers::list(visit).await,
        ["ui", "providers", flag] => providers::one(visit, flag).await,
        ["ui", "cas"] => cas::show(visit).await,
        ["ui", "clients"] => clients::show(visit).await,
        ["ui", "users"] => users::show(visit).await,
        ["ui", "audit"] => audit::show(visit).await,
        ["ui", "settings"] => settings::show(visit).await,
        _ => Err(Stop::NotFound),
    }
}

async fn change(visit: &Visit<'_>, segments: &[&str], form: Form) -> Result<Response, Stop> {
    match segments {
        ["login"] => return access::log_in(visit, &form).await,
        ["setup"] => return access::set_up(visit, &form).await,
        _ => visit.has_token(&form)?,
    }
    match segments {
        ["logout"] => access::log_out(visit).await,
        ["ui", "certificates", id, "renew"] => certificate::renew(visit, id).await,
        ["ui", "certificates", id, "key"] => certificate::key(visit, id).await,
        ["ui", "certificates", id, "delete"] => certificate::delete(visit, id).await,
        ["ui", "certificates", id, "access"] => reaccess::change(visit, id, &form).await,
        ["ui", "new", provider] => newly::check(visit, provider, &form).await,
        ["ui", "check", draft] => newly::apply(visit, draft).await,
        ["ui", "upload"] => upload::take(visit, form).await,
        ["ui", "users"] => users::change(visit, &form).await,
        ["ui", "settings"] => settings::change(visit, &form).await,
        _ => Err(Stop::NotFound),
    }
}
