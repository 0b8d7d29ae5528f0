//! The records of the zones: what is there, what a question gets, what a change may do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{CNAME, NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::text;

/// Time to live in seconds, of negative answers too: nobody shall remember what a test has changed.
pub(crate) const TTL: u32 = 1;
/// How many aliases one answer follows before it stops.
const MAX_CHAIN: usize = 8;

/// Why a record cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// An alias beside other records, or a second alias (RFC 1034 §3.6.2).
    #[error("{name}: conflicts with another record at the same name")]
    Conflict {
        /// The owner of the record.
        name: String,
    },
    /// The content is not what the type asks for.
    #[error("{name}: not a content of type {kind}")]
    Content {
        /// The owner of the record.
        name: String,
        /// The record type as given.
        kind: String,
    },
    /// The same content twice in one set.
    #[error("{name}: duplicate content")]
    Duplicate {
        /// The owner of the record.
        name: String,
    },
    /// The name is not a domain name.
    #[error("{name}: not a domain name")]
    Name {
        /// The name as given.
        name: String,
    },
    /// The name is in none of the zones.
    #[error("{name}: out of zone")]
    OutOfZone {
        /// The owner of the record.
        name: String,
    },
}

/// All records of one type at one name.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) kind: RecordType,
    pub(crate) ttl: u32,
    pub(crate) data: Vec<RData>,
}

/// What the server says to a question.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: ResponseCode,
    pub(crate) authoritative: bool,
    pub(crate) answers: Vec<Record>,
    pub(crate) authorities: Vec<Record>,
}

/// A zone and everything in it, keyed by owner.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    origin: Name,
    soa: SOA,
    names: BTreeMap<Name, Vec<Content>>,
}

/// The zones this server is authoritative for.
#[derive(Debug, Default)]
pub(crate) struct Records {
    zones: RwLock<BTreeMap<Name, Zone>>,
}

impl Records {
    pub(crate) fn add_zone(&self, origin: &str) -> Result<(), RecordError> {
        let origin = parse_name(origin)?;
        let zone = Zone::new(origin.clone())?;
        self.write().entry(origin).or_insert(zone);
        Ok(())
    }

    pub(crate) fn origins(&self) -> Vec<Name> {
        self.read().keys().cloned().collect()
    }

    pub(crate) fn zone(&self, origin: &Name) -> Option<Zone> {
        self.read().get(origin).cloned()
    }

    /// Changes one zone, all of it or nothing.
    pub(crate) fn change(
        &self,
        origin: &Name,
        change: impl FnOnce(&mut Zone) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        let mut zones = self.write();
        let zone = zones.get_mut(origin).ok_or_else(|| RecordError::OutOfZone { name: origin.to_ascii() })?;
        let mut changed = zone.clone();
        change(&mut changed)?;
        changed.soa.serial = changed.soa.serial.wrapping_add(1);
        *zone = changed;
        Ok(())
    }

    /// Replaces one set in the longest zone that holds its owner.
    pub(crate) fn replace(&self, owner: &Name, content: Content) -> Result<(), RecordError> {
        let origin = enclosing(&self.read(), owner).map(|zone| zone.origin.clone());
        let origin = origin.ok_or_else(|| RecordError::OutOfZone { name: owner.to_ascii() })?;
        self.change(&origin, |zone| zone.replace(owner, content))
    }

