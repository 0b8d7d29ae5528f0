//! Certificates (contract §4).
use std::net::IpAddr;

use axum::body::Body;
use bytes::Bytes;
use certkeep_core::certificate::{CertificateId, ListQuery, SortBy};
use certkeep_engine::acting::Acting;
use http::request::Parts;
use serde::Serialize;

use super::fields::Fields;
use super::query::Query;
use super::route::Endpoint;
use super::view::{CertificateView, Rows, status_word};
use super::{authorize, commands, upload};
use crate::http::Api;
use crate::http::envelope::{self, InvalidParam, Refused};

/// Rows a page has where the client does not say (contract §4.3).
const PAGE_SIZE: u32 = 100;
/// Most rows a page may have.
const MAX_PAGE_SIZE: u32 = 10_000;
/// About what a certificate takes in JSON, in octets.
const ROW: usize = 512;

/// `certificate/get`: the hot path, authorized here so that it is one small future; an entry that did not change is not
/// written down again.
pub(crate) async fn get(api: &Api, caller: IpAddr, parts: &Parts) -> Result<Bytes, Refused> {
    #[derive(Serialize)]
    struct Answer<'a> {
        certificate: CertificateView<'a>,
    }
    authorize(api, caller, Endpoint::CertificateGet, parts).await?;
    let entry = api.engine.certificate(id(super::query(parts))?).await?;
    let written = || envelope::success_with(&Answer { certificate: (&entry.certificate).into() }, ROW).into();
    Ok(entry.shown.get_or_init(written).clone())
}

#[derive(Serialize)]
struct List<'a> {
    total_number: u64,
    certificate_list: Rows<'a>,
}

pub(crate) async fn list(api: &Api, query: Query<'_>) -> Result<Vec<u8>, Refused> {
    let sort_by = word(query, "sort_by", |word| match word {
        "expiration" => Some(SortBy::Expiration),
        "id" => Some(SortBy::Id),
        "issue_to" => Some(SortBy::IssueTo),
        "name" => Some(SortBy::Name),
        "type" => Some(SortBy::Type),
        _ => None,
    })?;
    let descending = word(query, "order_by", |word| match word {
        "asc" => Some(false),
        "desc" => Some(true),
        _ => None,
    })?;
    let list = ListQuery {
        page: number(query, "page", u32::MAX)?.unwrap_or(1),
        page_size: number(query, "page_size", MAX_PAGE_SIZE)?.unwrap_or(PAGE_SIZE),
        sort_by: sort_by.unwrap_or_default(),
        descending: descending.unwrap_or(false),
        kind: word(query, "type", commands::kind)?,
    };
    let page = api.engine.certificate_list(&list).await?;
    let answer = List { total_number: page.total, certificate_list: Rows(&page.rows) };
    Ok(envelope::success_with(&answer, ROW * (page.rows.len() + 1)))
}

pub(crate) async fn query(api: &Api, query: Query<'_>) -> Result<Vec<u8>, Refused> {
    let ids = query.value("ids")?.ok_or_else(|| Refused::parameter("ids", "required"))?;
    let ids = ids.split(',').map(|text| parsed_id("ids", text)).collect::<Result<Vec<_>, _>>()?;
    let found = api.engine.certificates(&ids).await?;
    let total_number = u64::try_from(found.len()).unwrap_or(u64::MAX);
    Ok(envelope::success_with(&List { total_number, certificate_list: Rows(&found) }, ROW * (found.len() + 1)))
}

pub(crate) async fn upload(acting: &Acting, parts: &Parts, body: &mut Body) -> Result<Vec<u8>, Refused> {
    #[derive(Serialize)]
    struct Answer {
        file: String,
    }
    let form = upload::read(parts, body).await?;
    let file = acting.upload(form.kind, &form.file_name, form.content, form.password).await?;
    Ok(envelope::success_with(&Answer { file }, 128))
}

pub(crate) async fn create(acting: &Acting, fields: Fields) -> Result<Vec<u8>, Refused> {
    #[derive(Serialize)]
    struct Answer {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        apply_status: Option<&'static str>,
    }
    let created = acting.create(commands::create(fields)?).await?;
    let answer = Answer { name: created.name, apply_status: created.status.map(status_word) };
    Ok(envelope::success_with(&answer, 128))
}

pub(crate) async fn update(acting: &Acting, fields: Fields) -> Result<Vec<u8>, Refused> {
    let (id, update) = commands::update(fields)?;
    acting.update(id, update).await?;
    Ok(envelope::success())
}

pub(crate) async fn delete(acting: &Acting, query: Query<'_>) -> Result<Vec<u8>, Refused> {
    #[derive(Serialize)]
    struct Answer {
        reboot: u8,
        apply: u8,
    }
    acting.delete(id(query)?).await?;
    // Neither is ever needed here.
    Ok(envelope::success_with(&Answer { reboot: 0, apply: 0 }, 64))
}

fn id(query: Query<'_>) -> Result<CertificateId, Refused> {
    let text = query.value("id")?.ok_or_else(|| Refused::parameter("id", "required"))?;
    parsed_id("id", &text)
}

/// A number in decimal digits, perhaps negative. One beyond 64 bits becomes the nearest: no entry has either.
fn parsed_id(field: &str, text: &str) -> Result<CertificateId, Refused> {
    integer(text).map(CertificateId).ok_or_else(|| Refused::syntax(InvalidParam::of(field, "integer")))
}

/// An optional number from 1 to `max`.
fn number(query: Query<'_>, name: &str, max: u32) -> Result<Option<u32>, Refused> {
    let Some(text) = query.value(name)? else { return Ok(None) };
    let number = integer(&text).ok_or_else(|| Refused::syntax(InvalidParam::of(name, "integer")))?;
    if number < 1 {
        return Err(Refused::parameter(name, "min"));
    }
    match u32::try_from(number) {
        Ok(number) if number <= max => Ok(Some(number)),
        // A page past the end is empty, however far past.
        _ if max == u32::MAX => Ok(Some(max)),
        _ => Err(Refused::parameter(name, "max")),
    }
}

fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(if text.len() > digits.len() { i64::MIN } else { i64::MAX }))
}

/// An optional word out of a few.
fn word<T>(query: Query<'_>, name: &str, meaning: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Refused> {
    let Some(word) = query.value(name)? else { return Ok(None) };
    match meaning(&word) {
        Some(meant) => Ok(Some(meant)),
        None => Err(Refused::parameter(name, "oneof")),
    }
}
