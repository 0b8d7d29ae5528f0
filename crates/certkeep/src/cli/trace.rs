//! `certkeep trace`: what each step of a certificate's issuances saw, and when the next one begins. Works beside a service
//! that runs.
use std::fmt::Write;

use certkeep_core::fallback::host;
use certkeep_core::issuance::IssuanceSummary;
use certkeep_core::ports::{Certificates, Issuances, RenewalState, Renewals};
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
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(place: &Place, Arguments { name, all, json }: &Arguments) -> Result<(), CommandError> {
    let location = place.config()?.location(&place.data)?;
    let runtime = runtime()?;
    let (renewal, mut issuances) = runtime.block_on(with_store(&location, async |store| {
        let entry = store.certificate_by_name(name).await?.ok_or_else(|| CommandError::NoCertificate(name.clone()))?;
        Ok((store.renewal_state(entry.id).await?, store.issuances(entry.id).await?))
    }))?;
    if !all {
        issuances.truncate(1);
    }
    if *json {
        let objects: Vec<Value> = issuances.iter().map(object).collect();
        return print(&format!("{}\n", json!({ "renewal": plan(&renewal), "issuances": objects })));
    }
    let mut parts: Vec<String> = issuances.iter().map(told).collect();
    if parts.is_empty() {
        parts.push("Nothing was applied for under this name yet.\n".to_owned());
    }
    parts.extend(planned(&renewal));
    print(&parts.join("\n"))
}

fn plan(renewal: &RenewalState) -> Value {
    let choice = renewal.choice.as_ref();
    json!({
        "next_issuance": renewal.next_issuance,
        "window": choice.map(|choice| json!({ "start": choice.window.start(), "end": choice.window.end() })),
        "chosen": choice.map(|choice| choice.at),
        "explanation_url": renewal.explanation_url,
        "ask_at": renewal.ask_at,
    })
}

/// What is planned, if anything is.
fn planned(renewal: &RenewalState) -> Option<String> {
    let mut text = String::new();
    if let Some(next) = renewal.next_issuance {
        let _ = writeln!(text, "The next issuance begins {next}.");
    }
    if let Some(choice) = renewal.choice {
        let (start, end) = (choice.window.start(), choice.window.end());
        let _ = writeln!(text, "  The CA wants the renewal between {start} and {end}; chosen is {}.", choice.at);
    }
    if let Some(why) = &renewal.explanation_url {
        let _ = writeln!(text, "  Why: {why}");
    }
    if let Some(ask) = renewal.ask_at {
        let _ = writeln!(text, "  The CA is asked about it again {ask}.");
    }
    (!text.is_empty()).then_some(text)
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
