//! Renewal information (RFC 9773): when a certificate had better be renewed, and by what.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::json;

use super::Ca;
use super::problem::{Kind, Problem};
use super::state::{self, owned};
use crate::clock;
use crate::faults::Fault;

/// When to ask again, in seconds.
const ASK_AGAIN: &str = "21600";
/// The window is the last part of the certificate's life, this part of it.
const WINDOW_PART: i32 = 3;

pub(super) async fn info(State(ca): State<Arc<Ca>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let state = ca.state();
    let found = state.certificates.values().find(|known| known.renewal_id == id);
    let certificate = found.ok_or_else(|| Problem::not_found("certificate"))?;
    let life = certificate.not_after.duration_since(certificate.not_before);
    let (mut start, mut end) = (certificate.not_after - life / WINDOW_PART, certificate.not_after);
    if certificate.revoked || ca.setup.faults.fires(Fault::RenewalDue) {
        end = clock::now();
        start = end - life / WINDOW_PART;
    }
    let window = json!({ "start": start.to_string(), "end": end.to_string() });
    let headers = [(header::RETRY_AFTER, ASK_AGAIN)];
    Ok((headers, Json(json!({ "suggestedWindow": window }))).into_response())
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
