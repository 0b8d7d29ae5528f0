//! The forms of a request's parts on which signer and vendor have to agree.
use aws_lc_rs::digest;
use jiff::Timestamp;
use url::Url;

use super::{Outgoing, hexadecimal, host, percent_encoded};

/// SHA-256 in hexadecimal digits.
pub(super) fn sha256(octets: &[u8]) -> String {
    hexadecimal(digest::digest(&digest::SHA256, octets).as_ref())
}

/// SHA-1 in hexadecimal digits, for vendors that know nothing better.
pub(super) fn sha1(octets: &[u8]) -> String {
    hexadecimal(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets).as_ref())
}

/// Pairs in the order of their encoded names and values, joined as in a query.
pub(super) fn pairs<'a>(pairs: impl Iterator<Item = (impl AsRef<str> + 'a, impl AsRef<str> + 'a)>) -> String {
    let mut pairs: Vec<(String, String)> =
        pairs.map(|(name, value)| (percent_encoded(name.as_ref()), percent_encoded(value.as_ref()))).collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The query in canonical form; the request is given the same form, so that what is sent is what was signed.
pub(super) fn query(url: &mut Url) -> String {
    if url.query().is_none() {
        return String::new();
    }
    let canonical = pairs(url.query_pairs());
    url.set_query(Some(&canonical));
    canonical
}

/// Headers that are signed.
pub(super) struct Headers {
    /// Their names, with `;` between them.
    pub(super) names: String,
    /// `name:value`, each on a line with an end.
    pub(super) lines: String,
}

/// `Host` and the headers that are wanted, in order.
pub(super) fn headers(request: &Outgoing, wanted: impl Fn(&str) -> bool) -> Headers {
    let mut signed: Vec<(&str, String)> = request
        .headers
        .iter()
        .filter(|(name, _)| wanted(name.as_str()))
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).trim().to_owned()))
        .collect();
    signed.push(("host", host(&request.url)));
    signed.sort_unstable();
    Headers {
        names: signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";"),
        lines: signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect(),
    }
}

/// `20060102T150405Z`.
pub(super) fn compact(now: Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// `2006-01-02T15:04:05Z`.
pub(super) fn extended(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The date of HTTP (RFC 9110 §5.6.7).
pub(super) fn http_date(now: Timestamp) -> String {
    now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
