//! Operations that change the account.
use minijinja::Value;

use super::{Refusal, Work, as_text, eval, expression, reply, text, view};
use crate::vendor::account::{Record, Records};
use crate::vendor::scope::Scope;

/// What a request wants to be there.
struct Wanted {
    name: String,
    rtype: String,
    value: String,
    ttl: Option<u64>,
}

impl Work<'_> {
    /// The records that the request names: one, or one for each of the route's `values` (`it`).
    fn wanted(&self, zone: &str) -> Result<Vec<Wanted>, Refusal> {
        let items: Vec<Option<Value>> = match &self.route.values {
            None => vec![None],
            Some(source) => {
                let list = eval(&format!("({source}) | as_list"), &self.scope);
                list.try_iter().map(|items| items.map(Some).collect()).unwrap_or_default()
            }
        };
        let mut wanted = Vec::new();
        for item in items {
            let mut scope = self.scope.clone();
            if let Some(item) = item {
                scope.insert("it", item);
            }
            let get = |source: &Option<String>| source.as_deref().and_then(|source| text(source, &scope));
            let value = match &self.route.value {
                Some(source) => text(source, &scope),
                None => scope.get("it").and_then(as_text),
            };
            wanted.push(Wanted {
                name: self.full(&get(&self.route.name).unwrap_or_default(), zone)?,
                rtype: self.rtype(&scope).ok_or_else(|| "invalid".to_owned())?,
                value: value.filter(|value| !value.is_empty()).ok_or_else(|| "invalid".to_owned())?,
                ttl: get(&self.route.ttl).and_then(|ttl| ttl.parse().ok()),
            });
        }
        Ok(wanted)
    }

    fn set_of(&self, zone: &str, name: &str, rtype: &str) -> Records {
        let mut records = self.account.of_zone(zone);
        records.retain(|_, record| record.name == name && record.rtype == rtype);
        records
    }

    fn has(&self, zone: &str, wanted: &Wanted) -> bool {
        self.set_of(zone, &wanted.name, &wanted.rtype).values().any(|record| record.value == wanted.value)
    }

    /// Checks what the route demands of the set that is there.
    fn allowed(&self, records: &Records) -> Result<(), Refusal> {
        let given = self.route.etag.as_deref().and_then(|source| text(source, &self.scope));
        if given.is_some_and(|given| given != "*" && given.trim_matches('"') != view::etag(records.values())) {
            return Err("changed".to_owned());
        }
        if self.route.fresh && !records.is_empty() {
            return Err("exists".to_owned());
        }
        if self.route.existing && records.is_empty() {
            return Err("missing".to_owned());
        }
        Ok(())
    }

    pub(super) fn add(&mut self) -> Result<Scope, Refusal> {
        let zone = self.zone()?;
        let wanted = self.wanted(&zone)?;
        for one in &wanted {
            self.allowed(&self.set_of(&zone, &one.name, &one.rtype))?;
            if self.route.unique && self.has(&zone, one) {
                return Err("duplicate".to_owned());
            }
        }
        let new = |one: &Wanted| !(self.route.idempotent && self.has(&zone, one));
        let wanted = wanted.into_iter().filter(new).collect();
        Ok(self.put(&zone, wanted))
    }

    /// Puts records in; the scope knows them as `records`, the last as `r`.
    fn put(&mut self, zone: &str, wanted: Vec<Wanted>) -> Scope {
        let mut scope = self.zone_scope(zone);
        let mut records = Vec::new();
        for Wanted { name, rtype, value, ttl } in wanted {
            let old = self.set_of(zone, &name, &rtype).values().next().map(|record| record.ttl);
            let id = self.account.add(zone, &name, &rtype, &value, ttl.or(old).unwrap_or(300));
            if let Some(most) = self.table.most_values {
                self.account.keep_newest(zone, &name, most);
            }
            if let Some((id, record)) = self.account.find(&id.to_string()) {
                scope = self.record_scope(id, &record);
                records.push(view::record(self.table, id, &record));
            }
        }
        scope.insert("records", Value::from(records));
        scope
    }

    pub(super) fn set(&mut self) -> Result<Scope, Refusal> {
        let zone = self.zone()?;
        let name = match (&self.route.name, &self.route.set) {
            (None, Some(_)) => self.selected(&zone)?.into_values().next().ok_or_else(|| "missing".to_owned())?,
            (source, _) => Record {
                zone: zone.clone(),
                name: self.full(&self.input(source.as_deref()).unwrap_or_default(), &zone)?,
                rtype: self.rtype(&self.scope).ok_or_else(|| "invalid".to_owned())?,
                value: String::new(),
                ttl: 0,
            },
        };
        let Record { name, rtype, .. } = name;
        self.allowed(&self.set_of(&zone, &name, &rtype))?;
        let mut wanted = self.wanted(&zone)?;
        let mut seen: Vec<String> = Vec::new();
        for one in &mut wanted {
            (one.name, one.rtype) = (name.clone(), rtype.clone());
            if seen.contains(&one.value) {
                return Err("duplicate".to_owned());
            }
            seen.push(one.value.clone());
        }
        let old = self.set_of(&zone, &name, &rtype);
        let ttl = old.values().next().map(|record| record.ttl);
        for id in old.keys() {
            self.account.delete(*id);
        }
        wanted.iter_mut().for_each(|one| one.ttl = one.ttl.or(ttl));
        Ok(self.put(&zone, wanted))
    }

    pub(super) fn update(&mut self) -> Result<Scope, Refusal> {
        let (id, record) = self.by_id()?;
        let name = match self.input(self.route.new_name.as_deref()) {
            Some(name) => Some(self.full(&name, &record.zone)?),
            None => None,
        };
        let value = self.input(self.route.value.as_deref());
        let ttl = self.input(self.route.ttl.as_deref()).and_then(|ttl| ttl.parse().ok());
        if let Some(record) = self.account.record_mut(id) {
            record.name = name.unwrap_or_else(|| record.name.clone());
            record.value = value.unwrap_or_else(|| record.value.clone());
            record.ttl = ttl.unwrap_or(record.ttl);
        }
        let (id, record) = self.by_id()?;
        Ok(self.record_scope(id, &record))
    }

    pub(super) fn delete(&mut self) -> Result<Scope, Refusal> {
        let (id, record) = self.by_id()?;
        if self.route.zone.is_some() && self.zone()? != record.zone {
            return Err("missing".to_owned());
        }
        let scope = self.record_scope(id, &record);
        self.account.delete(id);
        Ok(scope)
    }

    pub(super) fn delete_set(&mut self) -> Result<Scope, Refusal> {
        let zone = self.zone()?;
        let mut doomed = Records::new();
        if self.route.values.is_some() || self.route.value.is_some() {
            let wanted = self.wanted(&zone)?;
            for one in &wanted {
                let set = self.set_of(&zone, &one.name, &one.rtype);
                self.allowed(&set)?;
                let gone: Records = set.clone().into_iter().filter(|(_, record)| record.value == one.value).collect();
                let same_ttl = one.ttl.is_none() || gone.values().all(|record| Some(record.ttl) == one.ttl);
                if self.route.exact && (set.len() != wanted.len() || gone.is_empty() || !same_ttl) {
                    return Err(if set.is_empty() { "missing" } else { "differs" }.to_owned());
                }
                doomed.extend(gone);
            }
        } else {
            if self.route.name.is_none() && self.route.set.is_none() {
                return Err("invalid".to_owned());
            }
            doomed = self.selected(&zone)?;
            if self.route.rtype.is_none() && self.route.set.is_none() {
                doomed.retain(|_, record| record.rtype == "TXT");
            }
            self.allowed(&doomed)?;
        }
        if doomed.is_empty() && self.route.strict {
            return Err("missing".to_owned());
        }
        let mut scope = self.zone_scope(&zone);
        if let Some((id, record)) = doomed.iter().next() {
            scope.extend(&self.record_scope(*id, record));
        }
        scope.insert("n", Value::from(doomed.len()));
        for id in doomed.keys() {
            self.account.delete(*id);
        }
        Ok(scope)
    }

    /// The whole zone anew; records of the types in `keep` stay, and with `@` in it those of the zone's own name.
    pub(super) fn replace(&mut self) -> Result<Scope, Refusal> {
        let zone = self.zone()?;
        let current = self.account.of_zone(&zone);
        self.allowed(&current)?;
        let wanted = self.wanted(&zone)?;
        let keep = self.route.keep.clone();
        let own = keep.iter().any(|kept| kept == "@");
        self.account.retain(&zone, |record| keep.contains(&record.rtype) || own && record.name == zone);
        let wanted = wanted.into_iter().filter(|one| !keep.contains(&one.rtype)).collect();
        self.put(&zone, wanted);
        Ok(self.zone_scope(&zone))
    }

    /// Several changes in one request: all of them or none.
    pub(super) fn batch(&mut self) -> Result<Scope, Refusal> {
        let mut scope = match &self.route.zone {
            Some(_) => self.zone_scope(&self.zone()?),
            None => Scope::new(),
        };
        if self.route.etag.is_some() {
            self.allowed(&self.account.of_zone(&self.zone()?))?;
        }
        let before = self.account.clone();
        let mut done = Vec::new();
        for step in &self.route.steps {
            let items: Vec<Value> = match &step.over {
                None => vec![Value::UNDEFINED],
                Some(source) => {
                    let list = eval(&format!("({source}) | as_list"), &self.scope);
                    list.try_iter().map(Iterator::collect).unwrap_or_default()
                }
            };
            for item in items {
                let mut inner = self.scope.clone();
                inner.insert("c", item);
                if step.when.as_ref().is_some_and(|when| !eval(when, &inner).is_true()) {
                    continue;
                }
                let mut route = step.clone();
                route.zone = route.zone.or_else(|| self.route.zone.clone());
                let (table, number) = (self.table, self.number);
                let outcome = Work { table, route: &route, account: self.account, scope: inner, number }.run();
                match outcome {
                    Ok(scope) => {
                        let answer = reply::answer(&route.reply, &scope);
                        let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| answer.body.into());
                        done.push(expression::value(&json));
                    }
                    Err(refusal) => {
                        *self.account = before;
                        return Err(refusal);
                    }
                }
            }
        }
        scope.insert("done", Value::from(done));
        if let Some(zone) = self.route.zone.as_ref().and_then(|_| self.zone().ok()) {
            scope.extend(&self.zone_scope(&zone));
        }
        Ok(scope)
    }
}
