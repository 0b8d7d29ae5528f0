//! An HTTP endpoint as lego's `httpreq` provider calls it in its default mode.
//!
//! Source: lego's documentation of `httpreq`, read 2026-11-24: `POST /present` and `POST /cleanup` with `fqdn` (a dot at
//! its end) and `value`, Basic authentication where there is any; only the status of the answer matters.
use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::account::Account;
use super::server::{Incoming, Outcome};

pub(super) fn answer(account: &mut Account, request: &Incoming<'_>) -> Outcome {
    let credentials = request.credentials;
    let expected = format!("Basic {}", STANDARD.encode(format!("{}:{}", credentials.id, credentials.secret)));
    if verify_slices_are_equal(request.header("authorization").as_bytes(), expected.as_bytes()).is_err() {
        return Outcome::empty(401);
    }
    let body = request.json();
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    let Some(name) = text("fqdn").strip_suffix('.') else { return Outcome::json(400, json!("fqdn wants a dot at its end")) };
    let zone = account.zones().into_iter().filter(|zone| name.ends_with(&format!(".{zone}"))).max_by_key(String::len);
    match (request.method, request.path().as_slice(), zone) {
        (&Method::POST, ["present"], Some(zone)) => {
            account.delete_txt(name, text("value"));
            account.add(&zone, name, "TXT", text("value"), 60);
            Outcome::empty(200)
        }
        (&Method::POST, ["cleanup"], _) => {
            account.delete_txt(name, text("value"));
            Outcome::empty(200)
        }
        (&Method::POST, ["present"], None) => Outcome::json(400, json!("no zone of mine")),
        _ => Outcome::stranger(json!(null)),
    }
}
