//! Cloudflare's API, version 4.
//!
//! Source: the vendor's API reference, "Zones → List Zones" and "DNS → Records" (list, create, delete), and its page on
//! rate limits, read 2026-11-24. A TXT record's content is stored in quotes; a name without the zone is completed.
use axum::http::Method;
use serde_json::{Value, json};

use super::account::{Account, Record};
use super::server::{Incoming, Outcome};

pub(super) fn answer(account: &mut Account, request: &Incoming<'_>) -> Outcome {
    let credentials = request.credentials;
    let by_token = request.header("authorization") == format!("Bearer {}", credentials.secret);
    let by_key = request.header("x-auth-email") == credentials.id && request.header("x-auth-key") == credentials.secret;
    if !by_token && !by_key {
        return failure(403, 9109, "Invalid access token");
    }
    match (request.method, request.path().as_slice()) {
        (&Method::GET, ["client", "v4", "zones"]) => zones(account, request),
        (&Method::GET, ["client", "v4", "zones", zone, "dns_records"]) => match named(account, zone) {
            Some(zone) => records(account, &zone, request),
            None => no_route(),
        },
        (&Method::POST, ["client", "v4", "zones", zone, "dns_records"]) => match named(account, zone) {
            Some(zone) => create(account, &zone, &request.json()),
            None => no_route(),
        },
        (&Method::DELETE, ["client", "v4", "zones", zone, "dns_records", id]) => {
            let id = u64::from_str_radix(id, 16).unwrap_or_default();
            match named(account, zone) {
                Some(_) if account.delete(id) => success(json!({ "id": hex(id) }), None),
                Some(_) => failure(404, 81044, "Record does not exist."),
                None => no_route(),
            }
        }
        _ => Outcome::stranger(body(Value::Null, &[(7000, "No route for that URI")], None)),
    }
}

pub(super) fn throttled() -> Value {
    body(Value::Null, &[(971, "Please wait and consider throttling your request speed")], None)
}

fn zones(account: &Account, request: &Incoming<'_>) -> Outcome {
    let name = request.query("name");
    let zones: Vec<String> = account.zones().into_iter().filter(|z| name.as_ref().is_none_or(|name| name == z)).collect();
    let list: Vec<Value> = zones
        .iter()
        .map(|zone| json!({ "id": zone_id(account, zone), "name": zone, "status": "active", "type": "full" }))
        .collect();
    paged(list, request, 20, 50)
}

fn records(account: &Account, zone: &str, request: &Incoming<'_>) -> Outcome {
    let wanted = |key: &str, value: &str| request.query(key).is_none_or(|want| want.eq_ignore_ascii_case(value));
    let list = account
        .of_zone(zone)
        .into_iter()
        .filter(|(_, record)| wanted("name", &record.name) && wanted("type", &record.rtype))
        .map(|(id, record)| shown(id, &record))
        .collect();
    paged(list, request, 100, 50_000)
}

fn create(account: &mut Account, zone: &str, body: &Value) -> Outcome {
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    let (rtype, content) = (text("type"), text("content"));
    let mut name = text("name").trim_end_matches('.').to_ascii_lowercase();
    if name.is_empty() || rtype.is_empty() || content.is_empty() {
        return failure(400, 9005, "Content for the record must not be empty");
    }
    let Some(ttl @ (1 | 60..=86400)) = body["ttl"].as_u64() else {
        return failure(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.");
    };
    if name != zone && !name.ends_with(&format!(".{zone}")) {
        name = format!("{name}.{zone}");
    }
    let content = content.strip_prefix('"').and_then(|c| c.strip_suffix('"')).unwrap_or(content);
    let same = |r: &Record| r.name == name && r.rtype == rtype && r.value == content;
    if account.of_zone(zone).iter().any(|(_, record)| same(record)) {
        return failure(400, 81058, "An identical record already exists.");
    }
    let id = account.add(zone, &name, rtype, content, ttl);
    let record = account.of_zone(zone).into_iter().find(|(number, _)| *number == id);
    success(record.map_or(Value::Null, |(id, record)| shown(id, &record)), None)
}

fn shown(id: u64, record: &Record) -> Value {
    let content = if record.rtype == "TXT" { format!("\"{}\"", record.value) } else { record.value.clone() };
    json!({ "id": hex(id), "name": record.name, "type": record.rtype, "content": content, "ttl": record.ttl, "proxied": false })
}

fn paged(list: Vec<Value>, request: &Incoming<'_>, default: usize, most: usize) -> Outcome {
    let (page, per_page) = (request.number("page", 1, usize::MAX), request.number("per_page", default, most));
    let total = list.len();
    let shown: Vec<Value> = list.into_iter().skip((page - 1) * per_page).take(per_page).collect();
    let info = json!({
        "page": page, "per_page": per_page, "count": shown.len(),
        "total_count": total, "total_pages": total.div_ceil(per_page),
    });
    success(shown.into(), Some(info))
}

/// The zone with this id.
fn named(account: &Account, id: &str) -> Option<String> {
    account.zones().into_iter().find(|zone| zone_id(account, zone) == id)
}

fn zone_id(account: &Account, zone: &str) -> String {
    format!("{:032x}", 0x0002_3105_f4ec_ea00_usize + account.zone_number(zone))
}

fn hex(id: u64) -> String {
    format!("{id:032x}")
}

fn success(result: Value, info: Option<Value>) -> Outcome {
    Outcome::json(200, body(result, &[], info))
}

fn failure(status: u16, code: u32, message: &str) -> Outcome {
    Outcome::json(status, body(Value::Null, &[(code, message)], None))
}

fn no_route() -> Outcome {
    failure(404, 7003, "Could not route to that zone, perhaps your object identifier is invalid?")
}

fn body(result: Value, errors: &[(u32, &str)], info: Option<Value>) -> Value {
    let errors: Vec<Value> = errors.iter().map(|(code, message)| json!({ "code": code, "message": message })).collect();
    let mut body = json!({ "success": errors.is_empty(), "errors": errors, "messages": [], "result": result });
    if let Some(info) = info {
        body["result_info"] = info;
    }
    body
}
