//! *Certificates*: the list, with search, filter, sort and paging.
use askama::Template;
use axum::response::Response;
use certkeep_core::certificate::{ApplyStatus, Kind, SortBy};
use certkeep_core::outline::{Concern, Outline, Search, State};
use jiff::{SignedDuration, Timestamp};

use super::form::Form;
use super::frame::{Frame, shown};
use super::stop::Stop;
use super::texts::Texts;
use super::visit::Visit;
use super::when;

/// Rows of a page.
pub(super) const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "certificates.html")]
struct List<'a> {
    f: Frame<'a>,
    text: String,
    ends: String,
    states: Vec<Choice>,
    columns: Vec<Column>,
    rows: Vec<Row>,
    total: String,
    pages: Pages,
}

/// A choice of the filter.
struct Choice {
    word: &'static str,
    label: String,
    chosen: bool,
}

/// A column that can be sorted by.
struct Column {
    label: String,
    href: String,
    /// `ascending`, `descending` or `none`.
    sorted: &'static str,
}

/// Where the pages before and behind are.
pub(super) struct Pages {
    pub(super) before: Option<String>,
    pub(super) behind: Option<String>,
    pub(super) words: String,
}

/// A certificate in a list.
pub(super) struct Row {
    pub(super) href: String,
    pub(super) name: String,
    pub(super) issue_to: String,
    pub(super) tone: &'static str,
    pub(super) state: String,
    pub(super) ends: String,
    pub(super) ends_in: String,
    pub(super) next: String,
}

impl Row {
    pub(super) fn of(texts: &Texts, outline: &Outline, now: Timestamp) -> Row {
        let (tone, state) = state(texts, outline, now);
        let end = outline.validity.map(|validity| validity.not_after);
        let next = match outline.next_issuance {
            Some(next) => when::distance(texts, next.max(now), now),
            None => "–".to_owned(),
        };
        Row {
            href: format!("/ui/certificates/{}", outline.id.0),
            name: outline.name.clone(),
            issue_to: outline.issue_to.clone(),
            tone,
            state,
            ends: end.map_or_else(|| "–".to_owned(), when::day),
            ends_in: end.map(|end| when::distance(texts, end, now)).unwrap_or_default(),
            next,
        }
    }
}

/// A colour and a word for how an entry is.
pub(super) fn state(texts: &Texts, outline: &Outline, now: Timestamp) -> (&'static str, String) {
    let (tone, key) = match (outline.concern(now), outline.status) {
        (Some(Concern::Expired), _) => ("bad", "concern.expired"),
        (Some(Concern::EndsFirst), _) => ("bad", "concern.ends_first"),
        (Some(Concern::FailedForGood), _) => ("bad", "concern.failed"),
        (Some(Concern::FailsUntilChanged), _) => ("warn", "concern.fails"),
        (None, Some(ApplyStatus::IssuanceFail)) => ("warn", "state.failing"),
        (None, Some(ApplyStatus::Issuing)) => ("info", "state.issuing"),
        (None, _) => ("ok", "state.valid"),
    };
    (tone, texts.t(key).to_owned())
}

/// What a query asks for.
pub(super) fn search(query: &Form) -> Search {
    let sort_by = match query.text("sort") {
        "name" => SortBy::Name,
        "issue_to" => SortBy::IssueTo,
        "id" => SortBy::Id,
        _ => SortBy::Expiration,
    };
    let ends = query.filled("ends").and_then(|day| format!("{day}T00:00:00Z").parse::<Timestamp>().ok());
    Search {
        text: query.filled("q").map(|text| text.chars().take(200).collect()),
        state: State::from_word(query.text("state")),
        kind: Some(Kind::Server),
        ends: ends.and_then(|from| Some((from, from.checked_add(SignedDuration::from_hours(24)).ok()?))),
        sort_by,
        descending: query.text("order") == "down",
        page: query.text("page").parse().unwrap_or(1).clamp(1, 1_000_000),
        page_size: ROWS,
    }
}

/// The address of the same list with some fields changed; empty ones are left out.
fn address(query: &Form, changes: &[(&str, &str)]) -> String {
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    for name in ["q", "state", "ends", "sort", "order", "page"] {
        let changed = changes.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let value = changed.unwrap_or_else(|| query.text(name));
        if !value.is_empty() {
            out.append_pair(name, value);
        }
    }
    let query = out.finish();
    if query.is_empty() { "/ui/certificates".to_owned() } else { format!("/ui/certificates?{query}") }
}

/// Where the neighbours of a page are.
pub(super) fn pages(texts: &Texts, total: u64, page: u32, address: impl Fn(&str) -> String) -> Pages {
    let last = u32::try_from(total.div_ceil(u64::from(ROWS))).unwrap_or(u32::MAX).max(1);
    let to = |page: u32| address(&page.to_string());
    Pages {
        before: (page > 1).then(|| to(page.min(last.saturating_add(1)) - 1)),
        behind: (page < last).then(|| to(page + 1)),
        words: texts.fill("list.page", &[("page", &page.to_string()), ("last", &last.to_string())]),
    }
}

pub(super) async fn show(visit: &Visit<'_>) -> Result<Response, Stop> {
    let (texts, now, query) = (visit.texts, visit.now(), visit.query());
    let search = search(&query);
    let found = visit.engine().search(&search).await?;
    let column = |label: &str, word: &str, by: SortBy| {
        let is_this = search.sort_by == by;
        let down = is_this && !search.descending;
        Column {
            label: texts.t(label).to_owned(),
            href: address(&query, &[("sort", word), ("order", if down { "down" } else { "" }), ("page", "")]),
            sorted: match (is_this, search.descending) {
                (true, false) => "ascending",
                (true, true) => "descending",
                (false, _) => "none",
            },
        }
    };
    let columns = vec![
        column("list.name", "name", SortBy::Name),
        column("list.issue_to", "issue_to", SortBy::IssueTo),
        column("list.ends", "ends", SortBy::Expiration),
    ];
    let choice = |word: &'static str, chosen| Choice { word, label: texts.t(&format!("filter.{word}")).to_owned(), chosen };
    let all = Choice { word: "", label: texts.t("filter.all").to_owned(), chosen: search.state.is_none() };
    let states = State::ALL.into_iter().map(|state| choice(state.as_str(), search.state == Some(state)));
    let states = std::iter::once(all).chain(states).collect();
    let rows = found.rows.iter().map(|outline| Row::of(texts, outline, now)).collect();
    let pages = pages(texts, found.total, search.page, |page| address(&query, &[("page", page)]));
    let f = visit.frame(texts.t("nav.certificates"), "certificates");
    let total = texts.count("list.total", found.total);
    let ends = search.ends.map(|(from, _)| when::day(from)).unwrap_or_default();
    let text = search.text.unwrap_or_default();
    shown(&List { f, text, ends, states, columns, rows, total, pages })
}
