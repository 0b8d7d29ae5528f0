//! What is made of calls: finding the zone, putting a value up, taking it down.
use certkeep_core::failure::Code;
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;
use serde_json::{Map, Value, json};

use super::answer::{Reply, Trouble, as_text};
use super::classify::Stage;
use super::exchange::Patience;
use super::template::{self, Scope};
use super::{Recipe, txt, zone};
use crate::page::{Call, Set};

/// The most pages of one list that are read.
const MOST_PAGES: u32 = 200;

impl Recipe {
    /// The longest zone of the account that `name` is in.
    pub(super) async fn zone_of(&self, name: &DnsName) -> Result<Option<Zone>, Trouble> {
        let Some(call) = &self.page.zone else { return Ok(None) };
        if call.unlisted {
            return Ok(Some(Zone { name: name.as_str().to_owned(), saved: json!({ "unlisted": true }) }));
        }
        let asks = call.methods().map(|(_, path)| path).chain(call.query.values().map(String::as_str));
        let by_candidate =
            asks.into_iter().any(|source| template::wanted(source).is_ok_and(|wanted| wanted.contains("candidate")));
        if !by_candidate {
            let zones = self.zones(call, &self.scope).await?;
            return Ok(zone::longest(zones, name).map(|(name, saved)| Zone { name, saved: saved.into() }));
        }
        for candidate in zone::candidates(name) {
            let zones = self.zones(call, &self.scope.clone().with("candidate", candidate)).await?;
            let here = |(text, saved): (String, Map<String, Value>)| Some((zone::canonical(&text)?, saved));
            if let Some((name, saved)) = zones.into_iter().filter_map(here).find(|(text, _)| text == candidate) {
                return Ok(Some(Zone { name, saved: saved.into() }));
            }
        }
        Ok(None)
    }

    async fn zones(&self, call: &Call, scope: &Scope) -> Result<Vec<(String, Map<String, Value>)>, Trouble> {
        let mut zones = Vec::new();
        for element in self.list(Stage::Zone, call, scope).await? {
            let mut kept = self.kept(Stage::Zone, call, &Scope::of_element(&element))?;
            let name = kept.remove("name").map(|name| as_text(&name)).unwrap_or_default();
            zones.push((name, kept));
        }
        Ok(zones)
    }

    /// Puts a value up; what is answered finds it again.
    pub(super) async fn put_up(&self, scope: &Scope, record: &TxtRecord) -> Result<Value, Trouble> {
        if let Some(set) = &self.page.set {
            if self.change_set(set, scope, record, true).await? {
                self.commit(scope).await?;
            }
            return Ok(Value::Null);
        }
        let Some(call) = &self.page.add else { return Ok(Value::Null) };
        let handle = self.add_once(call, scope, record).await?;
        self.commit(scope).await?;
        Ok(handle)
    }

    /// Adds a record. A try that may have been heard is not repeated before looking whether it was.
    async fn add_once(&self, call: &Call, scope: &Scope, record: &TxtRecord) -> Result<Value, Trouble> {
        let mut patience = Patience::default();
        loop {
            let trouble = match self.once(Stage::Add, call, scope).await {
                Ok(Reply::Done(answer)) => {
                    return self.kept(Stage::Add, call, &Scope::of_answer(&answer, 1)).map(Value::from);
                }
                // It has a record of its own already; removal finds it by its value.
                Ok(Reply::Present | Reply::Absent) => return Ok(Value::Null),
                Err(trouble) => trouble,
            };
            let Some(pause) = patience.pause(&trouble) else { return Err(trouble) };
            tracing::debug!(flag = self.page.flag, failure = %trouble.failure, "tried again");
            tokio::time::sleep(pause).await;
            if trouble.unsure
                && let Some(find) = &self.page.find
                && let Some(found) = self.ours(find, scope, record).await?.into_iter().next()
            {
                return Ok(found.into());
            }
        }
    }

    /// Takes a value down, by its handle where that is enough.
    pub(super) async fn take_down(&self, scope: &Scope, record: &TxtRecord, handle: Option<&Value>) -> Result<(), Trouble> {
        if let Some(set) = &self.page.set {
            if self.change_set(set, scope, record, false).await? {
                self.commit(scope).await?;
            }
            return Ok(());
        }
        let Some(call) = &self.page.remove else { return Ok(()) };
        let doubles = self.page.add.as_ref().is_some_and(|add| add.doubles);
        let handle = handle.and_then(Value::as_object).filter(|handle| !handle.is_empty() && !doubles);
        let records = match (handle, &self.page.find) {
            (Some(handle), _) => vec![handle.clone()],
            (None, Some(find)) => self.ours(find, scope, record).await?,
            (None, None) => vec![Map::new()],
        };
        for found in &records {
            let scope = scope.clone().with_json("record", found);
            self.call(Stage::Remove, call, &scope).await?;
        }
        if !records.is_empty() {
            self.commit(scope).await?;
        }
        Ok(())
    }

