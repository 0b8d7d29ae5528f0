//! Revocation (RFC 8555 §7.6).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Deserialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::Ca;
use super::jws::{Signed, Signer};
use super::problem::{Kind, Problem};
use super::state::{self, Certificate, Status};

/// The reasons of RFC 5280 §5.3.1; 7 is not used.
const REASONS: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10];

#[derive(Deserialize)]
struct Revocation {
    certificate: String,
    #[serde(default)]
    reason: u8,
}

/// Revokes for the account that ordered, one that is authorized for all names, or the key itself.
pub(super) async fn revoke(State(ca): State<Arc<Ca>>, signed: Signed) -> Result<StatusCode, Problem> {
    let request: Revocation = signed.payload()?;
    let der =
        BASE64_URL_SAFE_NO_PAD.decode(&request.certificate).map_err(|_| Problem::malformed("certificate: not base64url"))?;
    if !REASONS.contains(&request.reason) {
        return Err(Problem::new(Kind::BadRevocationReason, "no such reason"));
    }
    let mut state = ca.state();
    let found = state.certificates.iter().find(|(_, known)| known.der == der);
    let (id, certificate) = found.ok_or_else(|| Problem::not_found("certificate"))?;
    let id = id.clone();
    if !may_revoke(&state, &signed.signer, certificate) {
        return Err(Problem::new(Kind::Unauthorized, "not this signer's certificate"));
    }
    if certificate.revoked {
        return Err(Problem::new(Kind::AlreadyRevoked, "already revoked"));
    }
    if let Some(certificate) = state.certificates.get_mut(&id) {
        certificate.revoked = true;
    }
    Ok(StatusCode::OK)
}

fn may_revoke(state: &state::State, signer: &Signer, certificate: &Certificate) -> bool {
    match signer {
        Signer::Account { id, .. } => {
            let authorized = |name: &String| {
                let base = name.strip_prefix("*.").unwrap_or(name);
                state.authorizations.values().any(|authorization| {
                    authorization.account == *id
                        && authorization.status == Status::Valid
                        && authorization.name == base
                        && authorization.wildcard == (base.len() < name.len())
                })
            };
            certificate.account == *id || certificate.names.iter().all(authorized)
        }
        Signer::Key(key) => {
            X509Certificate::from_der(&certificate.der).is_ok_and(|(_, parsed)| key.is_key_of(parsed.public_key()))
        }
    }
}
