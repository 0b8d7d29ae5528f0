//! AWS Signature Version 4, and Volcengine's likeness of it.
use super::{Signed, encoded, fresh_compact, hexadecimal, hmac_sha256, known, part, parts, same, sha256};

/// Source: AWS, "Create a signed AWS API request". Options: `service`, `region`.
pub(super) fn version4(signed: &Signed<'_>) -> Result<(), String> {
    scoped(signed, "AWS4-HMAC-SHA256", "AWS4", "aws4_request", "x-amz-date")
}

/// Source: Volcengine, "Signature method" (HMAC-SHA256). Options: `service`, `region`.
pub(super) fn volcengine(signed: &Signed<'_>) -> Result<(), String> {
    scoped(signed, "HMAC-SHA256", "", "request", "x-date")
}

fn scoped(signed: &Signed<'_>, algorithm: &str, prefix: &str, end: &str, date_header: &str) -> Result<(), String> {
    let authorization = signed.header("authorization")?;
    let parts = parts(&authorization, &format!("{algorithm} "))?;
    let names = part(&parts, "SignedHeaders")?;
    let scope: Vec<&str> = part(&parts, "Credential")?.split('/').collect();
    let [id, day, region, service, last] = scope[..] else { return Err("the credential's scope is not whole".to_owned()) };
    known(signed.id, id)?;
    for (option, given) in [("service", service), ("region", region)] {
        if signed.option(option).is_some_and(|expected| expected != given) {
            return Err(format!("the scope's {option} is {given}"));
        }
    }
    let date = signed.header(date_header)?;
    let listed: Vec<&str> = names.split(';').collect();
    let session = signed.request.header("x-amz-security-token").is_none() || listed.contains(&"x-amz-security-token");
    if last != end || !date.starts_with(day) || !listed.contains(&"host") || !listed.is_sorted() || !session {
        return Err("the scope or the signed headers are not whole".to_owned());
    }
    fresh_compact(&date)?;
    // The path is encoded once more by the signer, as for every service but S3.
    let path: String = signed.request.uri.path().split('/').map(encoded).collect::<Vec<_>>().join("/");
    let lines = signed.header_lines(names)?;
    let lines: String = lines.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect();
    let hash = signed.body_hash();
    if signed.request.header("x-amz-content-sha256").is_some_and(|given| given != hash) {
        return Err("the body's hash differs".to_owned());
    }
    let canonical = format!("{}\n{path}\n{}\n{lines}\n{names}\n{hash}", signed.request.method, signed.sorted_query());
    let text = format!("{algorithm}\n{date}\n{day}/{region}/{service}/{end}\n{}", sha256(canonical.as_bytes()));
    let start = format!("{prefix}{}", signed.key).into_bytes();
    let key = [day, region, service, end].iter().fold(start, |key, part| hmac_sha256(&key, part));
    same(&hexadecimal(&hmac_sha256(&key, &text)), part(&parts, "Signature")?)
}
