//! The part of the PowerDNS HTTP API (version 1) that DNS-01 clients drive.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use hickory_proto::rr::Name;
use serde::Deserialize;
use serde_json::{Value, json};

use super::zone::{Content, RecordError, Records, Zone, parse_name};
use crate::faults::{Fault, Faults};
use crate::hang_up::hang_up;

/// What the handlers share.
struct Api {
    records: Arc<Records>,
    faults: Arc<Faults>,
    key: String,
}

/// The routes, behind the key and the faults.
pub(crate) fn router(records: Arc<Records>, faults: Arc<Faults>, key: String) -> Router {
    let api = Arc::new(Api { records, faults, key });
    Router::new()
        .route("/api", get(versions))
        .route("/api/v1/servers", get(servers))
        .route("/api/v1/servers/localhost", get(server))
        .route("/api/v1/servers/localhost/zones", get(zones))
        .route("/api/v1/servers/localhost/zones/{id}", get(zone).patch(patch))
        .route("/api/v1/servers/localhost/zones/{id}/notify", put(notify))
        .fallback(|| async { Refusal::NotFound("Not Found".to_owned()) })
        .layer(middleware::from_fn_with_state(Arc::clone(&api), gate))
        .with_state(api)
}

async fn gate(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    if api.faults.fires(Fault::ApiError) {
        return (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").into_response();
    }
    if api.faults.fires(Fault::ApiHtml) {
        return Html("<!DOCTYPE html><title>Welcome</title><h1>It works!</h1>").into_response();
    }
    if api.faults.fires(Fault::ApiRequestLost) {
        return hang_up();
    }
    let answer_lost = api.faults.fires(Fault::ApiAnswerLost);
    let given = request.headers().get("x-api-key").map(HeaderValue::as_bytes);
    if given != Some(api.key.as_bytes()) {
        let challenge = (header::WWW_AUTHENTICATE, "X-API-Key realm=\"PowerDNS\"");
        return (StatusCode::UNAUTHORIZED, [challenge], "Unauthorized").into_response();
    }
    let response = next.run(request).await;
    if answer_lost { hang_up() } else { response }
}

/// A refusal in PowerDNS's form.
enum Refusal {
    NotFound(String),
    Unprocessable(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Refusal::NotFound(error) => (StatusCode::NOT_FOUND, error),
            Refusal::Unprocessable(error) => (StatusCode::UNPROCESSABLE_ENTITY, error),
        };
        (status, Json(json!({ "error": error }))).into_response()
    }
}

impl From<RecordError> for Refusal {
    fn from(error: RecordError) -> Self {
        Refusal::Unprocessable(error.to_string())
    }
}

async fn versions() -> Json<Value> {
    Json(json!([{ "version": 1, "url": "/api/v1" }]))
}

fn describe_server() -> Value {
    json!({
        "type": "Server",
        "id": "localhost",
        "daemon_type": "authoritative",
        "version": "certkeep-sandbox",
        "url": "/api/v1/servers/localhost",
        "zones_url": "/api/v1/servers/localhost/zones{/zone}",
    })
}

async fn server() -> Json<Value> {
    Json(describe_server())
}

async fn servers() -> Json<Value> {
    Json(json!([describe_server()]))
}

#[derive(Deserialize)]
struct ZonesQuery {
    zone: Option<String>,
}

async fn zones(State(api): State<Arc<Api>>, Query(query): Query<ZonesQuery>) -> Json<Value> {
    let wanted = query.zone.map(|zone| parse_name(&zone));
    let all = api.records.origins();
    let origins = all.iter().filter(|origin| match &wanted {
        None => true,
        Some(Ok(wanted)) => wanted == *origin,
        Some(Err(_)) => false,
    });
    let zones = origins.filter_map(|origin| {
        let zone = api.records.zone(origin)?;
        Some(describe_zone(origin, &zone))
    });
    Json(Value::Array(zones.collect()))
}

