//! *Audit*: who did what, the latest first.
use askama::Template;
use axum::response::Response;
use certkeep_core::audit::Entry;
use certkeep_core::people::Act;
use certkeep_core::ports::AuditRange;

use super::frame::{Frame, shown};
use super::stop::Stop;
use super::visit::Visit;
use super::when;

/// Entries of a page.
const ROWS: u32 = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct Page<'a> {
    f: Frame<'a>,
    rows: Vec<Row>,
    older: Option<String>,
}

struct Row {
    sequence: i64,
    at: String,
    who: String,
    kind: String,
    address: String,
    action: String,
    subject: String,
    tone: &'static str,
    outcome: String,
    detail: String,
}

pub(super) async fn show(visit: &Visit<'_>) -> Result<Response, Stop> {
    visit.needs(Act::ReadAudit)?;
    let texts = visit.texts;
    let before = visit.query().text("before").parse().unwrap_or(i64::MAX);
    let entries = visit.engine().audit(AuditRange::Before(before), ROWS).await?;
    let is_full = entries.len() == ROWS as usize;
    let older = entries.last().filter(|last| is_full && last.sequence > 1);
    let older = older.map(|last| format!("/ui/audit?before={}", last.sequence));
    let row = |entry: Entry| {
        let tone = match entry.outcome.as_str() {
            "done" => "ok",
            "refused" => "warn",
            _ => "bad",
        };
        let outcome = texts.find(&format!("outcome.{}", entry.outcome)).unwrap_or(&entry.outcome).to_owned();
        let kind = texts.find(&format!("actor.{}", entry.actor_kind)).unwrap_or(&entry.actor_kind).to_owned();
        Row {
            sequence: entry.sequence,
            at: when::minute(entry.at),
            who: entry.actor,
            kind,
            address: entry.address,
            action: entry.action,
            subject: entry.subject,
            tone,
            outcome,
            detail: entry.detail,
        }
    };
    let rows = entries.into_iter().map(row).collect();
    shown(&Page { f: visit.frame(texts.t("nav.audit"), "audit"), rows, older })
}
