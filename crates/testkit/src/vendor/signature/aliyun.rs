//! Alibaba Cloud's signatures: version 3 in headers, and the older one in the query.
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::{Signed, encoded, fresh, hexadecimal, hmac_sha256, known, part, parts, same, sha256};

/// Source: Alibaba Cloud, "V3 request structure and signature".
pub(super) fn version3(signed: &Signed<'_>) -> Result<(), String> {
    let authorization = signed.header("authorization")?;
    let parts = parts(&authorization, "ACS3-HMAC-SHA256 ")?;
    known(signed.id, part(&parts, "Credential")?)?;
    let names = part(&parts, "SignedHeaders")?;
    let listed: Vec<&str> = names.split(';').collect();
    let must = ["host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"];
    if !must.iter().all(|name| listed.contains(name)) || !listed.is_sorted() {
        return Err("the signed headers are not whole".to_owned());
    }
    let hash = signed.header("x-acs-content-sha256")?;
    same(&signed.body_hash(), &hash)?;
    let lines = signed.header_lines(names)?;
    let (method, path) = (&signed.request.method, signed.request.uri.path());
    let canonical = format!("{method}\n{path}\n{}\n{lines}\n{names}\n{hash}", signed.sorted_query());
    let text = format!("ACS3-HMAC-SHA256\n{}", sha256(canonical.as_bytes()));
    same(&hexadecimal(&hmac_sha256(signed.key.as_bytes(), &text)), part(&parts, "Signature")?)?;
    let date: Timestamp = signed.header("x-acs-date")?.parse().map_err(|_| "x-acs-date cannot be read")?;
    fresh(date)
}

/// Source: Alibaba Cloud, "RPC signature" (HMAC-SHA1 over the sorted query).
pub(super) fn rpc(signed: &Signed<'_>) -> Result<(), String> {
    let mut pairs = signed.request.pairs();
    let body = url::form_urlencoded::parse(&signed.request.body).into_owned();
    pairs.extend(body);
    let field = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default();
    known(signed.id, &field("AccessKeyId"))?;
    let given = field("Signature");
    if field("SignatureNonce").is_empty() || field("SignatureMethod") != "HMAC-SHA1" {
        return Err("the signature's fields are not whole".to_owned());
    }
    fresh(field("Timestamp").parse().map_err(|_| "Timestamp cannot be read")?)?;
    pairs.retain(|(key, _)| key != "Signature");
    pairs.sort();
    let query: Vec<String> = pairs.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value))).collect();
    let text = format!("{}&%2F&{}", signed.request.method, encoded(&query.join("&")));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, format!("{}&", signed.key).as_bytes());
    same(&STANDARD.encode(hmac::sign(&key, text.as_bytes())), &given)
}
