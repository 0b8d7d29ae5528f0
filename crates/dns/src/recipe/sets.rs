//! All values of a name, or all records of a zone, as one object: read, changed, written back, and read again where
//! somebody else was faster.
use std::time::Duration;

use certkeep_core::failure::Code;
use certkeep_core::issuance::TxtRecord;
use serde_json::{Map, Value};

use super::Recipe;
use super::answer::{Answer, Reply, Trouble};
use super::classify::Stage;
use super::exchange::Patience;
use super::template::{self, Scope};
use crate::page::{Call, Set};

/// The pauses before a set is read again that somebody else changed.
const AGAIN: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1500)];

/// What came of a change.
enum Change {
    Conflict,
    /// The call that adds an entry went wrong: whether it was heard, reading tells.
    Lost(Trouble),
    /// Nothing had to be written.
    Needless,
    Written,
}

/// The entries of a set.
struct Parted {
    /// Those with our name and value.
    ours: Vec<Value>,
    /// All entries but ours.
    others: Vec<Value>,
    /// Whether another value is at our name.
    rival: bool,
}

/// Of a set that is not there whatever would be kept is empty.
fn nothing_kept(set: &Set) -> Map<String, Value> {
    set.read.keep.keys().map(|key| (key.clone(), "".into())).collect()
}

