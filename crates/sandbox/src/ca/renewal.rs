//! Renewal information (RFC 9773): when a certificate had better be renewed, and by what.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::json;

use super::Ca;
use super::problem::{Kind, Problem, retry_after};
use super::state::{self, owned};
use crate::faults::{Fault, RetryAfter};

/// When to ask again, in seconds.
const ASK_AGAIN: u64 = 21_600;
/// The window is the last part of the certificate's life, this part of it.
const WINDOW_PART: i32 = 3;

pub(super) async fn info(State(ca): State<Arc<Ca>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let state = ca.state();
    let found = state.certificates.values().find(|known| known.renewal_id == id);
    let certificate = found.ok_or_else(|| Problem::not_found("certificate"))?;
    let life = certificate.not_after.duration_since(certificate.not_before);
    let faults = &ca.setup.faults;
    let usual = (certificate.not_after - life / WINDOW_PART, certificate.not_after);
    let moved = match certificate.revoked || faults.fires(Fault::RenewalDue) {
        true => Some((ca.now() - life / WINDOW_PART, ca.now())),
        false => faults.renewal_window(),
    };
    let (start, end) = moved.unwrap_or(usual);
    let mut body = json!({ "suggestedWindow": { "start": start.to_string(), "end": end.to_string() } });
    if let (Some(members), Some(_)) = (body.as_object_mut(), moved) {
        members.insert("explanationURL".to_owned(), json!(ca.url("/why-renew")));
    }
    let mut response = Json(body).into_response();
    if let Some(value) = retry_after(faults.renewal_retry_after().unwrap_or(RetryAfter::Seconds(ASK_AGAIN))) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    Ok(response)
}

/// The page that explains a window that was moved.
pub(super) async fn why() -> &'static str {
    "Somebody moved the window in which this sandbox wants its certificates to be renewed.\n"
}

impl Ca {
    /// The certificate identifier of RFC 9773 §4.1.
    pub(super) fn renewal_id(&self, serial: &[u8]) -> String {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        format!("{}.{}", encode(&self.setup.authority.key_id()), encode(serial))
    }
}

impl state::State {
    /// Notes that an order replaces a certificate (RFC 9773 §5).
    pub(super) fn replace(&mut self, renewal_id: &str, account: &str) -> Result<(), Problem> {
        let mut known = self.certificates.values_mut();
        let certificate = known
            .find(|certificate| certificate.renewal_id == renewal_id)
            .ok_or_else(|| Problem::not_found("certificate to replace"))?;
        owned(&certificate.account, account)?;
        if certificate.replaced {
            return Err(Problem::new(Kind::AlreadyReplaced, "another order replaces this"));
        }
        certificate.replaced = true;
        Ok(())
    }
}
