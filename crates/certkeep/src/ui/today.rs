//! *Today*: what needs a human, and what the next weeks bring.
use askama::Template;
use axum::response::Response;
use certkeep_core::certificate::Kind;
use certkeep_core::outline::{Calendar, Census, Concern, Found, Outline, Search};
use jiff::Timestamp;

use super::failure;
use super::frame::{Frame, shown};
use super::stop::Stop;
use super::texts::Texts;
use super::timeline::{self, DAYS};
use super::visit::Visit;
use super::when;

/// So many sentences are told; the list has the others.
const SENTENCES: u32 = 12;
/// So many certificates have a line of their own in the time line; more are counted by day.
const LINES: u32 = 24;

#[derive(Template)]
#[template(path = "today.html")]
struct Today<'a> {
    f: Frame<'a>,
    sentences: Vec<Sentence>,
    more: u64,
    census: Census,
    /// What is next, where nothing needs a human.
    next: Option<String>,
    chart: String,
    is_empty: bool,
}

/// What needs a human, and where it is done.
struct Sentence {
    tone: &'static str,
    word: String,
    text: String,
    turn: String,
    todo: String,
    href: String,
}

pub(super) async fn show(visit: &Visit<'_>) -> Result<Response, Stop> {
    let (texts, now, engine) = (visit.texts, visit.now(), visit.engine());
    let (concerns, census) = futures::join!(engine.concerns(SENTENCES), engine.census());
    let (concerns, census): (Found, Census) = (concerns?, census?);
    let soonest = engine.search(&Search { kind: Some(Kind::Server), ..Search::everything(LINES) }).await?;
    let (chart, first) = if soonest.total <= u64::from(LINES) {
        (timeline::lines(texts, &soonest.rows, now), first_of(&soonest.rows))
    } else {
        let calendar: Calendar = engine.calendar(DAYS).await?;
        (timeline::days(texts, &calendar, now), first_of(&soonest.rows))
    };
    let next =
        first.map(|(name, at)| texts.fill("today.next", &[("name", name), ("when", &when::distance(texts, at.max(now), now))]));
    let sentences: Vec<Sentence> = concerns.rows.iter().filter_map(|row| sentence(texts, row, now)).collect();
    let more = concerns.total.saturating_sub(sentences.len() as u64);
    let f = visit.frame(texts.t("nav.today"), "today");
    let is_empty = census.server == 0;
    shown(&Today { f, sentences, more, census, next, chart, is_empty })
}

/// The first issuance that is planned.
fn first_of(rows: &[Outline]) -> Option<(&str, Timestamp)> {
    rows.iter().filter_map(|row| Some((row.issue_to.as_str(), row.next_issuance?))).min_by_key(|(_, at)| *at)
}

fn sentence(texts: &Texts, row: &Outline, now: Timestamp) -> Option<Sentence> {
    let concern = row.concern(now)?;
    let name = ("name", row.issue_to.as_str());
    let end = row.validity.map(|validity| validity.not_after);
    let (end_day, end_distance) = (end.map(when::day).unwrap_or_default(), end.map(|end| when::distance(texts, end, now)));
    let ends = [name, ("day", end_day.as_str()), ("when", end_distance.as_deref().unwrap_or_default())];
    let known = row.failure.map(|code| failure::known(texts, code));
    let (tone, key) = match concern {
        Concern::Expired => ("bad", "expired"),
        Concern::EndsFirst => ("bad", "ends_first"),
        Concern::FailedForGood => ("bad", "failed"),
        Concern::FailsUntilChanged => ("warn", "fails"),
    };
    let text = match (concern, &known) {
        (Concern::Expired | Concern::EndsFirst, _) => texts.fill(&format!("today.{key}"), &ends),
        (_, Some(known)) => texts.fill("today.failed", &[name, ("what", &known.what)]),
        (_, None) => texts.fill("today.failed", &[name, ("what", texts.t("today.unknown"))]),
    };
    let todo = match (&known, row.next_issuance) {
        (Some(known), _) => known.next.clone(),
        (None, Some(next)) => texts.fill("today.tried", &[("when", &when::distance(texts, next.max(now), now))]),
        (None, None) if row.dns_provider.is_some() => texts.t("today.renew").to_owned(),
        (None, None) => texts.t("today.replace").to_owned(),
    };
    let turn = known.map(|known| known.turn).unwrap_or_else(|| texts.t("turn.user").to_owned());
    Some(Sentence {
        tone,
        word: texts.t(&format!("concern.{key}")).to_owned(),
        text,
        turn,
        todo,
        href: format!("/ui/certificates/{}", row.id.0),
    })
}
