//! What an account holds: zones and their records, what of it the world sees, and jobs under way.
use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};

use super::expression::hexadecimal;

/// One record, as a test compares it: what a vendor numbers or formats is left out of the comparison.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The zone it stands in.
    pub zone: String,
    /// The full name, lower case, without a dot at the end.
    pub name: String,
    /// Its type: `TXT`, `A` …
    pub rtype: String,
    /// The text of a TXT record without quotes; presentation format for others.
    pub value: String,
    /// Seconds.
    pub ttl: u64,
}

/// Records by number.
pub(super) type Records = BTreeMap<u64, Record>;

/// An account: zones by name, records by number.
#[derive(Clone, Debug, Default)]
pub struct Account {
    zones: BTreeMap<String, Records>,
    /// What the world still sees of zones with changes that were not committed.
    published: BTreeMap<String, Records>,
    jobs: BTreeMap<String, u32>,
    last: u64,
}

impl Account {
    /// An account with these zones. In each there are neighbours of challenge records: other types and other TXT values
    /// at the names of challenges and beside them.
    pub fn with_zones(zones: &[&str]) -> Account {
        let mut account = Account::empty(zones);
        for zone in zones {
            for owner in ["", "_acme-challenge.", "_acme-challenge.host.", "other."] {
                let name = format!("{owner}{zone}");
                for (rtype, value) in [("A", "192.0.2.7"), ("MX", "10 mail.example.net."), ("TXT", "a neighbour; \"quoted\"")] {
                    account.add(zone, &name, rtype, value, 3600);
                }
            }
        }
        account
    }

    /// The same without anything at the names of challenges.
    pub fn with_far_neighbours(zones: &[&str]) -> Account {
        let mut account = Account::empty(zones);
        for zone in zones {
            account.add(zone, zone, "A", "192.0.2.7", 3600);
            account.add(zone, &format!("other.{zone}"), "A", "192.0.2.7", 3600);
        }
        account
    }

    /// An account with these zones and nothing in them.
    pub fn empty(zones: &[&str]) -> Account {
        let zones = zones.iter().map(|zone| ((*zone).to_owned(), BTreeMap::new())).collect();
        Account { zones, ..Account::default() }
    }

    /// Names of all zones.
    pub fn zones(&self) -> Vec<String> {
        self.zones.keys().cloned().collect()
    }

    /// Every record that the world sees, sorted.
    pub fn records(&self) -> Vec<Record> {
        let seen = self.zones.iter().flat_map(|(zone, live)| self.published.get(zone).unwrap_or(live).values().cloned());
        let mut all: Vec<Record> = seen.collect();
        all.sort_unstable();
        all
    }

    /// Whether there are changes that were not committed, or jobs that nobody saw the end of.
    pub fn unsettled(&self) -> bool {
        !self.jobs.is_empty() || self.published.iter().any(|(zone, seen)| self.zones.get(zone) != Some(seen))
    }

    /// What the world sees of a zone, by number.
    pub(super) fn seen_of_zone(&self, zone: &str) -> Records {
        self.published.get(zone).or_else(|| self.zones.get(zone)).cloned().unwrap_or_default()
    }

