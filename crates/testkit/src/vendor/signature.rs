//! Signatures, computed anew from what came: each as the vendor's documentation tells a server's side of it.
//!
//! Nothing here is shared with the code that signs.
mod aliyun;
mod aws;
mod edgegrid;
mod gateway;
mod jwt;
mod tencent;

use std::collections::BTreeMap;

use aws_lc_rs::{digest, hmac};
use certkeep_core::time::{Clock as _, SystemClock};
use jiff::Timestamp;

use super::access::Secrets;
use super::expression::hexadecimal;
use super::request::Incoming;
use super::scope::Scope;
use super::table::Signature;

/// How far a request's time may be off, in seconds.
const FRESH: i64 = 15 * 60;

/// A request with what its signature is checked against.
struct Signed<'a> {
    request: &'a Incoming,
    scope: &'a Scope,
    options: &'a BTreeMap<String, String>,
    id: &'a str,
    key: &'a str,
}

/// Whether the signature is right; if not, why.
pub(super) fn check(signature: &Signature, request: &Incoming, scope: &Scope, secrets: &Secrets) -> Result<(), String> {
    let options = &signature.options;
    let option = |name: &str, default: &'static str| options.get(name).map_or(default, String::as_str);
    let signed = Signed { request, scope, options, id: secrets.get(option("id", "id")), key: secrets.get(option("key", "key")) };
    match signature.by.as_str() {
        "aliyun" => aliyun::version3(&signed),
        "aliyun-rpc" => aliyun::rpc(&signed),
        "aws4" => aws::version4(&signed),
        "baidu" => gateway::baidu(&signed),
        "edgegrid" => edgegrid::check(&signed),
        "exo2" => gateway::exoscale(&signed),
        "huawei" => gateway::huawei(&signed),
        "http" => jwt::http_signature(&signed),
        "jwt" => jwt::token(&signed),
        "rsa" => jwt::body(&signed),
        "tc3" => tencent::version3(&signed),
        "volc" => aws::volcengine(&signed),
        other => panic!("a table names the unknown signature {other}"),
    }
}

impl Signed<'_> {
    fn header(&self, name: &str) -> Result<String, String> {
        self.request.header(name).ok_or_else(|| format!("there is no header {name}"))
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// The query's fields, encoded and sorted.
    fn sorted_query(&self) -> String {
        let mut pairs: Vec<(String, String)> =
            self.request.pairs().iter().map(|(key, value)| (encoded(key), encoded(value))).collect();
        pairs.sort();
        pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
    }

    /// Lines `name:value` of the signed headers, each of which has to be there.
    fn header_lines(&self, names: &str) -> Result<String, String> {
        let line = |name: &str| Ok(format!("{name}:{}\n", self.header(name)?.trim()));
        names.split(';').map(line).collect()
    }

    fn body_hash(&self) -> String {
        sha256(&self.request.body)
    }
}

/// The parts `Name=value` of an Authorization header after its scheme.
fn parts<'a>(authorization: &'a str, scheme: &str) -> Result<BTreeMap<&'a str, &'a str>, String> {
    let rest = authorization.strip_prefix(scheme).ok_or_else(|| format!("the Authorization is none of {scheme}"))?;
    Ok(rest.split(',').filter_map(|part| part.trim().split_once('=')).collect())
}

fn part<'a>(parts: &BTreeMap<&str, &'a str>, name: &str) -> Result<&'a str, String> {
    parts.get(name).copied().ok_or_else(|| format!("the Authorization has no {name}"))
}

fn same(expected: &str, given: &str) -> Result<(), String> {
    if expected == given { Ok(()) } else { Err("the signature differs".to_owned()) }
}

fn known(expected: &str, given: &str) -> Result<(), String> {
    if expected == given { Ok(()) } else { Err("the key id is unknown".to_owned()) }
}

/// Checks a time like `20261124T120000Z`.
fn fresh_compact(text: &str) -> Result<(), String> {
    let unreadable = || format!("the time {text} cannot be read");
    let time = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", text).map_err(|_| unreadable())?;
    let time = time.to_datetime().and_then(|time| jiff::tz::TimeZone::UTC.to_timestamp(time)).map_err(|_| unreadable())?;
    fresh(time)
}

fn fresh(time: Timestamp) -> Result<(), String> {
    let off = SystemClock.now().duration_since(time).as_secs().abs();
    if off <= FRESH { Ok(()) } else { Err(format!("the request's time is off by {off} s")) }
}

fn sha256(octets: &[u8]) -> String {
    hexadecimal(digest::digest(&digest::SHA256, octets).as_ref())
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// Percent-encoding of everything but the unreserved characters (RFC 3986 §2.3).
fn encoded(text: &str) -> String {
    let encode = |octet: &u8| match octet {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(*octet).to_string(),
        other => format!("%{other:02X}"),
    };
    text.as_bytes().iter().map(encode).collect()
}
