//! The HTTP edge: what comes in is turned into the engine's commands, what the engine says into answers.
//!
//! - [`listener`]: HTTPS and plain listeners: limits, timeouts, live switch of the certificate.
//! - `compat`: the vendor's OpenAPI (contract §1 to §5), translation only.
//! - `envelope`: HTTP 200 and `errcode` around every answer of it.
//! - `tarpit`: what keeps a client that loops from slowing the others.
//!
//! What may not enter: a rule. Whether a call is allowed, what a value may be and what follows from it is the engine's.
//! Start reading at [`Front`], then `compat::answer`.
mod compat;
pub(crate) mod compress;
mod envelope;
pub mod listener;
mod tarpit;

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use certkeep_core::time::Clock;
use certkeep_engine::Engine;
use http::{Method, Request, StatusCode};
use jiff::Timestamp;

use crate::ui;

/// What certkeep tells of itself (contract §5, `system/information`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// A name for people.
    pub device_name: String,
    /// The product.
    pub model_name: String,
    /// The serial number.
    pub sn: String,
    /// Four dotted numbers.
    pub firmware_version: String,
}

/// What the API works with.
pub struct Api {
    /// The use cases.
    pub engine: Engine,
    /// Whether the API is switched on; every call is answered by 70123 otherwise.
    pub enabled: bool,
    /// What certkeep tells of itself.
    pub device: Device,
    /// When the service was started.
    pub started: Timestamp,
    /// Time.
    pub clock: Arc<dyn Clock>,
    pub(crate) drafts: ui::Drafts,
    tarpit: tarpit::Tarpit,
}

impl Api {
    /// An API on this engine, started now and switched on.
    pub fn new(engine: Engine, device: Device, clock: Arc<dyn Clock>) -> Api {
        let started = clock.now();
        Api { engine, enabled: true, device, started, clock, drafts: ui::Drafts::default(), tarpit: tarpit::Tarpit::default() }
    }
}

/// Everything that is served, at both listeners.
///
/// No router stands before the API: it answers every path and method below its prefix itself, and its hot path does no
/// work that it need not.
#[derive(Clone)]
pub struct Front {
    api: Arc<Api>,
    /// Whether what comes in came over HTTPS.
    secure: bool,
}

impl Front {
    /// What serves this API over HTTPS.
    pub fn new(api: Api) -> Front {
        Front { api: Arc::new(api), secure: true }
    }

    /// The same over plain HTTP, where browsers take other cookies.
    #[must_use]
    pub fn plain(&self) -> Front {
        Front { api: Arc::clone(&self.api), secure: false }
    }

    /// Answers a request that came from this address.
    pub async fn answer(&self, caller: IpAddr, request: Request<Body>) -> Response {
        let path = request.uri().path();
        if compat::is_ours(path) {
            return compat::answer(&self.api, caller, request).await;
        }
        if ui::is_ours(path) {
            // Boxed, so that the future of the hot path stays small.
            return Box::pin(ui::answer(&self.api, caller, self.secure, request)).await;
        }
        match (path, request.method()) {
            ("/healthz", &Method::GET | &Method::HEAD) => "ok".into_response(),
            _ => (StatusCode::NOT_FOUND, "not found\n").into_response(),
        }
    }
}
