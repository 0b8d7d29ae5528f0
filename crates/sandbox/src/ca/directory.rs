//! Directory, terms and nonces (RFC 8555 §7.1.1, §7.2).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::caa::CAA_IDENTITY;
use super::{Ca, REPLAY_NONCE};

/// Certificates that live as long as the sandbox was told.
pub(super) const PROFILE_CLASSIC: &str = "classic";
/// Certificates that live six days at most.
pub(super) const PROFILE_SHORT: &str = "shortlived";

pub(super) async fn directory(State(ca): State<Arc<Ca>>) -> Json<Value> {
    Json(json!({
        "newNonce": ca.url("/new-nonce"),
        "newAccount": ca.url("/new-account"),
        "newOrder": ca.url("/new-order"),
        "revokeCert": ca.url("/revoke-cert"),
        "keyChange": ca.url("/key-change"),
        "renewalInfo": ca.url("/renewal-info"),
        "meta": {
            "termsOfService": ca.url("/terms"),
            "caaIdentities": [CAA_IDENTITY],
            "externalAccountRequired": ca.setup.external_account.is_some(),
            "profiles": {
                PROFILE_CLASSIC: "as long as the sandbox was told",
                PROFILE_SHORT: "six days at most",
            },
        },
    }))
}

pub(super) async fn terms() -> &'static str {
    "This is a sandbox. Nobody trusts its certificates, and nobody should.\n"
}

pub(super) async fn new_nonce(State(ca): State<Arc<Ca>>, method: Method) -> Response {
    let status = match method {
        Method::HEAD => StatusCode::OK,
        _ => StatusCode::NO_CONTENT,
    };
    let nonce = ca.state().nonces.issue();
    let headers = [(REPLAY_NONCE, nonce.as_str()), (header::CACHE_CONTROL, "no-store")];
    (status, headers).into_response()
}
