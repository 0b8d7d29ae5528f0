//! A provider connected to a simulated vendor.
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use certkeep_core::application::{AuthEntry, AuthValue};
use certkeep_core::caa::RelevantSet;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{DnsProvider, DnsProviders as _, Propagation, Resolver, Sighting};
use certkeep_core::provider::ParameterKind;
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_testkit::vendor::{Account, Record, Table, Vendor};

/// Where challenge records stand in the scenario.
pub(super) const NAME: &str = "_acme-challenge.host.example.com";

/// A simulated vendor and certkeep's provider for it.
pub(super) struct Bench {
    pub(super) vendor: Vendor,
    flag: String,
    zones: Vec<String>,
    /// Every value that was ever put up, in order.
    put_up: Mutex<Vec<String>>,
    /// What must not be told: the account's secrets and those tried in their place, and whatever goes into parameters
    /// that the page calls secret.
    pub(super) secrets: Vec<String>,
}

impl Bench {
    /// With two zones, one below the other, and one that only looks like them.
    pub(super) async fn start(flag: &str) -> Bench {
        Bench::with_zones(flag, &["example.com", "sub.example.com", "notexample.com"]).await
    }

    /// With these zones, or the vendor's own where it serves no others.
    pub(super) async fn with_zones(flag: &str, zones: &[&str]) -> Bench {
        let table = Table::of(flag).unwrap();
        Bench::of_table(table, zones).await
    }

    pub(super) async fn of_table(table: Table, zones: &[&str]) -> Bench {
        let own: Vec<&str> = table.zones.iter().map(String::as_str).collect();
        let zones = if own.is_empty() { zones } else { &own };
        let account = if table.neighbours { Account::with_zones(zones) } else { Account::with_far_neighbours(zones) };
        let flag = table.flag.clone();
        let zones = zones.iter().map(|zone| (*zone).to_owned()).collect();
        let vendor = Vendor::start(table, account).await;
        Bench { secrets: secrets(&vendor), vendor, flag, zones, put_up: Mutex::default() }
    }

    /// Notes that a value is put up, for what the vendor leaves of it.
    pub(super) fn puts_up(&self, value: &str) {
        self.put_up.lock().unwrap().push(value.to_owned());
    }

    /// The provider, as a process that was just started has it.
    pub(super) fn provider(&self) -> Arc<dyn DnsProvider> {
        self.try_provider(&self.vendor.parameters()).unwrap()
    }

    /// The provider with secrets that are not the account's.
    pub(super) fn wrong_provider(&self) -> Result<Arc<dyn DnsProvider>, String> {
        self.try_provider(&self.vendor.wrong_parameters())
    }

    pub(super) fn try_provider(&self, parameters: &[(String, String)]) -> Result<Arc<dyn DnsProvider>, String> {
        let registry = Registry::new(RegistryOptions {
            extra_roots: vec![self.vendor.root()],
            proxy: Some(self.vendor.proxy()),
            resolver: Some(Arc::new(World { zones: self.zones.clone() })),
            ..RegistryOptions::default()
        });
        connect(&registry, &self.flag, parameters)
    }

    /// Fails when a secret is in what was told of a failure.
    pub(super) fn discreet(&self, failure: &Failure) -> Result<(), String> {
        let told = [failure.to_string(), format!("{failure:?}"), serde_json::to_string(failure).unwrap()];
        told.iter().try_for_each(|told| self.without_secrets(told))
    }

    /// Fails when a secret, right or wrong, is in a text.
    pub(super) fn without_secrets(&self, told: &str) -> Result<(), String> {
        match self.secrets.iter().find(|secret| told.contains(secret.as_str())) {
            Some(_) => Err(format!("a secret is told: {told}")),
            None => Ok(()),
        }
    }

    /// Fails when a request went where the vendor has nothing.
    pub(super) fn at_home(&self) -> Result<(), String> {
        match self.vendor.requests().into_iter().find(|seen| !seen.known) {
            Some(seen) => Err(format!("no such host or route: {} {}{}", seen.method, seen.host, seen.target)),
            None => Ok(()),
        }
    }

    /// Fails when the world sees anything else than `before` and these values.
    pub(super) fn holds(&self, before: &[Record], at: &str, zone: &str, values: &[&TxtRecord]) -> Result<(), String> {
        let all = self.vendor.records();
        let mut old = before.to_vec();
        let expected = self.left(&mut old, at, values)?;
        let (mut extra, mut left) = (Vec::new(), expected.iter().map(String::as_str).collect::<Vec<_>>());
        for record in all {
            if let Some(place) = old.iter().position(|known| *known == record) {
                old.remove(place);
            } else if let Some(place) = left
                .iter()
                .position(|value| *value == record.value && record.name == at && record.zone == zone && record.rtype == "TXT")
            {
                left.remove(place);
            } else {
                extra.push(record);
            }
        }
        if !extra.is_empty() || !left.is_empty() || !old.is_empty() {
            return Err(format!("too much: {extra:?}; not there: {left:?}; of the account itself gone: {old:?}"));
        }
        if self.vendor.unsettled() {
            return Err("a change was not committed, or a job's end not waited for".to_owned());
        }
        Ok(())
    }
}

