//! The neighbours of the certificate API that its clients need (contract §5).
use certkeep_engine::acting::Acting;
use serde::Serialize;

use super::fields::Fields;
use super::query::Query;
use super::view::WireTime;
use crate::http::Api;
use crate::http::envelope::{self, Refused};

pub(crate) fn https_certificate(api: &Api) -> Vec<u8> {
    #[derive(Serialize)]
    struct Answer {
        https_cert: String,
    }
    envelope::success_with(&Answer { https_cert: api.engine.https_certificate() }, 128)
}

pub(crate) async fn serve_https_with(acting: &Acting, mut fields: Fields) -> Result<Vec<u8>, Refused> {
    let name = fields.text("https_cert");
    let name = fields.required("https_cert", name);
    acting.serve_https_with(&fields.finish(name)?).await?;
    Ok(envelope::success())
}

pub(crate) async fn menu_options(api: &Api, query: Query<'_>) -> Result<Vec<u8>, Refused> {
    #[derive(Serialize)]
    struct Answer<'a> {
        data: Vec<MenuOption<'a>>,
    }
    #[derive(Serialize)]
    struct MenuOption<'a> {
        text: &'a str,
        value: &'a str,
    }
    match query.value("menu")?.as_deref() {
        None => return Err(Refused::parameter("menu", "required")),
        Some("certificate") => {}
        Some(_) => return Err(Refused::parameter("menu", "oneof")),
    }
    let names = api.engine.https_choices().await?;
    let data = names.iter().map(|name| MenuOption { text: name, value: name }).collect();
    Ok(envelope::success_with(&Answer { data }, 64 * (names.len() + 1)))
}

/// Stock clients probe with this call; `up_time` and `timestamp` are seconds, as integers.
pub(crate) fn information(api: &Api) -> Vec<u8> {
    #[derive(Serialize)]
    struct Answer<'a> {
        data: Information<'a>,
    }
    #[derive(Serialize)]
    struct Information<'a> {
        device_name: &'a str,
        model_name: &'a str,
        sn: &'a str,
        firmware_version: &'a str,
        system_time: WireTime,
        up_time: i64,
        system_date_format: &'static str,
        system_time_format: &'static str,
        timestamp: i64,
    }
    let (now, device) = (api.clock.now(), &api.device);
    let data = Information {
        device_name: &device.device_name,
        model_name: &device.model_name,
        sn: &device.sn,
        firmware_version: &device.firmware_version,
        system_time: WireTime(now),
        up_time: now.duration_since(api.started).as_secs().max(0),
        system_date_format: "YYYY/MM/DD",
        system_time_format: "hh:mm:ss",
        timestamp: now.as_second(),
    };
    envelope::success_with(&Answer { data }, 512)
}
