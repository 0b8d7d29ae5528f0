//! Requests that must be signed. A signer is a few lines over the finished request; it has never seen a page.
mod aliyun;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, InvalidHeaderValue};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

/// A way to sign, as a page names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signer {
    /// Alibaba Cloud, signature method V3 (`ACS3-HMAC-SHA256`).
    Aliyun,
}

/// What signs.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// The public half: an access key id.
    pub id: String,
    /// The secret half.
    pub secret: SecretString,
}

/// What makes every signature another one.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The present instant; vendors refuse a signature that is minutes old.
    pub now: Timestamp,
    /// Used once.
    pub nonce: String,
}

/// A finished request, but for its signature. It may hold secrets and so has no `Debug`.
pub struct Outgoing {
    /// Its method.
    pub method: reqwest::Method,
    /// Its address, with the query.
    pub url: Url,
    /// Its headers; `Host` is not among them.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Signer {
    /// Puts the signature's headers on a request.
    ///
    /// # Errors
    /// A key id that fits into no header.
    pub fn sign(self, request: &mut Outgoing, key: &SigningKey, moment: &Moment) -> Result<(), InvalidHeaderValue> {
        match self {
            Signer::Aliyun => aliyun::sign(request, key, moment),
        }
    }
}

/// A text with every octet percent-encoded that is not unreserved (RFC 3986 §2.3).
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
    out
}

/// Lower-case hexadecimal digits.
pub(crate) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The host of a URL as the header `Host` has it: the port only where it is not the scheme's own.
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}
