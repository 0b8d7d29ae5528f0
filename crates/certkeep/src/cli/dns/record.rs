//! `certkeep dns add` and `certkeep dns remove`.
use std::sync::Arc;
use std::time::Instant;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{DnsProvider, Resolver};
use certkeep_core::provider::Parameters;
use clap::Args;
use serde_json::{Value, json};

use super::Account;
use super::account::{House, propagation};
use super::ending::end;
use crate::cli::CommandError;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    pub(super) account: Account,
    /// Where the value stands: _acme-challenge.host.example.com; a CNAME there is followed
    #[arg(long)]
    name: DnsName,
    /// The value
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    value: String,
}

/// Everything that a change needs.
struct Change {
    house: House,
    parameters: Parameters,
    provider: Arc<dyn DnsProvider>,
    zone: Zone,
    record: TxtRecord,
}

impl Change {
    async fn prepare(Arguments { account, name, value }: &Arguments) -> Result<Change, CommandError> {
        let house = account.house()?;
        let parameters = account.parameters(&house)?;
        let provider = account.connect(&house, &parameters)?;
        let name = follow(house.resolver.as_deref(), name).await?;
        let zone = provider.find_zone(&name).await?;
        Ok(Change { house, parameters, provider, zone, record: TxtRecord { name, value: value.clone() } })
    }

    /// What was done, as an object and as a line.
    fn done(&self, arguments: &Arguments, what: &str, began: Instant) -> (Value, String) {
        let (zone, record, ms) = (&self.zone.name, self.record.name.as_str(), milliseconds(began));
        let mut object = json!({ "ok": true, "zone": zone, "record": record, "ms": ms });
        let requests = self.house.requests(&arguments.account.flag);
        if let (Some(object), Some(requests)) = (object.as_object_mut(), requests) {
            object.insert("requests".to_owned(), requests.into());
        }
        let requests = requests.map(|requests| format!(", {requests} requests")).unwrap_or_default();
        (object, format!("{what} {record} in the zone {zone}: {ms} ms{requests}\n"))
    }
}

pub(super) async fn add(arguments: &Arguments) -> Result<(), CommandError> {
    end(arguments.account.json, put_up(arguments).await)
}

async fn put_up(arguments: &Arguments) -> Result<(Value, String), CommandError> {
    let began = Instant::now();
    let change = Change::prepare(arguments).await?;
    let wait = match (arguments.account.no_wait, change.house.resolver.as_deref()) {
        (true, _) => None,
        (false, Some(resolver)) => Some(resolver),
        (false, None) => return Err(nobody_to_ask().into()),
    };
    let handle = change.provider.add(&change.zone, &change.record).await?;
    if let Some(resolver) = wait {
        let records = std::slice::from_ref(&change.record);
        let seen = resolver.await_visible(&change.zone, records, propagation(&change.parameters)).await;
        if let Err(failure) = seen {
            // Whoever is told that it failed may not think of removing anything.
            let fact = match change.provider.remove(&change.zone, &change.record, Some(&handle)).await {
                Ok(()) => "the value was taken down again".to_owned(),
                Err(error) => format!("the value is still up: {error}"),
            };
            return Err(failure.fact(fact).into());
        }
    }
    Ok(change.done(arguments, "added", began))
}

pub(super) async fn remove(arguments: &Arguments) -> Result<(), CommandError> {
    end(arguments.account.json, take_down(arguments).await)
}

async fn take_down(arguments: &Arguments) -> Result<(Value, String), CommandError> {
    let began = Instant::now();
    let change = Change::prepare(arguments).await?;
    change.provider.remove(&change.zone, &change.record, None).await?;
    Ok(change.done(arguments, "removed", began))
}

/// Where the record has to stand; where nobody can be asked, the name itself.
pub(super) async fn follow(resolver: Option<&dyn Resolver>, name: &DnsName) -> Result<DnsName, Failure> {
    match resolver {
        Some(resolver) => resolver.follow(name).await,
        None => Ok(name.clone()),
    }
}

/// The failure of a wait without a resolver.
pub(super) fn nobody_to_ask() -> Failure {
    Failure::new(Code::ResolversUnreachable, "await record")
        .fact("the system names no resolver: name one by --resolver, or do not wait (--no-wait)")
}

pub(super) fn milliseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
