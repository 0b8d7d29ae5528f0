//! What is made of calls: finding the zone, putting a value up, taking it down.
use std::time::Duration;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;
use certkeep_core::ports::AGAIN;
use serde_json::{Map, Value, json};

use super::answer::{Reply, Trouble, as_text};
use super::classify::Stage;
use super::exchange::Patience;
use super::template::{self, Scope};
use super::{Recipe, txt, zone};
use crate::page::{Call, Limit, Single};

/// What is kept of a zone that a call told, with its name as the vendor writes it.
type Found = (String, Map<String, Value>);

impl Recipe {
    /// The longest zone of the account that `name` is in.
    pub(super) async fn zone_of(&self, name: &DnsName) -> Result<Option<Zone>, Trouble> {
        let Some(call) = &self.page.zone else { return Ok(None) };
        let found = if call.unlisted {
            let of_ours = |when| template::is_true(when, &self.scope.clone().with("name", name.as_str()));
            if !call.when.as_deref().map_or(Ok(true), of_ours).map_err(|error| self.fault(Stage::Zone, &error))? {
                return Ok(None);
            }
            // The API knows no zones; what it takes are names.
            Some((name.as_str().to_owned(), Map::from_iter([("unlisted".to_owned(), true.into())])))
        } else {
            let begins = if call.soa { Some(self.zone_of_dns(name).await) } else { None };
            match begins {
                Some(Ok(zone)) => Some((zone, Map::new())),
                Some(Err(failure)) if call.methods().next().is_none() => return Err(Trouble::lasting(failure)),
                _ => self.zone_of_account(call, name).await?,
            }
        };
        let Some((zone, saved)) = found else { return Ok(None) };
        let mut zone = Zone { name: zone, saved: saved.into() };
        for step in &call.then {
            let scope = self.scope_of_zone(&zone).with_json("got", &zone.saved);
            match (self.step(Stage::Zone, step, &scope).await?, zone.saved.as_object_mut()) {
                (Some(more), Some(saved)) => saved.extend(more),
                _ => return Ok(None),
            }
        }
        Ok(Some(zone))
    }