    /// Answers a question; sets of the type `hidden` are treated as if they were not there.
    pub(crate) fn answer(&self, question: &Name, kind: RecordType, hidden: Option<RecordType>) -> Answer {
        let zones = self.read();
        let mut answer =
            Answer { code: ResponseCode::NoError, authoritative: true, answers: Vec::new(), authorities: Vec::new() };
        let mut owner = question.clone();
        for link in 0..MAX_CHAIN {
            let Some(zone) = enclosing(&zones, &owner) else {
                // An alias may lead out of what is known here; the asker goes on elsewhere.
                if link == 0 {
                    answer.code = ResponseCode::Refused;
                    answer.authoritative = false;
                }
                return answer;
            };
            let Some(contents) = zone.find(&owner) else {
                answer.code = ResponseCode::NXDomain;
                answer.authorities.push(zone.soa_record());
                return answer;
            };
            let seen = || contents.iter().filter(|set| Some(set.kind) != hidden);
            let before = answer.answers.len();
            for set in seen().filter(|set| kind == RecordType::ANY || set.kind == kind) {
                answer.answers.extend(set.records(&owner));
            }
            if owner == zone.origin && matches!(kind, RecordType::ANY | RecordType::SOA) {
                let mut soa = zone.soa_record();
                soa.name = owner.clone();
                answer.answers.push(soa);
            }
            if answer.answers.len() > before {
                return answer;
            }
            let Some((alias, target)) = seen().find_map(|set| Some((set, set.alias()?))) else {
                answer.authorities.push(zone.soa_record());
                return answer;
            };
            answer.answers.extend(alias.records(&owner));
            owner = target.clone();
        }
        answer
    }

