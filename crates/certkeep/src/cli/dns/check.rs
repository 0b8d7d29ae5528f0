//! `certkeep dns check`: what the preflight finds out, told.
use std::fmt::Write;
use std::io;
use std::sync::Arc;

use certkeep_acme::{AcmeIssuer, account_facts};
use certkeep_core::application::Delegation;
use certkeep_core::name::DnsName;
use certkeep_core::ports::{CertificateAuthority, Issuances};
use certkeep_core::time::SystemClock;
use certkeep_dns::resolver::ResolverOptions;
use certkeep_engine::preflight::{Authority, Finding, Preflight, Report};
use certkeep_store::Location;
use clap::Args;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::Account;
use super::account::USUAL_WAIT;
use super::ending::{self, end};
use super::record::nobody_to_ask;
use crate::cli::ending::print;
use crate::cli::visit::with_store;
use crate::cli::{CommandError, Place};
use crate::config::{Config, is_directory};

/// What an application can still fail at.
const NOT_CHECKED: &str = "the order itself";
const NOT_CHECKED_NOR_CAA: &str = "whether CAA records allow a CA (name one by --directory); the order itself";

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    pub(super) account: Account,
    /// A name that a certificate is wanted for, more than once if need be
    #[arg(long = "name", value_name = "NAME", required = true)]
    names: Vec<DnsName>,
    /// The directory of the CA that CAA records are judged for; that of the configuration if left out
    #[arg(long, value_name = "URL", value_parser = directory)]
    directory: Option<String>,
    /// The URL of the account at the CA, for CAA records that name an account; that of the data folder, if there is one, if
    /// left out
    #[arg(long, value_name = "URL")]
    ca_account: Option<String>,
}

/// What the configuration and the command line say together.
struct Setting {
    ca: Option<CertificateAuthority>,
    /// The URL of our account there, if it is known.
    account: Option<String>,
    delegations: Vec<Delegation>,
    resolver: ResolverOptions,
}

impl Setting {
    async fn new(place: &Place, Arguments { directory, names, ca_account, .. }: &Arguments) -> Result<Setting, CommandError> {
        let config = place.config_file().map(|path| Config::read(&path)).transpose()?;
        let settings = config.as_ref().map(Config::engine_settings).transpose()?;
        let resolver = config.as_ref().map(Config::resolver_options).transpose()?.unwrap_or_default();
        let (cas, delegations) = settings.map(|settings| (settings.cas, settings.delegations)).unzip();
        let ca = cas.map(|cas| cas.first_for(names).ca.clone());
        let ca = match directory {
            Some(directory) => Some(CertificateAuthority {
                directory: directory.clone(),
                roots: ca.map(|ca| ca.roots).unwrap_or_default(),
                contact: Vec::new(),
                external_account: None,
            }),
            None => ca,
        };
        let account = match (ca_account, &ca) {
            (Some(url), _) => Some(url.clone()),
            (None, Some(ca)) => kept_account(place, &config.unwrap_or_default(), &ca.directory).await,
            (None, None) => None,
        };
        Ok(Setting { ca, account, delegations: delegations.unwrap_or_default(), resolver })
    }

    fn not_checked(&self) -> &'static str {
        if self.ca.is_some() { NOT_CHECKED } else { NOT_CHECKED_NOR_CAA }
    }
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<(), CommandError> {
    let json = arguments.account.json;
    let found = match Setting::new(place, arguments).await {
        Ok(setting) => found(arguments, &setting).await.map(|found| (setting.not_checked(), found)),
        Err(error) => Err(error),
    };
    let (not_checked, Found { report, interrupted }) = match found {
        Ok(found) => found,
        Err(error) => return end(json, Err(error)),
    };
    if interrupted {
        if !json {
            print(&lines(&report))?;
        }
        return end(json, Err(CommandError::Interrupted));
    }
    let steps: Vec<Value> = report.findings.iter().map(object).collect();
    let Some(failure) = report.failure() else {
        let object = json!({ "ok": true, "steps": steps, "not_checked": not_checked });
        return end(json, Ok((object, format!("{}Not checked: {not_checked}.\n", lines(&report)))));
    };
    if !json {
        print(&lines(&report))?;
        return Err(failure.clone().into());
    }
    let mut object = ending::object(failure);
    if let Some(object) = object.as_object_mut() {
        object.insert("steps".to_owned(), steps.into());
        object.insert("not_checked".to_owned(), not_checked.into());
    }
    print(&format!("{object}\n"))?;
    Err(CommandError::Told(Box::new(failure.clone().into())))
}

