//! *CAs and limits*: where certificates come from, and what is left of what each CA allows.
use askama::Template;
use axum::response::Response;
use certkeep_core::authority::{Authority, limits_at};
use certkeep_core::fallback::host;
use certkeep_core::ledger::{Counted, Limit, Spending};
use certkeep_core::material::KeyType;
use certkeep_engine::Choice;
use jiff::Timestamp;

use super::frame::{Frame, shown};
use super::stop::Stop;
use super::texts::Texts;
use super::visit::Visit;
use super::when;

/// Most rows that are shown of what is partly spent.
const ROWS: usize = 100;

#[derive(Template)]
#[template(path = "cas.html")]
struct Page<'a> {
    f: Frame<'a>,
    cas: Vec<Ca>,
}

struct Ca {
    place: String,
    name: String,
    directory: String,
    key_type: &'static str,
    profile: String,
    test_only: bool,
    limits: Vec<Row>,
    spent: Vec<Spent>,
    more: u64,
}

/// What the CA allows.
struct Row {
    what: String,
    capacity: u32,
    period: String,
}

/// A limit of which something is used up.
struct Spent {
    what: String,
    about: String,
    left: String,
    tone: &'static str,
    full: String,
}

pub(super) async fn show(visit: &Visit<'_>) -> Result<Response, Stop> {
    let (texts, now) = (visit.texts, visit.now());
    let mut cas = Vec::new();
    for (position, choice) in visit.engine().cas().iter().enumerate() {
        let mut spent = visit.engine().spendings(&choice.ca.directory).await?;
        spent.retain(|one| one.full_at > now);
        spent.sort_by_key(|one| std::cmp::Reverse(one.full_at));
        cas.push(ca(texts, position, choice, &spent, now));
    }
    let f = visit.frame(texts.t("nav.cas"), "cas");
    shown(&Page { f, cas })
}

fn ca(texts: &Texts, position: usize, choice: &Choice, spent: &[Spending], now: Timestamp) -> Ca {
    let directory = &choice.ca.directory;
    let known = Authority::by_directory(directory);
    let limits = limits_at(directory);
    let row = |limit: &Limit| Row {
        what: what(texts, limit.counted),
        capacity: limit.capacity,
        period: when::span(texts, limit.period.as_secs().unsigned_abs()),
    };
    Ca {
        place: if position == 0 { texts.t("cas.first").to_owned() } else { texts.t("cas.further").to_owned() },
        name: known.map_or_else(|| host(directory).to_owned(), |known| known.name.to_owned()),
        directory: directory.clone(),
        key_type: match choice.key_type {
            KeyType::P256 => "ECDSA P-256",
            KeyType::P384 => "ECDSA P-384",
            KeyType::Rsa2048 => "RSA 2048",
            KeyType::Rsa3072 => "RSA 3072",
            KeyType::Rsa4096 => "RSA 4096",
        },
        profile: choice.profile.clone().unwrap_or_else(|| texts.t("cas.any_profile").to_owned()),
        test_only: known.is_some_and(|known| known.test_only),
        limits: limits.iter().map(row).collect(),
        spent: spent.iter().take(ROWS).map(|one| self::spent(texts, limits, one, now)).collect(),
        more: spent.len().saturating_sub(ROWS) as u64,
    }
}

fn spent(texts: &Texts, limits: &[Limit], one: &Spending, now: Timestamp) -> Spent {
    let counted = one.bucket.counted;
    let limit = limits.iter().find(|limit| limit.counted == counted);
    let left = limit.map(|limit| (limit.capacity.saturating_sub(limit.taken(one.full_at, now)), limit.capacity));
    let (left, tone) = match left {
        Some((0, capacity)) => (texts.fill("cas.left", &[("n", "0"), ("of", &capacity.to_string())]), "bad"),
        Some((left, capacity)) => (texts.fill("cas.left", &[("n", &left.to_string()), ("of", &capacity.to_string())]), "ok"),
        None => (texts.t("cas.wait").to_owned(), "warn"),
    };
    let full = format!("{} ({})", when::minute(one.full_at), when::distance(texts, one.full_at, now));
    // A key of a set of names is a digest, that of a name begins with the account's address.
    let about = match counted {
        Counted::CertificatesOfSet => one.bucket.key.chars().take(12).collect(),
        _ => one.bucket.key.rsplit(' ').next().unwrap_or_default().to_owned(),
    };
    Spent { what: what(texts, counted), about, left, tone, full }
}

fn what(texts: &Texts, counted: Counted) -> String {
    texts.t(&format!("counted.{}", counted.as_str())).to_owned()
}
