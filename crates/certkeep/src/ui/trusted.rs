//! *Trusted CAs*: whose certificates are believed.
use askama::Template;
use axum::response::Response;
use certkeep_core::certificate::{Kind, SortBy};
use certkeep_core::outline::Search;

use super::certificates::{Pages, ROWS, Row, pages};
use super::frame::{Frame, shown};
use super::stop::Stop;
use super::visit::Visit;

#[derive(Template)]
#[template(path = "trusted.html")]
struct Trusted<'a> {
    f: Frame<'a>,
    rows: Vec<Row>,
    pages: Pages,
}

pub(super) async fn show(visit: &Visit<'_>) -> Result<Response, Stop> {
    let (texts, now) = (visit.texts, visit.now());
    let page = visit.query().text("page").parse().unwrap_or(1).clamp(1, 1_000_000);
    let search = Search { kind: Some(Kind::Trusted), sort_by: SortBy::IssueTo, page, ..Search::everything(ROWS) };
    let found = visit.engine().search(&search).await?;
    let rows = found.rows.iter().map(|outline| Row::of(texts, outline, now)).collect();
    let pages = pages(texts, found.total, page, |page| format!("/ui/trusted?page={page}"));
    let f = visit.frame(texts.t("nav.trusted"), "trusted");
    shown(&Trusted { f, rows, pages })
}