    /// Whether there are jobs that nobody saw the end of.
    pub fn has_jobs(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Forgets the changes of a zone that were not committed.
    pub(super) fn discard(&mut self, zone: &str) {
        if let Some(seen) = self.published.remove(zone) {
            self.zones.insert(zone.to_owned(), seen);
        }
    }

    /// Drops the oldest TXT records of a name until so many are left.
    pub(super) fn keep_newest(&mut self, zone: &str, name: &str, most: usize) {
        let Some(records) = self.zones.get_mut(zone) else { return };
        let here = |record: &Record| record.name == name && record.rtype == "TXT";
        let ids: Vec<u64> = records.iter().filter(|(_, record)| here(record)).map(|(id, _)| *id).collect();
        for id in ids.iter().take(ids.len().saturating_sub(most)) {
            records.remove(id);
        }
    }

    /// Nobody can ask for a job that nobody was told of.
    pub(super) fn forget_job(&mut self, id: &str) {
        self.jobs.remove(id);
    }

    /// The records of a zone by number; none if there is no such zone.
    pub(super) fn of_zone(&self, zone: &str) -> Records {
        self.zones.get(zone).cloned().unwrap_or_default()
    }

    /// Adds a record and answers its number; panics if there is no such zone.
    pub fn add(&mut self, zone: &str, name: &str, rtype: &str, value: &str, ttl: u64) -> u64 {
        self.last += 1;
        let record = Record {
            zone: zone.to_owned(),
            name: name.to_ascii_lowercase(),
            rtype: rtype.to_ascii_uppercase(),
            value: value.to_owned(),
            ttl,
        };
        let id = 1000 + self.last;
        self.zones.get_mut(zone).expect("the caller knows the zone").insert(id, record);
        id
    }

    /// Deletes a record from whichever zone it is in; `false` if there is none of this number.
    pub fn delete(&mut self, id: u64) -> bool {
        self.zones.values_mut().any(|records| records.remove(&id).is_some())
    }

    /// The record of this number, to be changed.
    pub(super) fn record_mut(&mut self, id: u64) -> Option<&mut Record> {
        self.zones.values_mut().find_map(|records| records.get_mut(&id))
    }

    /// Forgets the records of a zone that are not to be kept.
    pub(super) fn retain(&mut self, zone: &str, keep: impl Fn(&Record) -> bool) {
        if let Some(records) = self.zones.get_mut(zone) {
            records.retain(|_, record| keep(record));
        }
    }

    /// The zone that goes by this name, number or id.
    pub(super) fn zone(&self, key: &str) -> Option<String> {
        let key = key.trim().trim_end_matches('.').to_ascii_lowercase();
        let same = |zone: &&String| **zone == key || Numbers::of_zone(self, zone).is(&key);
        self.zones.keys().find(same).cloned()
    }

    /// The longest zone that a name is in.
    pub fn zone_of(&self, name: &str) -> Option<String> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let within = |zone: &&String| name == **zone || name.strip_suffix(zone.as_str()).is_some_and(|rest| rest.ends_with('.'));
        self.zones.keys().filter(within).max_by_key(|zone| zone.len()).cloned()
    }

    /// The record that goes by this number or id.
    pub(super) fn find(&self, key: &str) -> Option<(u64, Record)> {
        let all = self.zones.values().flatten();
        let found = all.into_iter().find(|(id, _)| Numbers::of_record(**id).is(&key.to_ascii_lowercase()));
        found.map(|(id, record)| (*id, record.clone()))
    }

    /// The world does not see the changes since `before` until they are committed.
    pub(super) fn hold_back(&mut self, before: &Account) {
        for (zone, records) in &before.zones {
            if self.zones.get(zone) != Some(records) {
                self.published.entry(zone.clone()).or_insert_with(|| records.clone());
            }
        }
    }

    /// The world sees all changes of a zone, or of every zone.
    pub(super) fn publish(&mut self, zone: Option<&str>) {
        match zone {
            Some(zone) => drop(self.published.remove(zone)),
            None => self.published.clear(),
        }
    }

    /// A job that is done when it was asked for so often.
    pub(super) fn start_job(&mut self, id: &str, polls: u32) {
        self.jobs.insert(id.to_owned(), polls);
    }

    /// Asks for a job; answers whether it is done.
    pub(super) fn poll(&mut self, id: &str) -> bool {
        let left = self.jobs.get(id).map_or(0, |left| left.saturating_sub(1));
        if left == 0 {
            self.jobs.remove(id);
        } else {
            self.jobs.insert(id.to_owned(), left);
        }
        left == 0
    }
}

/// The forms in which vendors number things: a number, hexadecimal digits, a UUID.
#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) number: u64,
    seed: String,
}

impl Numbers {
    /// Of a zone.
    pub(super) fn of_zone(account: &Account, zone: &str) -> Numbers {
        let place = account.zones.keys().position(|name| name == zone).unwrap_or_default();
        Numbers { number: 501 + place as u64, seed: zone.to_owned() }
    }

    /// Of a record.
    pub(super) fn of_record(id: u64) -> Numbers {
        Numbers { number: id, seed: format!("record {id}") }
    }

    /// Of a set of records; it has no number.
    pub(super) fn of_set(name: &str, rtype: &str) -> Numbers {
        Numbers { number: 0, seed: format!("{name} {rtype}") }
    }

    /// 32 hexadecimal digits.
    pub(super) fn hex(&self) -> String {
        let mut hex = hexadecimal(digest(&SHA256, self.seed.as_bytes()).as_ref());
        hex.truncate(32);
        hex
    }

    /// The same as a UUID.
    pub(super) fn uuid(&self) -> String {
        uuid(&self.hex())
    }

    /// Whether this is one of its forms.
    pub(super) fn is(&self, key: &str) -> bool {
        if let Ok(number) = key.parse::<u64>() {
            return number == self.number;
        }
        let hex = self.hex();
        key == hex || Some(key) == hex.get(..24) || key == uuid(&hex)
    }
}

/// 32 hexadecimal digits in the form of a UUID.
pub(super) fn uuid(hex: &str) -> String {
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