/// What was found, and whether a signal ended it.
struct Found {
    report: Report,
    interrupted: bool,
}

/// The URL of the account that the data folder has at a CA; a folder that cannot be read is as good as none.
async fn kept_account(place: &Place, config: &Config, directory: &str) -> Option<String> {
    let location = config.location(&place.data).ok().filter(Location::is_there)?;
    match with_store(&location, async |store| Ok(store.acme_account(directory).await?)).await {
        Ok(account) => account_facts(&account?).ok()?.url,
        Err(error) => {
            tracing::warn!(%error, "whether the data folder has an account at the CA is not known");
            None
        }
    }
}

async fn found(Arguments { account, names, .. }: &Arguments, setting: &Setting) -> Result<Found, CommandError> {
    let house = account.house_by(setting.resolver.clone())?;
    let (auth, _) = account.checked(&house)?;
    let issuer = AcmeIssuer::new(Arc::new(SystemClock));
    let authority = setting.ca.as_ref().map(|ca| Authority { issuer: &issuer, ca, account: setting.account.as_deref() });
    let (stop, stopped) = watch::channel(false);
    let mut signals = Signals::new().map_err(CommandError::Runtime)?;
    let preflight = Preflight {
        providers: &house.registry,
        resolver: house.resolver.as_deref().ok_or_else(nobody_to_ask)?,
        delegations: &setting.delegations,
        authority,
        propagation: USUAL_WAIT,
        wait: !account.no_wait,
        stop: Some(&stopped),
    };
    let running = preflight.run(names, &account.flag, &auth);
    tokio::pin!(running);
    tokio::select! {
        report = &mut running => return Ok(Found { report, interrupted: false }),
        () = signals.next() => { stop.send_replace(true); }
    }
    tokio::select! {
        report = &mut running => Ok(Found { report, interrupted: true }),
        // Who asks twice does not want to wait for the provider.
        () = signals.next() => Err(CommandError::Interrupted),
    }
}

/// The signals that end it.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// A finding as JSON.
fn object(Finding { check, about, took, outcome }: &Finding) -> Value {
    let (step, ms) = (check.as_str(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    match outcome {
        Ok(evidence) => json!({ "step": step, "about": about, "ok": true, "ms": ms, "evidence": evidence }),
        Err(failure) => {
            let code = failure.code.number();
            json!({ "step": step, "about": about, "ok": false, "ms": ms, "code": code, "evidence": failure.evidence })
        }
    }
}

/// The findings for people: a line each, and below what failed its facts.
fn lines(report: &Report) -> String {
    report.findings.iter().fold(String::new(), |mut text, Finding { check, about, took, outcome }| {
        let (step, ms) = (check.as_str(), took.as_millis());
        let _ = match outcome {
            Ok(evidence) => writeln!(text, "ok      {step:<15} {ms:>6} ms  {about}: {evidence}"),
            Err(failure) => {
                let entry = failure.code.entry();
                let _ = writeln!(text, "FAILED  {step:<15} {ms:>6} ms  {about}: {} {}", entry.number, entry.name);
                failure.evidence.facts.iter().try_for_each(|fact| writeln!(text, "{:>37}{fact}", ""))
            }
        };
        text
    })
}

fn directory(text: &str) -> Result<String, String> {
    let wrong = "this is not the HTTPS address of an ACME directory";
    if is_directory(text) { Ok(text.to_owned()) } else { Err(wrong.to_owned()) }
}
