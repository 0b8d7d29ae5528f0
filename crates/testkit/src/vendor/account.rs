//! What an account holds: zones and their records.
use std::collections::BTreeMap;

/// One record, as a test compares it: what a vendor numbers or formats is left out of the comparison.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The full name, lower case, without a dot at the end.
    pub name: String,
    /// Its type: `TXT`, `A` …
    pub rtype: String,
    /// The text of a TXT record without quotes; presentation format for others.
    pub value: String,
    /// Seconds.
    pub ttl: u64,
}

/// An account: zones by name, records by number.
#[derive(Clone, Debug, Default)]
pub struct Account {
    zones: BTreeMap<String, BTreeMap<u64, Record>>,
    last: u64,
}

impl Account {
    /// An account with these zones. In each there are neighbours of challenge records: other types and other TXT values
    /// at the names of challenges and beside them.
    pub fn with_zones(zones: &[&str]) -> Account {
        let mut account = Account::default();
        for zone in zones {
            account.zones.insert((*zone).to_owned(), BTreeMap::new());
            for owner in ["", "_acme-challenge.", "_acme-challenge.host.", "other."] {
                let name = format!("{owner}{zone}");
                for (rtype, value) in [("A", "192.0.2.7"), ("MX", "10 mail.example.net."), ("TXT", "a neighbour; \"quoted\"")] {
                    account.add(zone, &name, rtype, value, 3600);
                }
            }
        }
        account
    }

    /// Names of all zones.
    pub fn zones(&self) -> Vec<String> {
        self.zones.keys().cloned().collect()
    }

    /// Whether there is such a zone.
    pub fn has(&self, zone: &str) -> bool {
        self.zones.contains_key(zone)
    }

    /// Every record, sorted.
    pub fn records(&self) -> Vec<Record> {
        let mut all: Vec<Record> = self.zones.values().flat_map(|records| records.values().cloned()).collect();
        all.sort_unstable();
        all
    }

    /// The records of a zone by number.
    pub fn of_zone(&self, zone: &str) -> Vec<(u64, Record)> {
        let records = self.zones.get(zone).into_iter().flatten();
        records.map(|(id, record)| (*id, record.clone())).collect()
    }

    /// Adds a record and answers its number; panics if there is no such zone.
    pub fn add(&mut self, zone: &str, name: &str, rtype: &str, value: &str, ttl: u64) -> u64 {
        self.last += 1;
        let record = Record { name: name.to_ascii_lowercase(), rtype: rtype.into(), value: value.into(), ttl };
        self.zones.get_mut(zone).expect("the caller knows the zone").insert(self.last, record);
        self.last
    }

    /// Deletes a record from whichever zone it is in; `false` if there is none of this number.
    pub fn delete(&mut self, id: u64) -> bool {
        self.zones.values_mut().any(|records| records.remove(&id).is_some())
    }

    /// Deletes every TXT record of this name and value.
    pub fn delete_txt(&mut self, name: &str, value: &str) {
        for records in self.zones.values_mut() {
            records.retain(|_, r| !(r.name == name && r.rtype == "TXT" && r.value == value));
        }
    }

    /// The number of a zone: its place among all.
    pub fn zone_number(&self, zone: &str) -> usize {
        self.zones.keys().position(|name| name == zone).expect("the caller knows the zone")
    }
}