fn describe_zone(origin: &Name, zone: &Zone) -> Value {
    let name = origin.to_ascii();
    json!({
        "id": name,
        "name": name,
        "type": "Zone",
        "kind": "Native",
        "url": format!("/api/v1/servers/localhost/zones/{name}"),
        "account": "",
        "dnssec": false,
        "serial": zone.serial(),
        "edited_serial": zone.serial(),
        "masters": [],
    })
}

#[derive(Deserialize)]
struct ZoneQuery {
    #[serde(default = "yes")]
    rrsets: bool,
    rrset_name: Option<String>,
    rrset_type: Option<String>,
}

fn yes() -> bool {
    true
}

async fn zone(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(query): Query<ZoneQuery>,
) -> Result<Json<Value>, Refusal> {
    let (origin, zone) = api.find(&id)?;
    let mut described = describe_zone(&origin, &zone);
    if !query.rrsets {
        return Ok(Json(described));
    }
    let name = query.rrset_name.as_deref().map(parse_name).transpose()?;
    let sets = zone.contents().filter(|(owner, set)| {
        name.as_ref().is_none_or(|name| name == *owner)
            && query.rrset_type.as_ref().is_none_or(|kind| *kind == set.kind.to_string())
    });
    let sets: Vec<Value> = sets
        .map(|(owner, set)| {
            let records: Vec<Value> = set.present().map(|content| json!({ "content": content, "disabled": false })).collect();
            json!({
                "name": owner.to_ascii(),
                "type": set.kind.to_string(),
                "ttl": set.ttl,
                "records": records,
                "comments": [],
            })
        })
        .collect();
    if let Some(object) = described.as_object_mut() {
        object.insert("rrsets".to_owned(), Value::Array(sets));
    }
    Ok(Json(described))
}

#[derive(Deserialize)]
struct Patch {
    rrsets: Vec<RrSet>,
}

#[derive(Deserialize)]
struct RrSet {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    changetype: ChangeType,
    ttl: Option<u32>,
    #[serde(default)]
    records: Vec<RecordItem>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum ChangeType {
    Delete,
    Replace,
}

#[derive(Deserialize)]
struct RecordItem {
    content: String,
    #[serde(default)]
    disabled: bool,
}

async fn patch(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> Result<StatusCode, Refusal> {
    let (origin, _) = api.find(&id)?;
    let patch: Patch =
        serde_json::from_slice(&body).map_err(|error| Refusal::Unprocessable(format!("not a change of a zone: {error}")))?;
    let changes = patch.rrsets.iter().map(RrSet::parse).collect::<Result<Vec<_>, _>>()?;
    api.records.change(&origin, |zone| changes.into_iter().try_for_each(|(owner, content)| zone.replace(&owner, content)))?;
    Ok(StatusCode::NO_CONTENT)
}

impl RrSet {
    /// The owner and what it shall hold; nothing, when the set is to go.
    fn parse(&self) -> Result<(Name, Content), Refusal> {
        if !self.name.ends_with('.') {
            let error = format!("Name '{}' is not canonical", self.name);
            return Err(Refusal::Unprocessable(error));
        }
        let owner = parse_name(&self.name)?;
        let replaces = self.changetype == ChangeType::Replace;
        let ttl = match self.ttl {
            Some(ttl) => ttl,
            None if replaces => {
                return Err(Refusal::Unprocessable("Key 'ttl' not an Integer".to_owned()));
            }
            None => 0,
        };
        let kept = self.records.iter().filter(|item| replaces && !item.disabled);
        let contents: Vec<&str> = kept.map(|item| item.content.as_str()).collect();
        Ok((owner.clone(), Content::parse(&owner, &self.kind, ttl, &contents)?))
    }
}

async fn notify(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    api.find(&id)?;
    Ok(Json(json!({ "result": "Notification queued" })))
}

impl Api {
    fn find(&self, id: &str) -> Result<(Name, Zone), Refusal> {
        let unknown = || Refusal::NotFound(format!("Could not find domain '{id}'"));
        let origin = parse_name(id).map_err(|_| unknown())?;
        let zone = self.records.zone(&origin).ok_or_else(unknown)?;
        Ok((origin, zone))
    }
}
