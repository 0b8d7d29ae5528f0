//! Zones, records and sets as the tables see them: every form in which vendors write their names and numbers.
use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use minijinja::Value;

use super::account::{Account, Numbers, Record, Records};
use super::expression::hexadecimal;
use super::table::Table;
use super::text::quoted;

/// A zone: `z`.
pub(super) fn zone(account: &Account, table: &Table, name: &str) -> Value {
    let numbers = Numbers::of_zone(account, name);
    let records = account.of_zone(name);
    let mut fields = numbered(&numbers);
    fields.extend([
        ("name", Value::from(name)),
        ("dotted", Value::from(format!("{name}."))),
        ("num", Value::from(numbers.number)),
        ("records", list(records.iter().map(|(id, item)| record(table, *id, item)))),
        ("sets", list(sets(table, &records).into_iter())),
        ("etag", Value::from(etag(records.values()))),
    ]);
    Value::from(fields)
}

/// A record: `r`.
pub(super) fn record(table: &Table, id: u64, record: &Record) -> Value {
    let mut fields = numbered(&Numbers::of_record(id));
    fields.extend(named(record));
    let presented = if record.rtype == "TXT" { quoted(&record.value) } else { record.value.clone() };
    fields.extend([
        ("id", Value::from(id)),
        ("value", Value::from(record.value.as_str())),
        ("presented", Value::from(presented)),
        ("ttl", Value::from(record.ttl)),
        ("code", table.types.get(&record.rtype).map_or(Value::UNDEFINED, |code| Value::from(*code))),
    ]);
    Value::from(fields)
}

/// Records by name and type, in the order of their first ones: each an `s`.
pub(super) fn sets(table: &Table, records: &Records) -> Vec<Value> {
    let mut groups: Vec<((&str, &str), Vec<(u64, &Record)>)> = Vec::new();
    for (id, record) in records {
        let key = (record.name.as_str(), record.rtype.as_str());
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push((*id, record)),
            None => groups.push((key, vec![(*id, record)])),
        }
    }
    groups.into_iter().filter_map(|((name, rtype), group)| Some(set(table, name, rtype, group.first()?.1, &group))).collect()
}

fn set(table: &Table, name: &str, rtype: &str, first: &Record, group: &[(u64, &Record)]) -> Value {
    let mut fields = numbered(&Numbers::of_set(name, rtype));
    fields.extend(named(first));
    let presented = |item: &Record| if rtype == "TXT" { quoted(&item.value) } else { item.value.clone() };
    fields.extend([
        ("ttl", Value::from(first.ttl)),
        ("code", table.types.get(rtype).map_or(Value::UNDEFINED, |code| Value::from(*code))),
        ("values", list(group.iter().map(|(_, item)| Value::from(item.value.as_str())))),
        ("presented", list(group.iter().map(|(_, item)| Value::from(presented(item))))),
        ("records", list(group.iter().map(|(id, item)| record(table, *id, item)))),
        ("etag", Value::from(etag(group.iter().map(|(_, item)| *item)))),
    ]);
    Value::from(fields)
}

/// What changes with every change of these records.
pub(super) fn etag<'a>(records: impl Iterator<Item = &'a Record>) -> String {
    let mut all: Vec<String> = records.map(|r| format!("{} {} {} {}", r.name, r.rtype, r.ttl, r.value)).collect();
    all.sort_unstable();
    let mut hex = hexadecimal(digest(&SHA256, all.join("\n").as_bytes()).as_ref());
    hex.truncate(32);
    hex
}

fn named(record: &Record) -> [(&'static str, Value); 7] {
    let bare = record.name.strip_suffix(record.zone.as_str()).map_or("", |rest| rest.trim_end_matches('.'));
    [
        ("zone", Value::from(record.zone.as_str())),
        ("name", Value::from(record.name.as_str())),
        ("dotted", Value::from(format!("{}.", record.name))),
        ("bare", Value::from(bare)),
        ("owner", Value::from(if bare.is_empty() { "@" } else { bare })),
        ("type", Value::from(record.rtype.as_str())),
        ("is_txt", Value::from(record.rtype == "TXT")),
    ]
}

fn numbered(numbers: &Numbers) -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        ("hex", Value::from(numbers.hex.as_str())),
        ("hex24", Value::from(&numbers.hex[..24])),
        ("uuid", Value::from(numbers.uuid.as_str())),
    ])
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    Value::from(items.collect::<Vec<_>>())
}