impl Bench {
    /// What has to stand at the name where these values are up: they, and what the vendor leaves of others by its table.
    fn left(&self, old: &mut Vec<Record>, at: &str, values: &[&TxtRecord]) -> Result<Vec<String>, String> {
        let table = self.vendor.table();
        let up: Vec<String> = values.iter().map(|record| record.value.clone()).collect();
        let put_up = self.put_up.lock().unwrap();
        match table.leaves.as_deref() {
            None => Ok(up),
            Some("{{ value }}") => {
                let newest = table.most_values.unwrap_or(usize::MAX);
                let mut all: Vec<String> = put_up.iter().rev().take(newest).cloned().collect();
                all.sort_unstable();
                all.dedup();
                match up.iter().find(|value| !all.contains(value)) {
                    Some(gone) => Err(format!("{gone} cannot be up by the table")),
                    None => Ok(all),
                }
            }
            Some(text) => {
                let is_place = |record: &Record| record.name == at && record.rtype == "TXT" && record.value == text;
                let places = old.iter().filter(|record| is_place(record)).count().max(usize::from(!put_up.is_empty()));
                old.retain(|record| !is_place(record));
                let free = places.checked_sub(up.len()).ok_or("more values than places")?;
                Ok(up.into_iter().chain(std::iter::repeat_n(text.to_owned(), free)).collect())
            }
        }
    }
}

/// The DNS of a world in which the account's zones are all there are.
struct World {
    zones: Vec<String>,
}

#[async_trait]
impl Resolver for World {
    async fn follow(&self, name: &DnsName) -> Result<DnsName, Failure> {
        Ok(name.clone())
    }

    async fn confirm_zone(&self, zone: &Zone, name: &DnsName) -> Result<(), Failure> {
        let name = name.as_str();
        let within = |zone: &&String| name == **zone || name.strip_suffix(zone.as_str()).is_some_and(|rest| rest.ends_with('.'));
        let longest = self.zones.iter().filter(within).max_by_key(|zone| zone.len());
        if longest == Some(&zone.name) { Ok(()) } else { Err(Failure::new(Code::ZoneElsewhere, "zone").about(name)) }
    }

    async fn await_visible(&self, _: &Zone, _: &[TxtRecord], _: Propagation) -> Result<Sighting, Failure> {
        Ok(Sighting::default())
    }

    async fn caa(&self, _: &DnsName) -> Result<RelevantSet, Failure> {
        Ok(RelevantSet::default())
    }

    async fn texts(&self, _: &DnsName) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }
}

fn secrets(vendor: &Vendor) -> Vec<String> {
    let registry = Registry::new(RegistryOptions::default());
    let descriptor = registry.descriptor(&vendor.table().flag);
    let is_secret = |k: &str| descriptor.and_then(|d| d.parameter(k)).is_some_and(|parameter| parameter.secret);
    let given = vendor.parameters().into_iter().chain(vendor.wrong_parameters());
    let given = given.filter(|(k, text)| is_secret(k) && !text.is_empty()).map(|(_, text)| text);
    vendor.secrets().into_iter().chain(vendor.wrong_secrets()).chain(given).collect()
}

/// A provider with these parameters, each in its own kind.
pub(super) fn connect(
    registry: &Registry,
    flag: &str,
    parameters: &[(impl AsRef<str>, String)],
) -> Result<Arc<dyn DnsProvider>, String> {
    let descriptor = registry.descriptor(flag).ok_or("there is no such page")?;
    let entry = |(k, v): &(_, String)| {
        let k: &str = AsRef::<str>::as_ref(k);
        let kind = descriptor.parameters.iter().find(|p| p.k.eq_ignore_ascii_case(k)).map(|p| p.kind);
        let value = match (kind, v.parse::<i64>(), v.parse::<bool>()) {
            (Some(ParameterKind::Integer), Ok(n), _) => AuthValue::Integer(n),
            (Some(ParameterKind::Boolean), _, Ok(b)) => AuthValue::Boolean(b),
            _ => AuthValue::Text(v.as_str().into()),
        };
        AuthEntry { k: k.to_owned(), value }
    };
    let given: Vec<AuthEntry> = parameters.iter().map(entry).collect();
    let parameters = descriptor.parameters(&given).map_err(|problems| format!("{problems:?}"))?;
    registry.connect(flag, &parameters).map_err(|failure| format!("{failure}: {failure:?}"))
}

/// A challenge record; two numbers make two values as long as real ones.
pub(super) fn record(name: &str, number: usize) -> TxtRecord {
    TxtRecord { name: name.parse().unwrap(), value: format!("{number}_{}-", "v".repeat(41 - number.to_string().len())) }
}
