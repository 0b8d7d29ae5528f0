//! Alibaba Cloud DNS (Alidns), version 2015-01-09, with signature method V3.
//!
//! Source: the vendor's documentation, "V3 request structure and signature", and the API's DescribeDomains,
//! DescribeDomainRecords, AddDomainRecord and DeleteDomainRecord, read 2026-11-24. Keywords of a list match parts of
//! words; a record that is there already is refused; the free edition's TTL is 600 and more.
use aws_lc_rs::{digest, hmac};
use certkeep_core::time::{Clock, SystemClock};
use jiff::Timestamp;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::account::Account;
use super::server::{Incoming, Outcome};

/// How old a request may be, in seconds.
const FRESH: i64 = 15 * 60;

pub(super) fn answer(account: &mut Account, request: &Incoming<'_>, nonces: &mut Vec<String>) -> Outcome {
    if let Err((status, code, message)) = authorized(request, nonces) {
        return failure(status, code, message);
    }
    let domain = request.query("DomainName").unwrap_or_default();
    match (request.header("x-acs-action"), request.uri.path()) {
        ("DescribeDomains", "/") => {
            let list = account.zones().iter().map(|zone| json!({ "DomainName": zone, "PunyCode": zone })).collect();
            paged("Domains", "Domain", list, request, 100)
        }
        ("DescribeDomainRecords" | "AddDomainRecord", "/") if !account.has(&domain) => {
            failure(400, "InvalidDomainName.NoExist", "The specified domain name does not exist.")
        }
        ("DescribeDomainRecords", "/") => {
            let part = |key: &str, text: &str| request.query(key).is_none_or(|keyword| text.contains(&keyword));
            let list = account
                .of_zone(&domain)
                .into_iter()
                .map(|(id, record)| (id, relative(&record.name, &domain), record))
                .filter(|(_, rr, record)| part("RRKeyWord", rr) && part("TypeKeyWord", &record.rtype))
                .map(|(id, rr, record)| {
                    json!({
                        "RecordId": id.to_string(), "DomainName": domain, "RR": rr, "Type": record.rtype,
                        "Value": record.value, "TTL": record.ttl, "Line": "default", "Status": "ENABLE",
                    })
                })
                .collect();
            paged("DomainRecords", "Record", list, request, 500)
        }
        ("AddDomainRecord", "/") => add(account, &domain, request),
        ("DeleteDomainRecord", "/") => {
            let id = request.query("RecordId").unwrap_or_default();
            if id.parse().is_ok_and(|id| account.delete(id)) {
                Outcome::json(200, json!({ "RequestId": "1", "RecordId": id }))
            } else {
                failure(400, "DomainRecordNotBelongToUser", "The domain record does not belong to this user.")
            }
        }
        _ => Outcome::stranger(error("InvalidAction.NotFound", "Specified api is not found.")),
    }
}

pub(super) fn throttled() -> Value {
    error("Throttling.User", "Request was denied due to user flow control.")
}

fn add(account: &mut Account, domain: &str, request: &Incoming<'_>) -> Outcome {
    let field = |key: &str| request.query(key).unwrap_or_default();
    let (rr, rtype, value) = (field("RR"), field("Type"), field("Value"));
    if rr.is_empty() || rtype.is_empty() || value.is_empty() {
        return failure(400, "MissingParameter", "RR, Type and Value are needed.");
    }
    let Some(ttl @ 600..) = request.query("TTL").map_or(Some(600), |ttl| ttl.parse().ok()) else {
        return failure(400, "InvalidTTL", "The TTL does not fit the edition.");
    };
    let name = if rr == "@" { domain.to_owned() } else { format!("{rr}.{domain}") };
    let same = account.of_zone(domain).into_iter().any(|(_, r)| r.name == name && r.rtype == rtype && r.value == value);
    if same {
        return failure(400, "DomainRecordDuplicate", "The DNS record already exists.");
    }
    let id = account.add(domain, &name, &rtype, &value, ttl);
    Outcome::json(200, json!({ "RequestId": "1", "RecordId": id.to_string() }))
}

type Refusal = (u16, &'static str, &'static str);