    /// Every TXT record: owner without its last dot, value with its strings put together.
    pub(crate) fn txt(&self) -> Vec<(String, String)> {
        let zones = self.read();
        let all = zones.values().flat_map(|zone| &zone.names);
        all.flat_map(|(owner, contents)| contents.iter().map(move |set| (owner, set)))
            .flat_map(|(owner, set)| set.data.iter().map(move |data| (owner, data)))
            .filter_map(|(owner, data)| match data {
                RData::TXT(txt) => {
                    let owner = owner.to_ascii();
                    Some((owner.trim_end_matches('.').to_owned(), text::value(txt)))
                }
                _ => None,
            })
            .collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Name, Zone>> {
        self.zones.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Name, Zone>> {
        self.zones.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Zone {
    /// A zone with SOA, one name server `ns1` and addresses for the apex and everything below.
    fn new(origin: Name) -> Result<Zone, RecordError> {
        let below = |label: &str| origin.prepend_label(label).map_err(|_| RecordError::Name { name: origin.to_ascii() });
        let server = below("ns1")?;
        let loopback = || Content { kind: RecordType::A, ttl: TTL, data: vec![RData::from(Ipv4Addr::LOCALHOST)] };
        let servers = Content { kind: RecordType::NS, ttl: TTL, data: vec![RData::NS(NS(server.clone()))] };
        let soa = SOA::new(server.clone(), below("hostmaster")?, 1, 3600, 600, 86_400, TTL);
        let names = BTreeMap::from([
            (origin.clone(), vec![servers, loopback()]),
            (server, vec![loopback()]),
            (below("*")?, vec![loopback()]),
        ]);
        Ok(Zone { origin, soa, names })
    }

    pub(crate) fn serial(&self) -> u32 {
        self.soa.serial
    }

    /// Every set of the zone with its owner, the SOA first.
    pub(crate) fn contents(&self) -> impl Iterator<Item = (&Name, Content)> {
        let soa = Content { kind: RecordType::SOA, ttl: TTL, data: vec![RData::SOA(self.soa.clone())] };
        let sets = self.names.iter();
        let sets = sets.flat_map(|(owner, sets)| sets.iter().map(move |set| (owner, set.clone())));
        std::iter::once((&self.origin, soa)).chain(sets)
    }

    /// Puts `content` in the place of the set of its type; an empty one removes the set.
    pub(crate) fn replace(&mut self, owner: &Name, content: Content) -> Result<(), RecordError> {
        let name = || owner.to_ascii();
        if !self.origin.zone_of(owner) {
            return Err(RecordError::OutOfZone { name: name() });
        }
        let distinct: BTreeSet<&RData> = content.data.iter().collect();
        if distinct.len() < content.data.len() {
            return Err(RecordError::Duplicate { name: name() });
        }
        let sets = self.names.entry(owner.to_lowercase()).or_default();
        sets.retain(|set| set.kind != content.kind);
        if !content.data.is_empty() {
            let alias_here = sets.iter().any(|set| set.kind == RecordType::CNAME);
            let alias_comes = content.kind == RecordType::CNAME;
            let crowded = alias_comes && (!sets.is_empty() || content.data.len() > 1);
            if alias_here || crowded || (alias_comes && *owner == self.origin) {
                return Err(RecordError::Conflict { name: name() });
            }
            sets.push(content);
        }
        self.names.retain(|_, sets| !sets.is_empty());
        Ok(())
    }

    /// The sets at a name, by wildcard where RFC 4592 §3.3.1 says so; `None` is a name error.
    fn find(&self, owner: &Name) -> Option<&[Content]> {
        if let Some(sets) = self.names.get(owner) {
            return Some(sets);
        }
        if self.exists(owner) {
            return Some(&[]);
        }
        let mut encloser = owner.base_name();
        while !self.exists(&encloser) {
            encloser = encloser.base_name();
        }
        let wildcard = encloser.prepend_label("*").ok()?;
        self.names.get(&wildcard).map(Vec::as_slice)
    }

    /// Whether the name is there, be it only because something is below it (RFC 4592 §2.2.2).
    fn exists(&self, name: &Name) -> bool {
        *name == self.origin || self.names.keys().any(|owner| name.zone_of(owner))
    }

    fn soa_record(&self) -> Record {
        Record::from_rdata(self.origin.clone(), TTL, RData::SOA(self.soa.clone()))
    }
}

impl Content {
    /// Reads contents in presentation form, as a zone file has them.
    pub(crate) fn parse(owner: &Name, kind: &str, ttl: u32, contents: &[&str]) -> Result<Content, RecordError> {
        let wrong = || RecordError::Content { name: owner.to_ascii(), kind: kind.to_owned() };
        let parsed: RecordType = kind.parse().map_err(|_| wrong())?;
        let read = |content: &&str| match parsed {
            RecordType::TXT => text::parse(content).map(RData::TXT),
            // The server alone says what its SOA is.
            RecordType::SOA => None,
            _ => RData::try_from_str(parsed, content).ok().map(canonical),
        };
        let data = contents.iter().map(|content| read(content).ok_or_else(wrong)).collect::<Result<_, _>>()?;
        Ok(Content { kind: parsed, ttl, data })
    }

    /// TXT records that say `values`.
    pub(crate) fn txt(values: &[&str]) -> Content {
        Content {
            kind: RecordType::TXT,
            ttl: TTL,
            data: values.iter().map(|value| RData::TXT(text::from_value(value))).collect(),
        }
    }

    /// The contents in presentation form.
    pub(crate) fn present(&self) -> impl Iterator<Item = String> {
        self.data.iter().map(|data| match data {
            RData::TXT(txt) => text::present(txt),
            other => other.to_string(),
        })
    }

    fn records(&self, owner: &Name) -> impl Iterator<Item = Record> {
        let records = self.data.iter().cloned();
        records.map(move |data| Record::from_rdata(owner.clone(), self.ttl, data))
    }

    fn alias(&self) -> Option<&Name> {
        self.data.iter().find_map(|data| match data {
            RData::CNAME(CNAME(target)) => Some(target),
            _ => None,
        })
    }
}

/// Reads a domain name as an absolute one, in lower case.
pub(crate) fn parse_name(name: &str) -> Result<Name, RecordError> {
    let wrong = || RecordError::Name { name: name.to_owned() };
    let mut parsed = Name::from_ascii(name).map_err(|_| wrong())?;
    if parsed.is_root() || name.is_empty() {
        return Err(wrong());
    }
    parsed.set_fqdn(true);
    Ok(parsed.to_lowercase())
}

fn enclosing<'z>(zones: &'z BTreeMap<Name, Zone>, name: &Name) -> Option<&'z Zone> {
    let holding = zones.values().filter(|zone| zone.origin.zone_of(name));
    holding.max_by_key(|zone| zone.origin.num_labels())
}

/// Names inside a content are absolute here, with or without their last dot.
fn canonical(mut data: RData) -> RData {
    match &mut data {
        RData::CNAME(name) => name.0.set_fqdn(true),
        RData::NS(name) => name.0.set_fqdn(true),
        _ => {}
    }
    data
}
