//! `certkeep dns check`: a provider tried on a name, step by step.
use std::fmt::Write;
use std::time::Instant;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::TxtRecord;
use certkeep_core::name::DnsName;
use certkeep_engine::access::random_token;
use clap::Args;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::Account;
use super::account::propagation;
use super::ending::{self, end};
use super::record::{follow, milliseconds, nobody_to_ask};
use crate::cli::CommandError;
use crate::cli::ending::print;

/// What an application can still fail at.
const NOT_CHECKED: &str = "CAA records, the CA";

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    pub(super) account: Account,
    /// The name that a certificate is wanted for
    #[arg(long)]
    name: DnsName,
}

/// The steps that were made, each with its milliseconds.
#[derive(Default)]
struct Trace(Vec<(&'static str, u64, Result<String, Failure>)>);

impl Trace {
    /// Notes a step; its failure is answered as well.
    fn note<T>(
        &mut self,
        step: &'static str,
        began: Instant,
        done: Result<T, Failure>,
        tell: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        self.0.push((step, milliseconds(began), done.as_ref().map(tell).map_err(Clone::clone)));
        done
    }

    fn steps(&self) -> Vec<Value> {
        let step = |(step, ms, done): &(&str, u64, Result<String, Failure>)| match done {
            Ok(evidence) => json!({ "step": step, "ok": true, "ms": ms, "evidence": evidence }),
            Err(failure) => json!({ "step": step, "ok": false, "ms": ms, "evidence": failure.evidence }),
        };
        self.0.iter().map(step).collect()
    }

    fn lines(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (step, ms, done)| {
            let _ = match done {
                Ok(evidence) => writeln!(text, "ok      {step:<18} {ms:>6} ms  {evidence}"),
                Err(failure) => writeln!(text, "FAILED  {step:<18} {ms:>6} ms  {}", failure.code.entry().name),
            };
            text
        })
    }
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), CommandError> {
    let json = arguments.account.json;
    let mut trace = Trace::default();
    let failure = match steps(arguments, &mut trace).await {
        Ok(()) => {
            let object = json!({ "ok": true, "steps": trace.steps(), "not_checked": NOT_CHECKED });
            return end(json, Ok((object, format!("{}Not checked: {NOT_CHECKED}.\n", trace.lines()))));
        }
        Err(CommandError::Dns(failure)) => failure,
        Err(other) => return end(json, Err(other)),
    };
    if !json {
        print(&trace.lines())?;
        return Err(CommandError::Dns(failure));
    }
    let mut object = ending::object(&failure);
    if let Some(object) = object.as_object_mut() {
        object.insert("steps".to_owned(), trace.steps().into());
        object.insert("not_checked".to_owned(), NOT_CHECKED.into());
    }
    print(&format!("{object}\n"))?;
    Err(CommandError::Told(Box::new(CommandError::Dns(failure))))
}

async fn steps(Arguments { account, name }: &Arguments, trace: &mut Trace) -> Result<(), CommandError> {
    let house = account.house()?;
    let began = Instant::now();
    let parameters = account.parameters(&house)?;
    let provider = trace.note("parameters", began, account.connect(&house, &parameters), |_| account.flag.clone())?;
    let resolver = house.resolver.as_deref().ok_or_else(nobody_to_ask)?;

    let began = Instant::now();
    let followed = follow(Some(resolver), &name.challenge_record()).await;
    let name = trace.note("delegation", began, followed, |name| name.to_string())?;
    let began = Instant::now();
    let zone = trace.note("zone found", began, provider.find_zone(&name).await, |zone| zone.name.clone())?;
    let began = Instant::now();
    let confirmed = resolver.confirm_zone(&zone, &name).await;
    trace.note("zone confirmed", began, confirmed, |()| "the world asks this zone".to_owned())?;

    let no_random = |_| Failure::new(Code::Internal, "make a probe").fact("the machine has no random bytes");
    let value = random_token().map_err(no_random)?.expose_secret().to_owned();
    let record = TxtRecord { name, value };
    let began = Instant::now();
    let added = trace.note("probe written", began, provider.add(&zone, &record).await, |_| record.name.to_string());
    let seen = match &added {
        Ok(_) if !account.no_wait => {
            let began = Instant::now();
            let seen = resolver.await_visible(&zone, std::slice::from_ref(&record), propagation(&parameters)).await;
            trace.note("probe seen", began, seen, |()| "at every name server".to_owned())
        }
        _ => Ok(()),
    };
    // Also after a failure: the value may be up nevertheless.
    let began = Instant::now();
    let removed = provider.remove(&zone, &record, added.as_ref().ok()).await;
    let removed = trace.note("probe removed", began, removed, |()| record.name.to_string());
    added?;
    seen?;
    Ok(removed?)
}