impl Recipe {
    /// Reads a set, changes it and writes it back; answers whether it had to be written.
    pub(super) async fn change_set(&self, set: &Set, scope: &Scope, record: &TxtRecord, up: bool) -> Result<bool, Trouble> {
        if let Some(create) = set.create.as_ref().filter(|_| up && set.unread)
            && self.create_unread(set, create, scope).await?
        {
            return Ok(true);
        }
        let (mut pauses, mut patience, mut lost) = (AGAIN.iter(), Patience::default(), false);
        loop {
            let pause = match self.change_set_once(set, scope, record, up).await? {
                Change::Needless => return Ok(lost),
                Change::Written => return Ok(true),
                Change::Conflict => {
                    let stage = if up { Stage::Add } else { Stage::Remove };
                    self.until_open(stage, scope).await?;
                    pauses.next().copied().ok_or_else(|| {
                        let failure = self.failure(stage, Code::ProviderError);
                        Trouble::lasting(failure.fact("somebody else changed the records at every try"))
                    })?
                }
                Change::Lost(trouble) => {
                    lost |= trouble.unsure;
                    patience.pause(&trouble).ok_or(trouble)?
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn change_set_once(&self, set: &Set, scope: &Scope, record: &TxtRecord, up: bool) -> Result<Change, Trouble> {
        let stage = if up { Stage::Add } else { Stage::Remove };
        let scope = match self.prepared(Stage::Find, &set.read, scope.clone()).await? {
            Some(scope) => scope,
            None if up => return Err(self.not_there(stage)),
            None => return Ok(Change::Needless),
        };
        let answer = self.read_set(set, &scope).await?;
        let opened = answer.as_ref().map(|answer| Scope::opened(answer, &scope));
        let read = |source: &str| opened.as_ref().map_or(Ok(None), |opened| self.found(Stage::Find, source, opened));
        let before = match read(set.entries.as_deref().unwrap_or("answer"))? {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        };
        let Parted { ours, others, rival } = self.parted(set, &scope, record, answer.as_ref(), &before)?;
        if up != ours.is_empty() {
            return Ok(Change::Needless);
        }
        if up && rival && self.page.single.is_some() {
            return Err(self.occupied());
        }
        let mut scope = match set.ttl.as_deref().map(read) {
            Some(Ok(Some(ttl))) => scope.with_json("ttl", &ttl),
            Some(Err(trouble)) => return Err(trouble),
            Some(Ok(None)) | None => scope.aliased("TTL", "ttl"),
        };
        let (entries, added) = if up {
            let new = template::json(&set.entry, &scope).map_err(|error| self.fault(stage, &error))?;
            (before.iter().chain([&new]).cloned().collect(), vec![new.clone()])
        } else {
            (others, Vec::new())
        };
        let kept = match &opened {
            Some(opened) => self.kept(Stage::Find, &set.read, opened)?,
            None => nothing_kept(set),
        };
        scope = scope.with_json("set", &kept);
        let call = match (&set.create, &set.add, &set.clear) {
            (Some(create), ..) if opened.is_none() => create,
            (_, Some(add), _) if up => add,
            (.., Some(clear)) if entries.is_empty() => clear,
            _ => &set.write,
        };
        scope = scope.with_json("entries", &entries).with_json("before", &before);
        scope = scope.with_json("added", &added).with_json("removed", &ours);
        let scope = self.prepared(stage, call, scope).await?.ok_or_else(|| self.not_there(stage))?;
        let reply = if set.add.as_ref().is_some_and(|add| std::ptr::eq(add, call)) {
            // Made twice it would add two.
            match self.once(stage, call, &scope, None).await {
                Ok(reply) => reply,
                Err(trouble) => return Ok(Change::Lost(trouble)),
            }
        } else {
            self.call(stage, call, &scope).await?
        };
        match reply {
            Reply::Done(answer) => {
                let kept = self.kept(stage, call, &Scope::opened(&answer, &scope))?;
                self.finished(stage, call, &scope, kept).await?;
                Ok(Change::Written)
            }
            Reply::Conflict => Ok(Change::Conflict),
            // It came, or went, since it was read.
            Reply::Present | Reply::Absent if up => Ok(Change::Conflict),
            Reply::Present | Reply::Absent => Ok(Change::Written),
        }
    }

    /// Makes the set with our entry alone; answers whether there was none.
    async fn create_unread(&self, set: &Set, create: &Call, scope: &Scope) -> Result<bool, Trouble> {
        let entry = template::json(&set.entry, scope).map_err(|error| self.fault(Stage::Add, &error))?;
        let scope = scope
            .clone()
            .aliased("TTL", "ttl")
            .with_json("set", &nothing_kept(set))
            .with_json("before", &Value::Array(Vec::new()));
        let scope =
            scope.with_json("entries", &[&entry]).with_json("added", &[&entry]).with_json("removed", &Value::Array(Vec::new()));
        let scope = self.prepared(Stage::Add, create, scope).await?.ok_or_else(|| self.not_there(Stage::Add))?;
        let Reply::Done(answer) = self.call(Stage::Add, create, &scope).await? else { return Ok(false) };
        let kept = self.kept(Stage::Add, create, &Scope::opened(&answer, &scope))?;
        self.finished(Stage::Add, create, &scope, kept).await?;
        Ok(true)
    }

    /// The set as it is; `None` where there is none.
    async fn read_set(&self, set: &Set, scope: &Scope) -> Result<Option<Answer>, Trouble> {
        let read = self.list(Stage::Find, &set.read, scope).await?;
        if set.entries.is_some() {
            return Ok(read.into_iter().next());
        }
        let Some(first) = read.first().map(|first| first.element(Value::Null)) else { return Ok(None) };
        let entries = read.into_iter().map(|entry| entry.body).collect();
        Ok(Some(Answer { body: Value::Array(entries), ..first }))
    }

    /// Tells our value from all other entries.
    fn parted(
        &self,
        set: &Set,
        scope: &Scope,
        record: &TxtRecord,
        answer: Option<&Answer>,
        entries: &[Value],
    ) -> Result<Parted, Trouble> {
        let mine = set.mine.iter().map(|(key, source)| Ok((key.as_str(), template::text(source, scope)?)));
        let mine: Vec<_> = mine.collect::<Result<_, _>>().map_err(|error| self.fault(Stage::Find, &error))?;
        let mut parted = Parted { ours: Vec::new(), others: Vec::new(), rival: false };
        for entry in entries {
            let Some(element) = answer.map(|answer| answer.element(entry.clone())) else { break };
            let fits = self.fits(Stage::Find, &mine, &element, scope)?;
            if fits && self.has_value(Some(&set.value), &Scope::opened(&element, scope), record)? {
                parted.ours.push(entry.clone());
            } else {
                parted.rival |= fits;
                parted.others.push(entry.clone());
            }
        }
        Ok(parted)
    }
}
