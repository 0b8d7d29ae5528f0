//! Tokens (contract §3).
use std::borrow::Cow;
use std::net::IpAddr;

use certkeep_core::client::{ACCESS_TOKEN_LIFE, REFRESH_TOKEN_LIFE};
use certkeep_engine::access::Tokens;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::fields::Fields;
use super::query::Query;
use crate::http::Api;
use crate::http::envelope::{self, ErrCode, Refused};

/// The access token: the query's, else that of `Authorization: Bearer` (contract §1).
///
/// # Errors
/// 40001 when the query has two different ones, or one that cannot be decoded.
pub(crate) fn access_token<'a>(query: Query<'a>, headers: &'a HeaderMap) -> Result<Option<Cow<'a, str>>, Refused> {
    Ok(query.value("access_token")?.or_else(|| bearer(headers).map(Cow::Borrowed)))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(crate) async fn get_token(api: &Api, caller: IpAddr, mut fields: Fields) -> Result<Vec<u8>, Refused> {
    let (username, password) = (fields.text("username"), fields.text("password"));
    let username = fields.required("username", username);
    let password = fields.required("password", password).map(SecretString::from);
    let (username, password) = fields.finish(username.zip(password))?;
    Ok(pair(&api.engine.login(caller, &username, &password).await?))
}

pub(crate) async fn refresh_token(api: &Api, caller: IpAddr, mut fields: Fields) -> Result<Vec<u8>, Refused> {
    let token = fields.text("refresh_token");
    let token = fields.required("refresh_token", token).map(SecretString::from);
    let token = fields.finish(token)?;
    Ok(pair(&api.engine.refresh(caller, &token).await?))
}

pub(crate) async fn del_token(api: &Api, parts: &Parts) -> Result<Vec<u8>, Refused> {
    let query = super::query(parts);
    let token = access_token(query, &parts.headers)?.ok_or_else(|| Refused::new(ErrCode::TokenExpired))?;
    api.engine.logout(&token).await?;
    Ok(envelope::success())
}

/// The four members that follow the envelope, in the contract's order.
#[derive(Serialize)]
struct Pair<'a> {
    access_token_expire_time: i64,
    access_token: &'a str,
    refresh_token_expire_time: i64,
    refresh_token: &'a str,
}

fn pair(tokens: &Tokens) -> Vec<u8> {
    let pair = Pair {
        access_token_expire_time: ACCESS_TOKEN_LIFE.as_secs(),
        access_token: tokens.access.expose_secret(),
        refresh_token_expire_time: REFRESH_TOKEN_LIFE.as_secs(),
        refresh_token: tokens.refresh.expose_secret(),
    };
    envelope::success_with(&pair, 256)
}
