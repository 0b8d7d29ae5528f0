//! Zones, records and sets as the tables see them: every form in which vendors write their names and numbers. A form is
//! made when it is asked for.
use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use minijinja::Value;
use minijinja::value::{Enumerator, Object};

use super::account::{Account, Numbers, Record, Records};
use super::expression::hexadecimal;
use super::table::Table;
use super::text::quoted;

type Codes = Arc<BTreeMap<String, i64>>;

/// A zone: `z`.
pub(super) fn zone(account: &Account, table: &Table, name: &str) -> Value {
    let zone = Zone {
        name: name.to_owned(),
        numbers: Numbers::of_zone(account, name),
        records: account.of_zone(name),
        codes: Arc::new(table.types.clone()),
    };
    Value::from_object(zone)
}

/// A record: `r`.
pub(super) fn record(table: &Table, id: u64, record: &Record) -> Value {
    Value::from_object(One { id, record: record.clone(), codes: Arc::new(table.types.clone()) })
}

/// Records by name and type, in the order of their first ones: each an `s`.
pub(super) fn sets(table: &Table, records: &Records) -> Vec<Value> {
    grouped(records, &Arc::new(table.types.clone()))
}

fn grouped(records: &Records, codes: &Codes) -> Vec<Value> {
    let mut groups: Vec<Vec<(u64, Record)>> = Vec::new();
    for (id, record) in records {
        let same = |group: &&mut Vec<(u64, Record)>| {
            group.first().is_some_and(|(_, first)| first.name == record.name && first.rtype == record.rtype)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push((*id, record.clone())),
            None => groups.push(vec![(*id, record.clone())]),
        }
    }
    groups.into_iter().map(|records| Value::from_object(Set { records, codes: Arc::clone(codes) })).collect()
}

/// What changes with every change of these records.
pub(super) fn etag<'a>(records: impl Iterator<Item = &'a Record>) -> String {
    let mut all: Vec<String> = records.map(|r| format!("{} {} {} {}", r.name, r.rtype, r.ttl, r.value)).collect();
    all.sort_unstable();
    let mut hex = hexadecimal(digest(&SHA256, all.join("\n").as_bytes()).as_ref());
    hex.truncate(32);
    hex
}

#[derive(Debug)]
struct Zone {
    name: String,
    numbers: Numbers,
    records: Records,
    codes: Codes,
}

impl Object for Zone {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "name" => Value::from(self.name.as_str()),
            "dotted" => Value::from(format!("{}.", self.name)),
            "num" => Value::from(self.numbers.number),
            "records" => {
                list(self.records.iter().map(|(id, record)| {
                    Value::from_object(One { id: *id, record: record.clone(), codes: Arc::clone(&self.codes) })
                }))
            }
            "sets" => Value::from(grouped(&self.records, &self.codes)),
            "etag" => Value::from(etag(self.records.values())),
            key => return numbered(&self.numbers, key),
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

#[derive(Debug)]
struct One {
    id: u64,
    record: Record,
    codes: Codes,
}

impl Object for One {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "id" => Value::from(self.id),
            "value" => Value::from(self.record.value.as_str()),
            "presented" => Value::from(presented(&self.record)),
            key => return named(&self.record, &self.codes, key).or_else(|| numbered(&Numbers::of_record(self.id), key)),
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

/// Never empty.
#[derive(Debug)]
struct Set {
    records: Vec<(u64, Record)>,
    codes: Codes,
}

impl Object for Set {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let (_, first) = self.records.first()?;
        let records = self.records.iter().map(|(_, record)| record);
        Some(match key.as_str()? {
            "values" => list(records.map(|record| Value::from(record.value.as_str()))),
            "presented" => list(records.map(|record| Value::from(presented(record)))),
            "records" => {
                list(self.records.iter().map(|(id, record)| {
                    Value::from_object(One { id: *id, record: record.clone(), codes: Arc::clone(&self.codes) })
                }))
            }
            "etag" => Value::from(etag(records)),
            key => {
                let numbers = || Numbers::of_set(&first.name, &first.rtype);
                return named(first, &self.codes, key).or_else(|| numbered(&numbers(), key));
            }
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

fn named(record: &Record, codes: &Codes, key: &str) -> Option<Value> {
    let bare = || record.name.strip_suffix(record.zone.as_str()).map_or("", |rest| rest.trim_end_matches('.'));
    Some(match key {
        "zone" => Value::from(record.zone.as_str()),
        "name" => Value::from(record.name.as_str()),
        "dotted" => Value::from(format!("{}.", record.name)),
        "bare" => Value::from(bare()),
        "owner" => Value::from(if bare().is_empty() { "@" } else { bare() }),
        "type" => Value::from(record.rtype.as_str()),
        "is_txt" => Value::from(record.rtype == "TXT"),
        "ttl" => Value::from(record.ttl),
        "code" => Value::from(*codes.get(&record.rtype)?),
        _ => return None,
    })
}

fn numbered(numbers: &Numbers, key: &str) -> Option<Value> {
    Some(match key {
        "hex" => Value::from(numbers.hex()),
        "hex24" => Value::from(&numbers.hex()[..24]),
        "uuid" => Value::from(numbers.uuid()),
        _ => return None,
    })
}

fn presented(record: &Record) -> String {
    if record.rtype == "TXT" { quoted(&record.value) } else { record.value.clone() }
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    Value::from(items.collect::<Vec<_>>())
}
