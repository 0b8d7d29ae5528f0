//! Proofs with the account's RSA key: a JSON web token, a signed body, HTTP signatures.
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use certkeep_core::time::{Clock as _, SystemClock};
use jiff::fmt::rfc2822;
use serde_json::Value;

use super::{Signed, fresh, part, parts, same};
use crate::vendor::access::public_key;
use crate::vendor::expression;

fn verified(algorithm: &'static dyn VerificationAlgorithm, text: &[u8], signature: &[u8]) -> Result<(), String> {
    let key = UnparsedPublicKey::new(algorithm, public_key());
    key.verify(text, signature).map_err(|_| "the signature differs".to_owned())
}

/// Source: RFC 7519 and RFC 7523. Options: `at` (expression for the token), `iss`, `aud`, `kid` (expressions for what
/// the token has to say), `alg` (RS256 or PS256).
pub(super) fn token(signed: &Signed<'_>) -> Result<(), String> {
    let at = signed.option("at").expect("a table says where its token is");
    let token = expression::text(at, signed.scope).unwrap_or_default();
    let fields: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = fields[..] else { return Err("there is no token".to_owned()) };
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| "the token cannot be read".to_owned());
    let json = |text: &str| serde_json::from_slice::<Value>(&decoded(text)?).map_err(|_| "the token is no JSON".to_owned());
    let (header, told) = (json(head)?, json(claims)?);
    for (name, from) in [("iss", &told), ("aud", &told), ("kid", &header)] {
        if let Some(source) = signed.option(name) {
            let expected = expression::text(source, signed.scope).unwrap_or_default();
            if from[name].as_str() != Some(expected.as_str()) {
                return Err(format!("the token's {name} is {}", from[name]));
            }
        }
    }
    let now = SystemClock.now().as_second();
    let (from, until) = (told["iat"].as_i64().unwrap_or(now), told["exp"].as_i64().ok_or("the token has no exp")?);
    if from > now + 60 || until <= now || until - from > 3600 {
        return Err("the token is not valid now".to_owned());
    }
    let algorithm = signed.option("alg").unwrap_or("RS256");
    if header["alg"].as_str() != Some(algorithm) {
        return Err(format!("the token's alg is {}", header["alg"]));
    }
    let algorithm: &'static dyn VerificationAlgorithm = match algorithm {
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        _ => &RSA_PKCS1_2048_8192_SHA256,
    };
    verified(algorithm, format!("{head}.{claims}").as_bytes(), &decoded(signature)?)
}

/// The body's signature (RSA with SHA-512, PKCS #1) in the header that the option `header` names.
pub(super) fn body(signed: &Signed<'_>) -> Result<(), String> {
    let given = signed.header(signed.option("header").unwrap_or("signature"))?;
    let given = STANDARD.decode(given.trim()).map_err(|_| "the signature is no base64")?;
    verified(&RSA_PKCS1_2048_8192_SHA512, &signed.request.body, &given)
}

/// Source: draft-cavage-http-signatures, version 1 in Oracle Cloud's words ("Request signatures"). Option: `key_id`
/// (expression).
pub(super) fn http_signature(signed: &Signed<'_>) -> Result<(), String> {
    let authorization = signed.header("authorization")?;
    let parts = parts(&authorization, "Signature ")?;
    let field = |name: &str| Ok::<_, String>(part(&parts, name)?.trim_matches('"'));
    if let Some(source) = signed.option("key_id") {
        let expected = expression::text(source, signed.scope).unwrap_or_default();
        same(&expected, field("keyId")?).map_err(|_| "the key id is unknown".to_owned())?;
    }
    let names: Vec<&str> = field("headers")?.split(' ').collect();
    let request = signed.request;
    let with_body = !request.body.is_empty();
    let must = if with_body { &["(request-target)", "host", "x-content-sha256"][..] } else { &["(request-target)", "host"] };
    if !must.iter().all(|name| names.contains(name)) || !names.iter().any(|name| matches!(*name, "date" | "x-date")) {
        return Err("the signed headers are not whole".to_owned());
    }
    let date = request.header("x-date").or_else(|| request.header("date")).unwrap_or_default();
    fresh(rfc2822::parse(&date).map_err(|_| "the date cannot be read")?.timestamp())?;
    if with_body {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &request.body);
        same(&STANDARD.encode(hash), &signed.header("x-content-sha256")?)?;
    }
    let mut lines = Vec::new();
    for name in &names {
        lines.push(match *name {
            "(request-target)" => format!("{name}: {} {}", request.method.as_str().to_lowercase(), request.target()),
            name => format!("{name}: {}", signed.header(name)?.trim()),
        });
    }
    let given = STANDARD.decode(field("signature")?).map_err(|_| "the signature is no base64")?;
    verified(&RSA_PKCS1_2048_8192_SHA256, lines.join("\n").as_bytes(), &given)
}
