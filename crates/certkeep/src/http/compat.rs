//! The vendor's protocol (contract §1 to §5): from a request to the engine's command, from its answer to the envelope.
//! Translation only: no rule lives here, and the protocol's quirks live nowhere else.
//!
//! Each request passes, in this order: the switch of the API, the route, the access token, the client's addresses, its
//! role, its parameters. The first that refuses it is what the client is told.
//!
//! Where the contract is silent: a body over its limit is 40004 whatever it holds · a parameter that the query gives
//! twice is one if both are alike, else 40001 · a query that is no percent-encoded UTF-8 is 40001 · an empty parameter,
//! and `null`, count as absent · the last of two equal members of a JSON object counts · a number beyond 64 bits is a
//! number that no certificate has · parameters that are not known are ignored · a client that may only read may revoke
//! its own token.
mod body;
mod certificates;
mod commands;
mod errors;
mod fields;
mod neighbours;
mod query;
mod route;
mod tokens;
mod upload;
mod view;

use std::any::Any;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use certkeep_core::audit::{Actor, Author};
use certkeep_core::client::{ClientRole, Session};
use certkeep_engine::acting::Acting;
use futures::FutureExt;
use http::Request;
use http::request::Parts;
use tokio::time::Instant;
use tracing::{Instrument, Level};

use self::fields::Fields;
use self::query::Query;
use self::route::Endpoint;
use super::envelope::{ErrCode, Refused};
use super::{Api, compress};

/// Whether a path is answered here. Clients that double slashes are, wherever they do: they expect the envelope.
pub(super) fn is_ours(path: &str) -> bool {
    path.starts_with("/openapi/") || path.starts_with("//") || path == "/openapi"
}

/// Answers a request: HTTP 200 and the envelope whatever happens, a panic included.
pub(super) async fn answer(api: &Api, caller: IpAddr, request: Request<Body>) -> Response {
    let (parts, mut body) = request.into_parts();
    // The query holds the token: of the URI only the path is ever logged.
    let span = tracing::debug_span!("request", method = %parts.method, path = parts.uri.path());
    let octets = checked(api, caller, &parts, &mut body).instrument(span).await;
    if !hyper::body::Body::is_end_stream(&body) {
        body::drain(&mut body).await;
    }
    compress::response(&parts.headers, octets).await
}

/// The answer's octets, once its kind is logged; a caller that keeps failing waits for them.
async fn checked(api: &Api, caller: IpAddr, parts: &Parts, body: &mut Body) -> Bytes {
    let started = tracing::enabled!(Level::DEBUG).then(Instant::now);
    let endpoint =
        if api.enabled { route::endpoint(&parts.method, parts.uri.path()) } else { Err(Refused::new(ErrCode::ApiUnavailable)) };
    let serving = async {
        match endpoint? {
            Endpoint::CertificateGet => certificates::get(api, caller, parts).await,
            // Boxed, so that the future of the hot path stays small.
            endpoint => Box::pin(serve(api, caller, endpoint, parts, body)).await.map(Bytes::from),
        }
    };
    let served = AssertUnwindSafe(serving).catch_unwind().await;
    let refused = match served {
        Ok(Ok(octets)) => {
            tracing::debug!(errcode = 0, micros = micros(started), "answered");
            return octets;
        }
        Ok(Err(refused)) => refused,
        Err(panic) => Refused::fault(format!("a handler panicked: {}", words(panic.as_ref()))),
    };
    let errcode = refused.code().row().0;
    match &refused.fault {
        Some(fault) => {
            tracing::error!(errcode, method = %parts.method, path = parts.uri.path(), fault, "a fault of ours");
        }
        // Never above debug: a client that loops must not fill the log.
        None => tracing::debug!(errcode, micros = micros(started), "refused"),
    }
    if is_failed_token_call(&refused, parts) {
        api.tarpit.hold(caller).await;
    }
    refused.to_body().into()
}

/// What every endpoint but the token ones needs: a live token, a permitted address, a role that may.
async fn authorize(api: &Api, caller: IpAddr, endpoint: Endpoint, parts: &Parts) -> Result<Arc<Session>, Refused> {
    let query = query(parts);
    let token = tokens::access_token(query, &parts.headers)?.ok_or_else(|| Refused::new(ErrCode::TokenExpired))?;
    let session = api.engine.session(caller, &token).await?;
    if session.client.role == ClientRole::Viewer
        && let Some(action) = endpoint.changes()
    {
        acting(api, caller, &session).refused(action, "", "the client may only read").await;
        return Err(Refused::new(ErrCode::AccessDenied));
    }
    query.check()?;
    Ok(session)
}

/// The client as one who acts. What it may is looked at here already.
fn acting(api: &Api, caller: IpAddr, session: &Session) -> Acting {
    api.engine.acting(Author::at(Actor::ApiClient(session.client.name.clone()), caller))
}

async fn serve(api: &Api, caller: IpAddr, endpoint: Endpoint, parts: &Parts, body: &mut Body) -> Result<Vec<u8>, Refused> {
    let acting = match endpoint.is_about_tokens() {
        true => api.engine.acting(Author::at(Actor::Nobody, caller)),
        false => acting(api, caller, authorize(api, caller, endpoint, parts).await?.as_ref()),
    };
    match endpoint {
        Endpoint::CertificateCreate => certificates::create(&acting, members(body).await?).await,
        Endpoint::CertificateDelete => certificates::delete(&acting, query(parts)).await,
        Endpoint::CertificateGet => certificates::get(api, caller, parts).await.map(Vec::from),
        Endpoint::CertificateList => certificates::list(api, query(parts)).await,
        Endpoint::CertificateQuery => certificates::query(api, query(parts)).await,
        Endpoint::CertificateUpdate => certificates::update(&acting, members(body).await?).await,
        Endpoint::CertificateUpload => certificates::upload(&acting, parts, body).await,
        Endpoint::DelToken => tokens::del_token(api, parts).await,
        Endpoint::GetToken => tokens::get_token(api, caller, members(body).await?).await,
        Endpoint::RefreshToken => tokens::refresh_token(api, caller, members(body).await?).await,
        Endpoint::SystemGetMenuoptions => neighbours::menu_options(api, query(parts)).await,
        Endpoint::SystemInformation => Ok(neighbours::information(api)),
        Endpoint::WebserverGet => Ok(neighbours::https_certificate(api)),
        Endpoint::WebserverUpdate => neighbours::serve_https_with(&acting, members(body).await?).await,
    }
}

fn query(parts: &Parts) -> Query<'_> {
    Query::new(parts.uri.query().unwrap_or_default())
}

async fn members(body: &mut Body) -> Result<Fields, Refused> {
    Fields::read(&body::read(body, body::MAX_JSON).await?)
}

/// Whether the caller failed at what anyone may try without a token.
fn is_failed_token_call(refused: &Refused, parts: &Parts) -> bool {
    let about_tokens = || route::endpoint(&parts.method, parts.uri.path()).is_ok_and(Endpoint::is_about_tokens);
    refused.code() == ErrCode::TokenExpired || about_tokens()
}

fn micros(since: Option<Instant>) -> Option<u64> {
    since.map(|since| u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX))
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("nothing that is text")
}
