//! Tencent Cloud's TC3-HMAC-SHA256.
use jiff::Timestamp;

use super::{Signed, fresh, hexadecimal, hmac_sha256, known, part, parts, same, sha256};

/// Source: Tencent Cloud API 3.0, "Signature Method v3". Option: `service`.
pub(super) fn version3(signed: &Signed<'_>) -> Result<(), String> {
    let authorization = signed.header("authorization")?;
    let parts = parts(&authorization, "TC3-HMAC-SHA256 ")?;
    let names = part(&parts, "SignedHeaders")?;
    let scope: Vec<&str> = part(&parts, "Credential")?.split('/').collect();
    let [id, day, service, "tc3_request"] = scope[..] else { return Err("the credential's scope is not whole".to_owned()) };
    known(signed.id, id)?;
    if signed.option("service").is_some_and(|expected| expected != service) {
        return Err(format!("the scope's service is {service}"));
    }
    let stamp = signed.header("x-tc-timestamp")?;
    let time: Option<Timestamp> = stamp.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let time = time.ok_or("X-TC-Timestamp cannot be read")?;
    fresh(time)?;
    let listed: Vec<&str> = names.split(';').collect();
    if !listed.contains(&"host") || !listed.contains(&"content-type") || time.strftime("%Y-%m-%d").to_string() != day {
        return Err("the scope or the signed headers are not whole".to_owned());
    }
    let lines = signed.header_lines(names)?.to_lowercase();
    let request = signed.request;
    let canonical =
        format!("{}\n{}\n{}\n{lines}\n{names}\n{}", request.method, request.uri.path(), request.query(), signed.body_hash());
    let text = format!("TC3-HMAC-SHA256\n{stamp}\n{day}/{service}/tc3_request\n{}", sha256(canonical.as_bytes()));
    let start = format!("TC3{}", signed.key).into_bytes();
    let key = [day, service, "tc3_request"].iter().fold(start, |key, part| hmac_sha256(&key, part));
    same(&hexadecimal(&hmac_sha256(&key, &text)), part(&parts, "Signature")?)
}
