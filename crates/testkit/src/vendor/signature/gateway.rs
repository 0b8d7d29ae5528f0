//! Signatures of API gateways that sign with the key itself: Huawei, Baidu, Exoscale.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certkeep_core::time::{Clock as _, SystemClock};
use jiff::Timestamp;

use super::{Signed, encoded, fresh, fresh_compact, hexadecimal, hmac_sha256, known, part, parts, same, sha256};

/// Source: Huawei Cloud, "API request signing guide", SDK-HMAC-SHA256.
pub(super) fn huawei(signed: &Signed<'_>) -> Result<(), String> {
    let authorization = signed.header("authorization")?;
    let parts = parts(&authorization, "SDK-HMAC-SHA256 ")?;
    known(signed.id, part(&parts, "Access")?)?;
    let names = part(&parts, "SignedHeaders")?;
    let date = signed.header("x-sdk-date")?;
    fresh_compact(&date)?;
    if !names.split(';').any(|name| name == "x-sdk-date") {
        return Err("the signed headers are not whole".to_owned());
    }
    let mut path = signed.request.uri.path().to_owned();
    if !path.ends_with('/') {
        path.push('/');
    }
    let hash = signed.request.header("x-sdk-content-sha256").unwrap_or_else(|| signed.body_hash());
    let lines = signed.header_lines(names)?;
    let canonical = format!("{}\n{path}\n{}\n{lines}\n{names}\n{hash}", signed.request.method, signed.sorted_query());
    let text = format!("SDK-HMAC-SHA256\n{date}\n{}", sha256(canonical.as_bytes()));
    same(&hexadecimal(&hmac_sha256(signed.key.as_bytes(), &text)), part(&parts, "Signature")?)
}

/// Source: Baidu AI Cloud, "Authentication mechanism", bce-auth-v1.
pub(super) fn baidu(signed: &Signed<'_>) -> Result<(), String> {
    let authorization = signed.header("authorization")?;
    let fields: Vec<&str> = authorization.split('/').collect();
    let ["bce-auth-v1", id, time, seconds, names, signature] = fields[..] else {
        return Err("the Authorization is none of bce-auth-v1".to_owned());
    };
    known(signed.id, id)?;
    fresh(time.parse::<Timestamp>().map_err(|_| "the time cannot be read")?)?;
    let key = hexadecimal(&hmac_sha256(signed.key.as_bytes(), &format!("bce-auth-v1/{id}/{time}/{seconds}")));
    let mut lines = Vec::new();
    for name in names.split(';') {
        lines.push(format!("{}:{}", encoded(name), encoded(signed.header(name)?.trim())));
    }
    lines.sort();
    if !names.split(';').any(|name| name == "host") {
        return Err("the signed headers are not whole".to_owned());
    }
    let canonical =
        format!("{}\n{}\n{}\n{}", signed.request.method, signed.request.uri.path(), signed.sorted_query(), lines.join("\n"));
    same(&hexadecimal(&hmac_sha256(key.as_bytes(), &canonical)), signature)
}

/// Source: Exoscale API reference, "Signature", EXO2-HMAC-SHA256.
pub(super) fn exoscale(signed: &Signed<'_>) -> Result<(), String> {
    let authorization = signed.header("authorization")?;
    let parts = parts(&authorization, "EXO2-HMAC-SHA256 ")?;
    known(signed.id, part(&parts, "credential")?)?;
    let expires = part(&parts, "expires")?;
    if expires.parse().map_or(true, |at: i64| at < SystemClock.now().as_second()) {
        return Err("the request has expired".to_owned());
    }
    let names = parts.get("signed-query-args").copied().unwrap_or_default();
    let pairs = signed.request.pairs();
    let value = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default();
    let values: String = names.split(';').filter(|name| !name.is_empty()).map(value).collect();
    let body = String::from_utf8_lossy(&signed.request.body);
    let text = format!("{} {}\n{body}\n{values}\n\n{expires}", signed.request.method, signed.request.uri.path());
    let tag = STANDARD.encode(hmac_sha256(signed.key.as_bytes(), &text));
    // Base64 ends with signs of equality, at which the header's parts are not split.
    same(tag.trim_end_matches('='), part(&parts, "signature")?.trim_end_matches('='))
}