    /// What is kept of every record that has our name and value.
    async fn ours(&self, find: &Call, scope: &Scope, record: &TxtRecord) -> Result<Vec<Map<String, Value>>, Trouble> {
        let mut ours = Vec::new();
        for element in self.list(Stage::Find, find, scope).await? {
            let opened = Scope::of_element(&element);
            if self.has_value(find.value.as_deref(), &opened, record)? {
                ours.push(self.kept(Stage::Find, find, &opened)?);
            }
        }
        Ok(ours)
    }

    fn has_value(&self, source: Option<&str>, opened: &Scope, record: &TxtRecord) -> Result<bool, Trouble> {
        let value = self.found(Stage::Find, source.unwrap_or_default(), opened)?;
        Ok(value.is_some_and(|value| txt::unquoted(&as_text(&value)) == record.value))
    }

    /// Every element of a list, page after page, that is like `where` says. Nothing being there is an empty list; an
    /// answer without the list is none.
    async fn list(&self, stage: Stage, call: &Call, scope: &Scope) -> Result<Vec<Value>, Trouble> {
        let only = call.only.iter().map(|(key, source)| Ok((key.as_str(), template::text(source, scope)?)));
        let only: Vec<_> = only.collect::<Result<_, _>>().map_err(|error| self.fault(stage, &error))?;
        let mut elements = Vec::new();
        for page in 1..=MOST_PAGES {
            let reply = self.call(stage, call, &scope.clone().with("page", page)).await?;
            let Reply::Done(answer) = reply else { break };
            let opened = Scope::of_answer(&answer, page);
            let each = call.each.as_deref().unwrap_or_default();
            let Some(Value::Array(list)) = self.found(stage, each, &opened)? else {
                let failure = self.judge(stage).failure(Code::ProviderUnreadable);
                return Err(Trouble::lasting(failure.fact(format!("the answer has no list {each}"))));
            };
            let empty = list.is_empty();
            for element in list {
                if self.fits(stage, &only, &element)? {
                    elements.push(element);
                }
            }
            let next = call.next.as_deref().map_or(Ok(false), |next| template::is_true(next, &opened));
            if empty || !next.map_err(|error| self.fault(stage, &error))? {
                break;
            }
        }
        Ok(elements)
    }

    /// Whether an element is like `where` says; case and a dot at the end do not matter.
    fn fits(&self, stage: Stage, only: &[(&str, String)], element: &Value) -> Result<bool, Trouble> {
        let opened = Scope::of_element(element);
        for (key, expected) in only {
            let found = self.found(stage, key, &opened)?.map(|found| as_text(&found)).unwrap_or_default();
            if !found.trim_end_matches('.').eq_ignore_ascii_case(expected.trim_end_matches('.')) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads a set, changes it and writes it back; answers whether it had to be written.
    async fn change_set(&self, set: &Set, scope: &Scope, record: &TxtRecord, up: bool) -> Result<bool, Trouble> {
        let opened = self.list(Stage::Find, &set.read, scope).await?.first().map(Scope::of_element);
        let read = |source| opened.as_ref().map_or(Ok(None), |opened| self.found(Stage::Find, source, opened));
        let mut entries = match read(&set.entries)? {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        };
        let mut others = Vec::new();
        for entry in &entries {
            if !self.has_value(Some(&set.value), &Scope::of_element(entry), record)? {
                others.push(entry.clone());
            }
        }
        let there = others.len() < entries.len();
        if there == up {
            return Ok(false);
        }
        let stage = if up { Stage::Add } else { Stage::Remove };
        if up {
            entries.push(template::json(&set.entry, scope).map_err(|error| self.fault(stage, &error))?);
        } else {
            entries = others;
        }
        let mut scope = scope.clone().with_json("entries", &entries);
        scope = match read(&set.ttl)? {
            Some(ttl) => scope.with_json("ttl", &ttl),
            None => scope.aliased("TTL", "ttl"),
        };
        self.call(stage, &set.write, &scope).await?;
        Ok(true)
    }

    async fn commit(&self, scope: &Scope) -> Result<(), Trouble> {
        let Some(call) = &self.page.commit else { return Ok(()) };
        let due = call.when.as_deref().map_or(Ok(true), |when| template::is_true(when, scope));
        if due.map_err(|error| self.fault(Stage::Commit, &error))? {
            self.call(Stage::Commit, call, scope).await?;
        }
        Ok(())
    }

    /// What `keep` finds; something that is not there makes the answer unreadable.
    fn kept(&self, stage: Stage, call: &Call, opened: &Scope) -> Result<Map<String, Value>, Trouble> {
        let mut kept = Map::new();
        for (key, source) in &call.keep {
            let Some(value) = self.found(stage, source, opened)? else {
                let failure = self.judge(stage).failure(Code::ProviderUnreadable);
                return Err(Trouble::lasting(failure.fact(format!("the answer has no {source}"))));
            };
            kept.insert(key.clone(), value);
        }
        Ok(kept)
    }

    fn found(&self, stage: Stage, source: &str, opened: &Scope) -> Result<Option<Value>, Trouble> {
        template::expression(source, opened).map_err(|error| self.fault(stage, &error))
    }
}