/// Checks the signature as the documentation tells a server's side of it.
fn authorized(request: &Incoming<'_>, nonces: &mut Vec<String>) -> Result<(), Refusal> {
    const INCOMPLETE: Refusal = (400, "IncompleteSignature", "The request signature does not conform to standards.");
    if request.header("x-acs-version") != "2015-01-09" {
        return Err((400, "InvalidVersion", "Specified parameter Version is not valid."));
    }
    let authorization = request.header("authorization").strip_prefix("ACS3-HMAC-SHA256 ").ok_or(INCOMPLETE)?;
    let mut parts = authorization.split(',').filter_map(|part| part.trim().split_once('='));
    let mut part = |name: &str| parts.next().filter(|(key, _)| *key == name).map(|(_, value)| value).ok_or(INCOMPLETE);
    let (id, signed, signature) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
    if id != request.credentials.id {
        return Err((404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."));
    }
    let must = ["host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"];
    let names: Vec<&str> = signed.split(';').collect();
    if !must.iter().all(|name| names.contains(name)) || !names.is_sorted() {
        return Err(INCOMPLETE);
    }
    let payload = hexadecimal(digest::digest(&digest::SHA256, request.body).as_ref());
    if request.header("x-acs-content-sha256") != payload {
        return Err(INCOMPLETE);
    }
    // Over HTTP/2 the host is the request's authority.
    let host = request.uri.authority().map_or_else(|| request.header("host").to_owned(), ToString::to_string);
    let header = |name: &str| if name == "host" { host.clone() } else { request.header(name).trim().to_owned() };
    let mut pairs: Vec<String> = form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes())
        .map(|(key, value)| format!("{}={}", encoded(&key), encoded(&value)))
        .collect();
    pairs.sort();
    let mut canonical = format!("{}\n{}\n{}\n", request.method, request.uri.path(), pairs.join("&"));
    for name in &names {
        canonical.push_str(&format!("{name}:{}\n", header(name)));
    }
    canonical.push_str(&format!("\n{signed}\n{payload}"));
    let hashed = hexadecimal(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let key = hmac::Key::new(hmac::HMAC_SHA256, request.credentials.secret.as_bytes());
    let tag = hmac::sign(&key, format!("ACS3-HMAC-SHA256\n{hashed}").as_bytes());
    if hexadecimal(tag.as_ref()) != signature {
        return Err((400, "SignatureDoesNotMatch", "Specified signature does not match our calculation."));
    }
    let date: Timestamp = request.header("x-acs-date").parse().map_err(|_| INCOMPLETE)?;
    if date.duration_since(SystemClock.now()).as_secs().abs() > FRESH {
        return Err((400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."));
    }
    let nonce = request.header("x-acs-signature-nonce").to_owned();
    if nonce.is_empty() || nonces.contains(&nonce) {
        return Err((400, "SignatureNonceUsed", "Specified signature nonce was used already."));
    }
    nonces.push(nonce);
    Ok(())
}

fn paged(outer: &str, inner: &str, list: Vec<Value>, request: &Incoming<'_>, most: usize) -> Outcome {
    let (page, size) = (request.number("PageNumber", 1, usize::MAX), request.number("PageSize", 20, most));
    let total = list.len();
    let shown: Vec<Value> = list.into_iter().skip((page - 1) * size).take(size).collect();
    let body = json!({
        "RequestId": "1", "TotalCount": total, "PageNumber": page, "PageSize": size, outer: { inner: shown },
    });
    Outcome::json(200, body)
}

fn relative(name: &str, domain: &str) -> String {
    match name.strip_suffix(domain).map(|rest| rest.trim_end_matches('.')) {
        Some("") | None => "@".to_owned(),
        Some(rest) => rest.to_owned(),
    }
}

fn failure(status: u16, code: &str, message: &str) -> Outcome {
    Outcome::json(status, error(code, message))
}

fn error(code: &str, message: &str) -> Value {
    json!({ "RequestId": "1", "HostId": "alidns.aliyuncs.com", "Code": code, "Message": message })
}

/// Percent-encoding of RFC 3986, made from the form encoding, which differs in three characters.
fn encoded(text: &str) -> String {
    let form: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    form.replace('+', "%20").replace('*', "%2A").replace("%7E", "~")
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
