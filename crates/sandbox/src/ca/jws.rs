//! Signed requests: how they are read and what is checked before a handler sees them
//! (RFC 8555 §6.2–§6.5).

use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::jwk::{ALGORITHMS, Jwk};
use super::problem::{Kind, Problem};
use super::{Ca, account};
use crate::faults::Fault;

const CONTENT_TYPE: &str = "application/jose+json";

/// A flattened JWS (RFC 7515 §7.2.2), decoded but not yet believed.
pub(super) struct Jws {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
    signed: String,
    signature: Vec<u8>,
}

/// The protected header.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    #[serde(default)]
    pub(super) jwk: Option<Value>,
    #[serde(default)]
    pub(super) kid: Option<String>,
    #[serde(default)]
    pub(super) nonce: Option<String>,
    #[serde(default)]
    pub(super) url: Option<String>,
}

#[derive(Deserialize)]
struct Flattened {
    protected: String,
    payload: String,
    signature: String,
    #[serde(default)]
    header: Option<Value>,
}

impl Jws {
    pub(super) fn parse(json: &[u8]) -> Result<Jws, Problem> {
        let flattened: Flattened =
            serde_json::from_slice(json).map_err(|error| Problem::malformed(format!("not a flattened JWS: {error}")))?;
        if flattened.header.is_some() {
            return Err(Problem::malformed("a JWS here has no unprotected header"));
        }
        let decode = |member: &str, text: &str| {
            let decoded = BASE64_URL_SAFE_NO_PAD.decode(text);
            decoded.map_err(|_| Problem::malformed(format!("JWS: {member} is not base64url")))
        };
        let header = serde_json::from_slice(&decode("protected", &flattened.protected)?)
            .map_err(|error| Problem::malformed(format!("JWS: protected header: {error}")))?;
        Ok(Jws {
            header,
            payload: decode("payload", &flattened.payload)?,
            signature: decode("signature", &flattened.signature)?,
            signed: format!("{}.{}", flattened.protected, flattened.payload),
        })
    }

    /// Checks the signature against a public key.
    pub(super) fn verify(&self, key: &Jwk) -> Result<(), Problem> {
        if !ALGORITHMS.contains(&self.header.alg.as_str()) || self.header.alg != key.algorithm() {
            let detail = format!("JWS: this key does not sign with {}", self.header.alg);
            let problem = Problem::new(Kind::BadSignatureAlgorithm, detail);
            return Err(problem.with_algorithms(ALGORITHMS));
        }
        if !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(Problem::malformed("JWS: the signature is wrong"));
        }
        Ok(())
    }

    /// Whether the signature is an HS256 one with `key`.
    pub(super) fn verifies_hs256(&self, key: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        self.header.alg == "HS256" && hmac::verify(&key, self.signed.as_bytes(), &self.signature).is_ok()
    }
}

/// Who signed a request.
pub(super) enum Signer {
    /// An account that is valid, by its `kid`.
    Account { id: String, key: Jwk },
    /// Whoever holds this key, sent along as `jwk`.
    Key(Jwk),
}

/// A request whose nonce, URL and signature are right.
pub(super) struct Signed {
    pub(super) signer: Signer,
    pub(super) url: String,
    payload: Vec<u8>,
}

impl Signed {
    /// The account that signed; an embedded key does not do.
    pub(super) fn account(&self) -> Result<(&str, &Jwk), Problem> {
        match &self.signer {
            Signer::Account { id, key } => Ok((id, key)),
            Signer::Key(_) => Err(Problem::malformed("JWS: this resource needs a kid")),
        }
    }

    /// The key that came along; an account's `kid` does not do.
    pub(super) fn embedded_key(&self) -> Result<&Jwk, Problem> {
        match &self.signer {
            Signer::Key(key) => Ok(key),
            Signer::Account { .. } => Err(Problem::malformed("JWS: this resource needs a jwk")),
        }
    }

    pub(super) fn raw_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload as JSON.
    pub(super) fn payload<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.payload).map_err(|error| Problem::malformed(format!("payload: {error}")))
    }

    /// The payload as JSON, `None` for POST-as-GET (RFC 8555 §6.3).
    pub(super) fn payload_if_any<T: DeserializeOwned>(&self) -> Result<Option<T>, Problem> {
        if self.payload.is_empty() {
            return Ok(None);
        }
        self.payload().map(Some)
    }

    /// Refuses whatever is not POST-as-GET.
    pub(super) fn read_only(&self) -> Result<(), Problem> {
        if self.payload.is_empty() {
            return Ok(());
        }
        Err(Problem::malformed("this resource is read by POST-as-GET"))
    }
}

impl FromRequest<Arc<Ca>> for Signed {
    type Rejection = Problem;

    async fn from_request(request: Request, ca: &Arc<Ca>) -> Result<Signed, Problem> {
        check_content_type(request.headers())?;
        let url = ca.url(request.uri().path());
        let body = Bytes::from_request(request, ca).await.map_err(|error| Problem::malformed(error.body_text()))?;
        let jws = Jws::parse(&body)?;
        ca.use_nonce(jws.header.nonce.as_deref())?;
        if jws.header.url.as_deref() != Some(url.as_str()) {
            let problem = Problem::new(Kind::Unauthorized, "JWS: url is not that of the request");
            return Err(problem.with_status(StatusCode::UNAUTHORIZED));
        }
        let signer = signer(ca, &jws)?;
        Ok(Signed { signer, url, payload: jws.payload })
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE);
    if value.is_some_and(|value| value.as_bytes() == CONTENT_TYPE.as_bytes()) {
        return Ok(());
    }
    let problem = Problem::malformed(format!("the content type is not {CONTENT_TYPE}"));
    Err(problem.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
}

fn signer(ca: &Ca, jws: &Jws) -> Result<Signer, Problem> {
    match (&jws.header.jwk, &jws.header.kid) {
        (Some(jwk), None) => {
            let key = Jwk::parse(jwk)?;
            jws.verify(&key)?;
            Ok(Signer::Key(key))
        }
        (None, Some(kid)) => {
            let unknown = || Problem::new(Kind::AccountDoesNotExist, "no account has this kid");
            let prefix = ca.url(account::PATH);
            let id = kid.strip_prefix(&prefix).ok_or_else(unknown)?.to_owned();
            let key = ca.state().accounts.get(&id).ok_or_else(unknown)?.key.clone();
            jws.verify(&key)?;
            // Only after the signature: the state of an account is no stranger's business.
            ca.state().account(&id)?;
            Ok(Signer::Account { id, key })
        }
        _ => Err(Problem::malformed("JWS: exactly one of jwk and kid")),
    }
}

impl Ca {
    /// Takes a nonce out of those that are good; each is good once (RFC 8555 §6.5).
    fn use_nonce(&self, nonce: Option<&str>) -> Result<(), Problem> {
        let nonce = nonce.ok_or_else(|| Problem::new(Kind::BadNonce, "JWS: no nonce"))?;
        let known = self.state().nonces.take(nonce);
        if !known || self.setup.faults.fires(Fault::BadNonce) {
            return Err(Problem::new(Kind::BadNonce, "JWS: this nonce is not good (any more)"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(protected in ".*", payload in "[A-Za-z0-9_-]*") {
            let json = serde_json::json!({
                "protected": BASE64_URL_SAFE_NO_PAD.encode(&protected),
                "payload": payload,
                "signature": payload,
            });
            let _ = Jws::parse(json.to_string().as_bytes());
            let _ = Jws::parse(protected.as_bytes());
        }
    }
}
