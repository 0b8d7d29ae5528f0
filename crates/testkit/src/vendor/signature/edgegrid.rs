//! Akamai's EdgeGrid, EG1-HMAC-SHA256.
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::fmt::strtime;

use super::{Signed, fresh, hmac_sha256, known, same};

/// Source: Akamai, "EdgeGrid authentication". `id` is the client token and `key` the client secret; the option
/// `access` names the access token.
pub(super) fn check(signed: &Signed<'_>) -> Result<(), String> {
    let authorization = signed.header("authorization")?;
    let rest = authorization.strip_prefix("EG1-HMAC-SHA256 ").ok_or("the Authorization is none of EdgeGrid")?;
    let (before, signature) = rest.split_once("signature=").ok_or("the Authorization has no signature")?;
    let field = |name: &str| before.split(';').find_map(|part| part.split_once('=').filter(|(key, _)| *key == name));
    let field = |name: &str| field(name).map(|(_, value)| value).ok_or_else(|| format!("the Authorization has no {name}"));
    known(signed.id, field("client_token")?)?;
    if let Some(source) = signed.option("access") {
        known(&crate::vendor::expression::text(source, signed.scope).unwrap_or_default(), field("access_token")?)?;
    }
    let time = field("timestamp")?;
    let parsed = strtime::parse("%Y%m%dT%H:%M:%S%z", time).and_then(|time| time.to_timestamp());
    fresh(parsed.map_err(|_| "the timestamp cannot be read")?)?;
    if field("nonce")?.is_empty() {
        return Err("there is no nonce".to_owned());
    }
    let request = signed.request;
    // Only the body of a POST is part of it, up to 128 KiB.
    let hash = if request.method == "POST" && !request.body.is_empty() {
        let most = request.body.len().min(131_072);
        STANDARD.encode(digest::digest(&digest::SHA256, &request.body[..most]))
    } else {
        String::new()
    };
    let data = format!("{}\thttps\t{}\t{}\t\t{hash}\tEG1-HMAC-SHA256 {before}", request.method, request.host, request.target());
    let key = STANDARD.encode(hmac_sha256(signed.key.as_bytes(), time));
    same(&STANDARD.encode(hmac_sha256(key.as_bytes(), &data)), signature)
}
