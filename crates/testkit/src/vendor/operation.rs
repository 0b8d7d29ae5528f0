//! What a route does with the account. A refusal is the name of an error reply.
mod write;

use minijinja::Value;

use super::account::{Account, Numbers, Record, Records, uuid};
use super::expression::{self, as_text, eval, hexadecimal, matches, text};
use super::reply;
use super::scope::Scope;
use super::table::{Names, Operation, Paging, Reply, Route, Table};
use super::view;

/// The name of an error reply.
pub(super) type Refusal = String;

/// One route at work on the account.
pub(super) struct Work<'a> {
    pub(super) table: &'a Table,
    pub(super) route: &'a Route,
    pub(super) account: &'a mut Account,
    /// What the request says.
    pub(super) scope: Scope,
    /// Grows with every request; ids of requests and jobs are made of it.
    pub(super) number: usize,
}

impl Work<'_> {
    /// Does it; what the reply's template knows.
    pub(super) fn run(&mut self) -> Result<Scope, Refusal> {
        if self.route.discards {
            let zone = self.zone()?;
            self.account.discard(&zone);
        }
        let before = self.table.commit.then(|| self.account.clone());
        let mut scope = self.scope.clone();
        scope.extend(&self.outcome()?);
        if self.route.job > 0 {
            let id = job_id(self.number);
            self.account.start_job(&id, self.route.job);
            scope.insert("job", Value::from(id));
        }
        if let Some(before) = before {
            self.account.hold_back(&before);
        }
        if self.route.commits {
            let zone = self.route.zone.as_ref().and_then(|source| text(source, &self.scope));
            let zone = zone.and_then(|zone| self.account.zone(&zone));
            self.account.publish(zone.as_deref());
        }
        Ok(scope)
    }

    fn outcome(&mut self) -> Result<Scope, Refusal> {
        for (refusal, source) in &self.route.must {
            if !eval(source, &self.scope).is_true() {
                return Err(refusal.clone());
            }
        }
        match self.route.op {
            Operation::Static => Ok(Scope::new()),
            Operation::Zones => self.zones(),
            Operation::Zone => Ok(self.zone_scope(&self.zone()?)),
            Operation::List => self.list(),
            Operation::One => {
                let (id, record) = self.by_id()?;
                Ok(self.record_scope(id, &record))
            }
            Operation::Job => {
                let id = self.input(self.route.id.as_deref()).unwrap_or_default();
                let done = self.account.poll(&id);
                Ok(Scope::from([("job", Value::from(id)), ("done", Value::from(done))]))
            }
            Operation::Add => self.add(),
            Operation::Set => self.set(),
            Operation::Update => self.update(),
            Operation::Delete => self.delete(),
            Operation::DeleteSet => self.delete_set(),
            Operation::Replace => self.replace(),
            Operation::Batch => self.batch(),
        }
    }

    /// An input of the route as text.
    fn input(&self, source: Option<&str>) -> Option<String> {
        source.and_then(|source| text(source, &self.scope))
    }

    fn zones(&self) -> Result<Scope, Refusal> {
        let filter = self.input(self.route.filter.as_deref()).filter(|filter| !filter.is_empty());
        let filter = filter.map(|filter| filter.trim_end_matches('.').to_ascii_lowercase());
        let like = self.input(self.route.like.as_deref()).unwrap_or_default();
        let wanted = |zone: &String| filter.as_ref().is_none_or(|filter| matches(filter, zone)) && zone.contains(&like);
        let found: Vec<String> = self.account.zones().into_iter().filter(wanted).collect();
        if found.is_empty() && self.route.strict {
            return Err("not_found".to_owned());
        }
        if let (true, Some(refusal)) = (found.is_empty(), &self.route.empty) {
            return Err(refusal.clone());
        }
        let zones: Vec<Value> = found.iter().map(|zone| view::zone(self.account, self.table, zone)).collect();
        let mut scope = Scope::from([("z", zones.first().cloned().unwrap_or_default())]);
        self.put_page(&mut scope, "zones", zones);
        Ok(scope)
    }

    fn list(&self) -> Result<Scope, Refusal> {
        let (mut scope, records) = if self.route.everywhere {
            let all = self.account.zones().into_iter().flat_map(|zone| self.account.of_zone(&zone)).collect();
            (Scope::new(), all)
        } else {
            let zone = self.zone()?;
            (self.zone_scope(&zone), self.selected(&zone)?)
        };
        if let (true, Some(refusal)) = (records.is_empty(), &self.route.empty) {
            return Err(refusal.clone());
        }
        let listed: Vec<Value> = records.iter().map(|(id, record)| view::record(self.table, *id, record)).collect();
        let sets = view::sets(self.table, &records);
        if let (Some(r), Some(s)) = (listed.first(), sets.first()) {
            scope.extend(&Scope::from([("r", r.clone()), ("s", s.clone())]));
        }
        if self.route.by_sets {
            scope.insert("records", Value::from(listed));
            self.put_page(&mut scope, "sets", sets);
        } else {
            scope.insert("sets", Value::from(sets));
            self.put_page(&mut scope, "records", listed);
        }
        Ok(scope)
    }

    /// The records of a zone that the route asks for.
    fn selected(&self, zone: &str) -> Result<Records, Refusal> {
        let name = match self.input(self.route.name.as_deref()) {
            Some(name) if !(name.is_empty() && self.route.names == Names::Full) => Some(self.full(&name, zone)?),
            _ => None,
        };
        let rtype = self.rtype(&self.scope).filter(|_| self.route.rtype.is_some());
        let rtype = rtype.filter(|rtype| !rtype.is_empty() && rtype != "ANY");
        let id = self.input(self.route.id.as_deref());
        let set = self.input(self.route.set.as_deref());
        let like = self.input(self.route.like.as_deref()).unwrap_or_default();
        let value = self.input(self.route.value.as_deref()).filter(|value| !value.is_empty());
        let active = self.route.active.as_deref().is_some_and(|source| eval(source, &self.scope).is_true());
        let mut records = if active { self.account.seen_of_zone(zone) } else { self.account.of_zone(zone) };
        records.retain(|number, record| {
            name.as_ref()
                .is_none_or(|name| record.name == *name || self.route.below && record.name.ends_with(&format!(".{name}")))
                && rtype.as_ref().is_none_or(|types| types.split(',').any(|rtype| rtype == record.rtype))
                && id.as_ref().is_none_or(|id| Numbers::of_record(*number).is(id))
                && set.as_ref().is_none_or(|set| Numbers::of_set(&record.name, &record.rtype).is(set))
                && value.as_ref().is_none_or(|value| *value == record.value)
                && record.name.contains(&like)
        });
        Ok(records)
    }

    /// The zone that the request is about: the one it names, or the one that its record or name is in.
    pub(super) fn zone(&self) -> Result<String, Refusal> {
        let missing = || "not_found".to_owned();
        if let Some(source) = &self.route.zone {
            let key = text(source, &self.scope).ok_or_else(missing)?;
            return self.account.zone(&key).ok_or_else(missing);
        }
        if let Some(id) = self.input(self.route.id.as_deref()) {
            return self.account.find(&id).map(|(_, record)| record.zone).ok_or_else(|| "missing".to_owned());
        }
        if let Some(key) = self.input(self.route.set.as_deref()) {
            let all = self.account.zones().into_iter().flat_map(|zone| self.account.of_zone(&zone).into_values());
            let found = all.into_iter().find(|record| Numbers::of_set(&record.name, &record.rtype).is(&key));
            return found.map(|record| record.zone).ok_or_else(|| "missing".to_owned());
        }
        let name = self.input(self.route.name.as_deref()).ok_or_else(missing)?;
        self.account.zone_of(&name).ok_or_else(missing)
    }

    fn by_id(&self) -> Result<(u64, Record), Refusal> {
        if self.route.zone.is_some() {
            self.zone()?;
        }
        let id = self.input(self.route.id.as_deref()).unwrap_or_default();
        self.account.find(&id).ok_or_else(|| "missing".to_owned())
    }

    /// The type that a request names; TXT where the route has none.
    fn rtype(&self, scope: &Scope) -> Option<String> {
        let Some(source) = &self.route.rtype else { return Some("TXT".to_owned()) };
        let given = text(source, scope)?;
        let known = self.table.types.iter().find(|(_, code)| code.to_string() == given);
        Some(known.map_or_else(|| given.to_ascii_uppercase(), |(name, _)| name.clone()))
    }

    /// The whole name of what a request calls `name`.
    fn full(&self, name: &str, zone: &str) -> Result<String, Refusal> {
        let dotted = name.ends_with('.');
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let whole = name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'));
        let below = if matches!(name.as_str(), "" | "@") { zone.to_owned() } else { format!("{name}.{zone}") };
        match self.route.names {
            Names::Relative => Ok(below),
            Names::Full | Names::ZoneFile if whole && (dotted || self.route.names == Names::Full) => Ok(name),
            Names::Full => Err("outside".to_owned()),
            Names::ZoneFile if dotted => Err("outside".to_owned()),
            Names::ZoneFile => Ok(below),
            Names::Either => Ok(if whole { name } else { below }),
        }
    }

    fn zone_scope(&self, zone: &str) -> Scope {
        Scope::from([("z", view::zone(self.account, self.table, zone))])
    }

    fn record_scope(&self, id: u64, record: &Record) -> Scope {
        let mut scope = self.zone_scope(&record.zone);
        scope.insert("r", view::record(self.table, id, record));
        let mut set = self.account.of_zone(&record.zone);
        set.retain(|_, other| (&other.name, &other.rtype) == (&record.name, &record.rtype));
        if let Some(s) = view::sets(self.table, &set).into_iter().next() {
            scope.insert("s", s);
        }
        scope
    }

    /// Puts the part of a list into the scope that the request asks for, and the numbers that go with it.
    fn put_page(&self, scope: &mut Scope, name: &str, items: Vec<Value>) {
        let total = items.len();
        let none = Paging::default();
        let paging = self.route.paging.as_ref();
        let rules = paging.unwrap_or(&none);
        let number = |source: &Option<String>| self.input(source.as_deref()).and_then(|text| text.parse::<usize>().ok());
        let most = rules.most.unwrap_or(usize::MAX);
        let per =
            if paging.is_some() { number(&rules.size).or(rules.default).unwrap_or(50).clamp(1, most) } else { total.max(1) };
        let first = rules.first.unwrap_or(1);
        let start = match (&rules.page, &rules.offset, &rules.after) {
            (page @ Some(_), ..) => number(page).unwrap_or(first).saturating_sub(first).saturating_mul(per),
            (_, offset @ Some(_), _) => number(offset).unwrap_or_default(),
            (.., after) => number(after).unwrap_or_default(),
        };
        let shown: Vec<Value> = items.into_iter().skip(start).take(per).collect();
        let more = start.saturating_add(per) < total;
        let page = start / per + first;
        let some = |number: usize| if more { Value::from(number.to_string()) } else { Value::from(()) };
        scope.extend(&Scope::from([
            ("n", Value::from(shown.len())),
            ("total", Value::from(total)),
            ("per", Value::from(per)),
            ("page", Value::from(page)),
            ("pages", Value::from(total.div_ceil(per).max(1))),
            ("more", Value::from(more)),
            ("next", some(start.saturating_add(per))),
            ("next_page", some(page + 1)),
            (name, Value::from(shown)),
        ]));
    }

    /// The reply to a refusal: the route's, the table's, or a plain one.
    pub(super) fn refusal(&self, name: &str) -> Reply {
        refusal(self.table, Some(self.route), name)
    }
}

/// The reply to a refusal: the route's, the table's, or a plain one.
pub(super) fn refusal(table: &Table, route: Option<&Route>, name: &str) -> Reply {
    let also = match name {
        "missing" | "outside" => "not_found",
        "unauthorized" | "throttled" | "not_found" => name,
        _ => "invalid",
    };
    let of = |name: &str| route.and_then(|route| route.refuse.get(name)).or_else(|| table.refuse.get(name)).cloned();
    let status = match also {
        "unauthorized" => 401,
        "throttled" => 429,
        "not_found" => 404,
        _ => 400,
    };
    of(name).or_else(|| of(also)).unwrap_or_else(|| Reply { status: Some(status), ..Reply::default() })
}

/// The id of the job that the request with this number asks for.
pub(super) fn job_id(number: usize) -> String {
    uuid(&format!("{:032x}", 0x006a_6f62_0000 + number))
}

/// The session or request id with this number.
pub(super) fn request_id(number: usize) -> String {
    let octets = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("request {number}").as_bytes());
    uuid(&hexadecimal(octets.as_ref())[..32])
}
