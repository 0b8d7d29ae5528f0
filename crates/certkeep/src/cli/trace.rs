//! `certkeep trace`: what each step of a certificate's issuances saw. Works beside a service that runs.
use std::fmt::Write;

use certkeep_core::fallback::host;
use certkeep_core::issuance::IssuanceSummary;
use certkeep_core::ports::{Certificates, Issuances};
use clap::Args;
use serde_json::{Value, json};

use super::ending::print;
use super::visit::{runtime, with_store};
use super::{CommandError, Place};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The certificate's file name, as `certificate/list` tells it
    name: String,
    /// All issuances that are kept, not the last one alone
    #[arg(long)]
    all: bool,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, Arguments { name, all, json }: &Arguments) -> Result<(), CommandError> {
    let location = place.config()?.location(&place.data)?;
    let runtime = runtime()?;
    let mut issuances = runtime.block_on(with_store(&location, async |store| {
        let entry = store.certificate_by_name(name).await?.ok_or_else(|| CommandError::NoCertificate(name.clone()))?;
        Ok(store.issuances(entry.id).await?)
    }))?;
    if !all {
        issuances.truncate(1);
    }
    if *json {
        let objects: Vec<Value> = issuances.iter().map(object).collect();
        return print(&format!("{}\n", Value::from(objects)));
    }
    if issuances.is_empty() {
        return print("Nothing was applied for under this name yet.\n");
    }
    print(&issuances.iter().map(told).collect::<Vec<_>>().join("\n"))
}

fn object(issuance: &IssuanceSummary) -> Value {
    json!({
        "id": issuance.id.0,
        "started": issuance.started,
        "step": issuance.step.as_str(),
        "directory": issuance.directory,
        "tried": issuance.tried,
        "failure": issuance.failure,
        "events": issuance.trace.events,
        "dropped": issuance.trace.dropped,
    })
}

fn told(issuance: &IssuanceSummary) -> String {
    let at = issuance.directory.as_deref().map(|directory| format!(" at {}", host(directory))).unwrap_or_default();
    let mut text = format!("Issuance {}{at}, begun {}: {}\n", issuance.id.0, issuance.started, issuance.step.as_str());
    for event in &issuance.trace.events {
        let since = event.at.duration_since(issuance.started).as_millis();
        let outcome = if event.failure.is_some() { "failed" } else { "done" };
        let _ = writeln!(text, "  {:>9}  {} ({}): {outcome} in {} ms", clock(since), event.act, event.subject, event.ms);
        for fact in &event.facts {
            let _ = writeln!(text, "             {fact}");
        }
        if let Some(failure) = &event.failure {
            let _ = writeln!(text, "             {failure}");
        }
    }
    if issuance.trace.dropped > 0 {
        let _ = writeln!(text, "  {} events from the middle are not kept.", issuance.trace.dropped);
    }
    if let Some(failure) = &issuance.failure {
        let _ = writeln!(text, "  Ended by {failure}\n  {}", failure.code.entry().next);
    }
    text
}

/// Milliseconds after the beginning as seconds with three places.
fn clock(since: i128) -> String {
    format!("+{}.{:03}", since.max(0) / 1000, since.max(0) % 1000)
}