    async fn zone_of_account(&self, call: &Call, name: &DnsName) -> Result<Option<Found>, Trouble> {
        let scope = self.scope.clone().with("name", name.as_str());
        let Some(scope) = self.prepared(Stage::Zone, call, scope).await? else { return Ok(None) };
        let asks = |source: &str| template::wanted(source).is_ok_and(|wanted| wanted.contains("candidate"));
        if !call.sources().into_iter().any(asks) {
            let zones = self.zones(call, &scope).await?;
            return Ok(zone::longest(zones, name));
        }
        for candidate in zone::candidates(name) {
            let zones = self.zones(call, &scope.clone().with("candidate", candidate)).await?;
            let here = |(text, saved): Found| Some((zone::canonical(&text)?, saved));
            if let Some(found) = zones.into_iter().filter_map(here).find(|(text, _)| text == candidate) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The zone whose servers the world asks for `name`.
    async fn zone_of_dns(&self, name: &DnsName) -> Result<String, Failure> {
        let unknown = || Failure::new(Code::ZoneNotFound, Stage::Zone.doing()).about(name.as_str());
        let Some(resolver) = self.shared.resolver.as_ref() else {
            return Err(unknown().fact("nobody is there to ask the DNS"));
        };
        for candidate in zone::candidates(name) {
            let zone = Zone { name: candidate.to_owned(), saved: Value::Null };
            match resolver.confirm_zone(&zone, name).await {
                Ok(()) => return Ok(zone.name),
                Err(failure) if failure.code == Code::ZoneElsewhere => {}
                Err(failure) => {
                    tracing::debug!(flag = self.page.flag, %failure, "the DNS does not tell the zone");
                    return Err(failure);
                }
            }
        }
        Err(unknown().fact("the DNS has no zone for it"))
    }

    async fn zones(&self, call: &Call, scope: &Scope) -> Result<Vec<Found>, Trouble> {
        let mut zones = Vec::new();
        for element in self.list(Stage::Zone, call, scope).await? {
            let mut kept = self.kept(Stage::Zone, call, &Scope::opened(&element, scope))?;
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
        if let Some(slots) = self.slots(scope)? {
            return self.put_into(&slots, call, scope, record).await;
        }
        let place = self.page.single.map(|single| self.place(single, scope, record));
        if let Some(place) = &place {
            if self.shared.held.is_other(&self.account, place, &record.value) {
                return Err(self.occupied());
            }
            if let Some(find) = &self.page.find
                && self.rivals(find, scope, record).await?
            {
                return Err(self.occupied());
            }
        }
        let scope = self.prepared(Stage::Add, call, scope.clone()).await?.ok_or_else(|| self.not_there(Stage::Add))?;
        let mut handle = self.add_once(call, &scope, record).await?;
        if call.doubles {
            let value = a_value(record);
            if self.shared.held.is(&self.account, &value, &record.value) {
                mark_again(&mut handle);
            }
            self.shared.held.put(&self.account, value, &record.value);
        }
        if let Some(place) = place {
            self.shared.held.put(&self.account, place, &record.value);
        }
        self.commit(&scope).await?;
        Ok(handle)
    }

    /// Adds a record. A try that may have been heard is not repeated before looking whether it was.
    pub(super) async fn add_once(&self, call: &Call, scope: &Scope, record: &TxtRecord) -> Result<Value, Trouble> {
        let mut patience = Patience::default();
        let mut unsure = false;
        loop {
            let trouble = match self.once(Stage::Add, call, scope, None).await {
                Ok(Reply::Done(answer)) => {
                    let kept = self.kept(Stage::Add, call, &Scope::opened(&answer, scope))?;
                    let mut handle = self.finished(Stage::Add, call, scope, kept).await.map(Value::from)?;
                    if unsure {
                        mark_again(&mut handle);
                    }
                    return Ok(handle);
                }
                // It has a record of its own already; removal finds it by its value.
                Ok(Reply::Present | Reply::Absent) => return Ok(Value::Null),
                Ok(Reply::Conflict) => {
                    self.until_open(Stage::Add, scope).await?;
                    self.unsettled(Stage::Add)
                }
                Err(trouble) => trouble,
            };
            let Some(pause) = patience.pause(&trouble) else { return Err(trouble) };
            tracing::debug!(flag = self.page.flag, failure = %trouble.failure, "tried again");
            tokio::time::sleep(pause).await;
            unsure |= trouble.unsure;
            if trouble.unsure
                && let Some(find) = &self.page.find
                && let Some(found) = self.ours(find, scope, record).await?.into_iter().next()
            {
                self.caught_up(Stage::Add, scope, &found).await?;
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
        let place = self.page.single.map(|single| self.place(single, scope, record));
        if place.as_ref().is_some_and(|place| self.shared.held.is_other(&self.account, place, &record.value)) {
            // Another value has taken its place, and taking "it" down would take that one.
            return Ok(());
        }
        let Some(call) = &self.page.remove else {
            // The value stays, as the page says by `leaves`, but nobody needs it any more.
            if let Some(place) = place {
                self.shared.held.drop(&self.account, &place);
            }
            return Ok(());
        };
        if let Some(slots) = self.slots(scope)? {
            return self.take_out_of(&slots, call, scope, record, handle).await;
        }
        let doubles = self.page.add.as_ref().is_some_and(|add| add.doubles);
        let twice = |handle: &Map<String, Value>| doubles && handle.get(AGAIN).and_then(Value::as_bool).unwrap_or(false);
        // Some vendors tell only when asked what a record goes by.
        let asked = self.page.find.iter().flat_map(|find| find.keep.keys());
        let suffices = |handle: &Map<String, Value>| asked.clone().all(|key| handle.contains_key(key));
        // Where nothing is kept of a record, name and value are all that its removal needs.
        let empty = |handle: &Map<String, Value>| handle.is_empty() && asked.clone().next().is_some();
        let handle = handle.and_then(Value::as_object).filter(|h| !empty(h) && !twice(h) && suffices(h));
        let records = match (handle, &self.page.find) {
            (Some(handle), _) => vec![handle.clone()],
            (None, Some(find)) => self.ours(find, scope, record).await?,
            (None, None) => vec![Map::new()],
        };
        for found in &records {
            let scope = scope.clone().with_json("record", found);
            let Some(scope) = self.prepared(Stage::Remove, call, scope).await? else { continue };
            let reply = match (self.call_open(Stage::Remove, call, &scope).await, &self.page.find) {
                // What a vendor says of a record that is gone is told nowhere for many: looking tells.
                (Err(trouble), Some(find)) if trouble.failure.code == Code::RecordRefused => {
                    if !self.ours(find, &scope, record).await?.is_empty() {
                        return Err(trouble);
                    }
                    Reply::Absent
                }
                (reply, _) => reply?,
            };
            match reply {
                Reply::Done(answer) => {
                    let kept = self.kept(Stage::Remove, call, &Scope::opened(&answer, &scope))?;
                    self.finished(Stage::Remove, call, &scope, kept).await?;
                }
                Reply::Conflict => return Err(self.unsettled(Stage::Remove)),
                Reply::Absent | Reply::Present => {}
            }
        }
        for place in place.into_iter().chain(doubles.then(|| a_value(record))) {
            self.shared.held.drop(&self.account, &place);
        }
        if !records.is_empty() {
            self.commit(scope).await?;
        }
        Ok(())
    }

    /// What is kept of every record that has our name and value.
    async fn ours(&self, find: &Call, scope: &Scope, record: &TxtRecord) -> Result<Vec<Map<String, Value>>, Trouble> {
        let Some(scope) = self.prepared(Stage::Find, find, scope.clone()).await? else { return Ok(Vec::new()) };
        let mut ours = Vec::new();
        for element in self.list(Stage::Find, find, &scope).await? {
            let opened = Scope::opened(&element, &scope);
            if self.has_value(find.value.as_deref(), &opened, record)? {
                ours.push(self.kept(Stage::Find, find, &opened)?);
            }
        }
        Ok(ours)
    }

    /// Whether another value is at our name.
    async fn rivals(&self, find: &Call, scope: &Scope, record: &TxtRecord) -> Result<bool, Trouble> {
        let Some(scope) = self.prepared(Stage::Find, find, scope.clone()).await? else { return Ok(false) };
        for element in self.list(Stage::Find, find, &scope).await? {
            if !self.has_value(find.value.as_deref(), &Scope::opened(&element, &scope), record)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn has_value(&self, source: Option<&str>, opened: &Scope, record: &TxtRecord) -> Result<bool, Trouble> {
        let value = self.found(Stage::Find, source.unwrap_or_default(), opened)?;
        Ok(value.is_some_and(|value| txt::unquoted(&as_text(&value)) == record.value))
    }

    async fn commit(&self, scope: &Scope) -> Result<(), Trouble> {
        let Some(call) = &self.page.commit else { return Ok(()) };
        let due = call.when.as_deref().map_or(Ok(true), |when| template::is_true(when, scope));
        if !due.map_err(|error| self.fault(Stage::Commit, &error))? {
            return Ok(());
        }
        let scope = self.prepared(Stage::Commit, call, scope.clone()).await?;
        let scope = scope.ok_or_else(|| self.not_there(Stage::Commit))?;
        match self.call(Stage::Commit, call, &scope).await? {
            Reply::Done(answer) => {
                let kept = self.kept(Stage::Commit, call, &Scope::opened(&answer, &scope))?;
                self.finished(Stage::Commit, call, &scope, kept).await.map(drop)
            }
            Reply::Conflict => Err(self.unsettled(Stage::Commit)),
            // Nothing is left to be committed.
            Reply::Absent | Reply::Present => Ok(()),
        }
    }

    /// Where a vendor that holds one value has it.
    fn place(&self, single: Single, scope: &Scope, record: &TxtRecord) -> String {
        match single {
            Single::Name => record.name.as_str().to_owned(),
            Single::Zone => scope.zone().unwrap_or_else(|| record.name.as_str().to_owned()),
        }
    }

    /// The vendor holds one value, and another one is up.
    pub(super) fn occupied(&self) -> Trouble {
        let failure = self.failure(Stage::Add, Code::RecordRefused);
        Trouble::lasting(failure.fact("this vendor holds one value, and another one is up: it would take its place"))
    }

    /// The account has made as many calls as its vendor allows.
    pub(super) fn over_limit(&self, stage: Stage, limit: &Limit, wait: Duration) -> Trouble {
        let failure = self.failure(stage, Code::ProviderRateLimited);
        let failure =
            failure.fact(format!("the vendor allows {} calls within {} seconds, which are made", limit.calls, limit.within));
        Trouble::lasting(failure.not_before(self.shared.clock.now().checked_add(wait).ok()))
    }

    /// Somebody else is changing the same thing: it may do better in a moment.
    pub(super) fn unsettled(&self, stage: Stage) -> Trouble {
        let failure: Failure = self.failure(stage, Code::ProviderError).fact("somebody else is changing the same records");
        Trouble { passing: true, ..Trouble::lasting(failure) }
    }

    /// The zone's data, for templates.
    pub(super) fn scope_of_zone(&self, zone: &Zone) -> Scope {
        let mut fields = zone.saved.as_object().cloned().unwrap_or_default();
        fields.insert("name".to_owned(), json!(zone.name));
        self.scope.clone().with_json("zone", &fields)
    }
}

/// What a value that may be there twice is called among all that is held of an account.
fn a_value(record: &TxtRecord) -> String {
    format!("value {} at {}", record.value, record.name)
}

/// The value may have been put up before.
fn mark_again(handle: &mut Value) {
    if let Some(handle) = handle.as_object_mut().filter(|handle| !handle.is_empty()) {
        handle.insert(AGAIN.to_owned(), true.into());
    }
}
