//! DigitalOcean's API, version 2.
//!
//! Source: the vendor's API reference, "Domains" and "Domain Records", read 2026-11-24. Records are made with a name
//! relative to the domain and found by their full name; the same value may be there twice; the TTL is 30 and more.
use axum::http::Method;
use serde_json::{Value, json};

use super::account::{Account, Record};
use super::server::{Incoming, Outcome};

pub(super) fn answer(account: &mut Account, request: &Incoming<'_>) -> Outcome {
    if request.header("authorization") != format!("Bearer {}", request.credentials.secret) {
        return Outcome::json(401, json!({ "id": "unauthorized", "message": "Unable to authenticate you" }));
    }
    match (request.method, request.path().as_slice()) {
        (&Method::GET, ["v2", "domains"]) => {
            let list = account.zones().iter().map(|zone| json!({ "name": zone, "ttl": 1800, "zone_file": "" })).collect();
            paged("domains", list, request)
        }
        (_, ["v2", "domains", zone, ..]) if !account.has(zone) => not_found(),
        (&Method::GET, ["v2", "domains", zone, "records"]) => {
            let wanted = |key: &str, value: &str| request.query(key).is_none_or(|want| want == value);
            let list = account
                .of_zone(zone)
                .into_iter()
                .filter(|(_, record)| wanted("name", &record.name) && wanted("type", &record.rtype))
                .map(|(id, record)| shown(id, &record, zone))
                .collect();
            paged("domain_records", list, request)
        }
        (&Method::POST, ["v2", "domains", zone, "records"]) => create(account, zone, &request.json()),
        (&Method::DELETE, ["v2", "domains", _, "records", id]) => {
            if id.parse().is_ok_and(|id| account.delete(id)) {
                Outcome::empty(204)
            } else {
                not_found()
            }
        }
        _ => Outcome::stranger(json!({ "id": "not_found", "message": "no such route" })),
    }
}

pub(super) fn throttled() -> Value {
    json!({ "id": "too_many_requests", "message": "API Rate limit exceeded." })
}

fn create(account: &mut Account, zone: &str, body: &Value) -> Outcome {
    let refused = |message: &str| Outcome::json(422, json!({ "id": "unprocessable_entity", "message": message }));
    let (Some(rtype), Some(name), Some(data)) = (body["type"].as_str(), body["name"].as_str(), body["data"].as_str()) else {
        return refused("Name and Data are required");
    };
    let ttl = match &body["ttl"] {
        Value::Null => 1800,
        ttl => match ttl.as_u64() {
            Some(ttl @ 30..) => ttl,
            _ => return refused("TTL must be greater than or equal to 30"),
        },
    };
    let name = if name == "@" { zone.to_owned() } else { format!("{name}.{zone}") };
    let id = account.add(zone, &name, rtype, data, ttl);
    let record = account.of_zone(zone).into_iter().find(|(number, _)| *number == id);
    let shown = record.map(|(id, record)| shown(id, &record, zone));
    Outcome::json(201, json!({ "domain_record": shown }))
}

fn shown(id: u64, record: &Record, zone: &str) -> Value {
    let name = record.name.strip_suffix(zone).map_or(record.name.as_str(), |rest| rest.trim_end_matches('.'));
    let name = if name.is_empty() { "@" } else { name };
    json!({ "id": id, "type": record.rtype, "name": name, "data": record.value, "ttl": record.ttl, "priority": null })
}

fn paged(key: &str, list: Vec<Value>, request: &Incoming<'_>) -> Outcome {
    let (page, per_page) = (request.number("page", 1, usize::MAX), request.number("per_page", 20, 200));
    let total = list.len();
    let shown: Vec<Value> = list.into_iter().skip((page - 1) * per_page).take(per_page).collect();
    let links = if page * per_page < total {
        json!({ "pages": { "next": format!("https://api.digitalocean.com{}?page={}", request.uri.path(), page + 1) } })
    } else {
        json!({})
    };
    Outcome::json(200, json!({ key: shown, "links": links, "meta": { "total": total } }))
}

fn not_found() -> Outcome {
    Outcome::json(404, json!({ "id": "not_found", "message": "The resource you were accessing could not be found." }))
}
