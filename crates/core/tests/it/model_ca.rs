//! A CA that enforces Let's Encrypt's documented limits, written naively: each bucket counts whole and part tokens and
//! drips. It shares no code with the ledger but for the registered domain of a name.
use std::collections::{BTreeSet, HashMap};

use certkeep_core::ledger::registered_domain;
use certkeep_core::name::DnsName;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// What is counted, how many tokens, and microseconds until an empty bucket is full.
const LIMITS: [(&str, i64, i64); 6] = [
    ("accounts", 10, 3 * HOUR),
    ("orders", 300, 3 * HOUR),
    ("domain", 50, 7 * DAY),
    ("set", 5, 7 * DAY),
    ("failed", 5, HOUR),
    ("in a row", 1_152, 1_152 * DAY),
];

/// A bucket: what is in it, in parts of a token so small that one drips in each microsecond.
#[derive(Clone)]
struct Drip {
    parts: i64,
    seen: i64,
}

/// The CA; all instants in microseconds.
#[derive(Clone, Default)]
pub(crate) struct ModelCa {
    buckets: HashMap<(&'static str, String), Drip>,
    /// When it last issued for a set of names.
    issued: HashMap<String, i64>,
    /// Names whose orders are not taken any more before a person has looked.
    pub(crate) paused: BTreeSet<String>,
    /// How often it refused.
    pub(crate) refusals: u64,
}

impl ModelCa {
    fn bucket(&mut self, kind: &'static str, key: &str, now: i64) -> (&mut Drip, i64) {
        let (_, tokens, period) = LIMITS.into_iter().find(|(name, ..)| *name == kind).unwrap();
        let token = period / tokens;
        let drip = self.buckets.entry((kind, key.to_owned())).or_insert(Drip { parts: period, seen: now });
        drip.parts = (drip.parts + (now - drip.seen).max(0)).min(period);
        drip.seen = drip.seen.max(now);
        (drip, token)
    }

    fn has(&mut self, kind: &'static str, key: &str, now: i64) -> bool {
        let (drip, token) = self.bucket(kind, key, now);
        drip.parts >= token
    }

    /// Takes a token if there is one.
    fn take(&mut self, kind: &'static str, key: &str, now: i64) -> bool {
        let (drip, token) = self.bucket(kind, key, now);
        let there = drip.parts >= token;
        if there {
            drip.parts -= token;
        }
        there
    }

    /// Whether it has issued for exactly these names within 120 days.
    fn knows(&self, names: &[DnsName], now: i64) -> bool {
        self.issued.get(&set(names)).is_some_and(|issued| now - issued < 120 * DAY)
    }

    pub(crate) fn would_take_order(&mut self, names: &[DnsName], replaces: bool, now: i64) -> bool {
        if names.iter().any(|name| self.paused.contains(name.as_str())) {
            return false;
        }
        if replaces {
            return true;
        }
        let mut there = names.iter().all(|name| self.has("failed", name.as_str(), now)) && self.has("set", &set(names), now);
        if !self.knows(names, now) {
            there &= self.has("orders", "", now);
            there &= domains(names).iter().all(|domain| self.has("domain", domain, now));
        }
        there
    }

    /// Places an order; `false` is a 429.
    pub(crate) fn order(&mut self, names: &[DnsName], replaces: bool, now: i64) -> bool {
        let there = self.would_take_order(names, replaces, now);
        if !there {
            self.refusals += 1;
        } else if !replaces && !self.knows(names, now) {
            self.take("orders", "", now);
        }
        there
    }

    pub(crate) fn issued(&mut self, names: &[DnsName], now: i64) {
        self.take("set", &set(names), now);
        let known = self.knows(names, now);
        self.issued.insert(set(names), now);
        if !known {
            for domain in domains(names) {
                self.take("domain", &domain, now);
            }
        }
    }

    pub(crate) fn authorization_failed(&mut self, name: &DnsName, now: i64) {
        self.take("failed", name.as_str(), now);
        if !self.take("in a row", name.as_str(), now) {
            self.paused.insert(name.to_string());
        }
    }

    pub(crate) fn authorization_valid(&mut self, name: &DnsName) {
        self.buckets.remove(&("in a row", name.to_string()));
    }

    pub(crate) fn register(&mut self, now: i64) -> bool {
        let there = self.take("accounts", "", now);
        self.refusals += u64::from(!there);
        there
    }
}

fn set(names: &[DnsName]) -> String {
    names.iter().map(DnsName::as_str).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("+")
}

fn domains(names: &[DnsName]) -> BTreeSet<String> {
    names.iter().map(registered_domain).collect()
}
