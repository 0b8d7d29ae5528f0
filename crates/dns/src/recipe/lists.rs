//! Lists of an answer, page after page; single steps, and jobs that are waited for.
use std::collections::BTreeMap;
use std::time::Duration;

use certkeep_core::failure::Code;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::Recipe;
use super::answer::{Answer, Reply, Trouble, as_text};
use super::classify::Stage;
use super::template::{self, Scope};
use crate::page::{Body, Call};

/// The most pages of one list that are read.
const MOST_PAGES: u32 = 200;

/// The pause between two looks at a job, and the longest that one is waited for, where the page says nothing.
const EVERY: f64 = 2.0;
const WITHIN: f64 = 120.0;

impl Recipe {
    /// Every element of a list, page after page, that is like `where` says. Nothing being there is an empty list; an
    /// answer without the list is none.
    pub(super) async fn list(&self, stage: Stage, call: &Call, scope: &Scope) -> Result<Vec<Answer>, Trouble> {
        let only = self.expected(stage, &call.only, scope)?;
        let mut elements = Vec::new();
        let mut seen = 0;
        let mut cursor = String::new();
        let mut address = None;
        for page in 1..=MOST_PAGES {
            let here = scope.clone().with("page", page).with("cursor", cursor.as_str());
            let reply = self.call_at(stage, call, &here, address.as_deref()).await?;
            let Reply::Done(answer) = reply else { break };
            let mut opened = Scope::opened(&answer, &here);
            let list = self.each(stage, call, &opened)?;
            let empty = list.is_empty();
            seen += list.len();
            for element in list {
                let element = answer.element(element);
                if self.fits(stage, &only, &element, &here)? {
                    elements.extend(self.detailed(stage, call, element, &here).await?);
                }
            }
            opened = opened.with("seen", seen);
            let text = |source: &Option<String>| match source {
                Some(source) => self.found(stage, source, &opened).map(|found| found.map(|found| as_text(&found))),
                None => Ok(None),
            };
            let after = text(&call.cursor)?.filter(|after| !after.is_empty() && *after != cursor);
            address = text(&call.follow)?.filter(|address| !address.is_empty());
            let next = call.next.as_deref().map_or(Ok(false), |next| template::is_true(next, &opened));
            let next = next.map_err(|error| self.fault(stage, &error))? && !empty;
            if !next && after.is_none() && address.is_none() {
                break;
            }
            cursor = after.unwrap_or_default();
        }
        Ok(elements)
    }

    /// The list in an answer. In XML what is there once is no list, and what is not there at all is an empty one.
    fn each(&self, stage: Stage, call: &Call, opened: &Scope) -> Result<Vec<Value>, Trouble> {
        let each = call.each.as_deref().unwrap_or_default();
        let kind = call.answer.or_else(|| self.page.http.as_ref().map(|http| http.answer));
        match (self.found(stage, each, opened)?, kind) {
            (Some(Value::Array(list)), _) => Ok(list),
            (None, Some(Body::Xml)) => Ok(Vec::new()),
            (Some(Value::String(text)), Some(Body::Xml)) if text.is_empty() => Ok(Vec::new()),
            (Some(one), Some(Body::Xml)) => Ok(vec![one]),
            _ => {
                let failure = self.failure(stage, Code::ProviderUnreadable);
                Err(Trouble::lasting(failure.fact(format!("the answer has no list {each}"))))
            }
        }
    }

    /// What the call for an element answers, and the call for that answer, if they are like their own `where`.
    async fn detailed(&self, stage: Stage, call: &Call, element: Answer, our: &Scope) -> Result<Option<Answer>, Trouble> {
        let (mut call, mut element) = (call, element);
        while let Some(detail) = &call.detail {
            let scope = our.clone().with_json("element", &element.body);
            let Reply::Done(answer) = self.call(stage, detail, &scope).await? else {
                // It went away while the list was read.
                return Ok(None);
            };
            if !self.fits(stage, &self.expected(stage, &detail.only, &scope)?, &answer, &scope)? {
                return Ok(None);
            }
            (call, element) = (detail, answer);
        }
        Ok(Some(element))
    }

    /// What the expressions of a `where` have to equal.
    pub(super) fn expected<'a>(
        &self,
        stage: Stage,
        only: &'a BTreeMap<String, String>,
        scope: &Scope,
    ) -> Result<Vec<(&'a str, String)>, Trouble> {
        let only = only.iter().map(|(key, source)| Ok((key.as_str(), template::text(source, scope)?)));
        only.collect::<Result<_, _>>().map_err(|error| self.fault(stage, &error))
    }

    /// Whether an element is like `where` says; case and a dot at the end do not matter.
    pub(super) fn fits(&self, stage: Stage, only: &[(&str, String)], element: &Answer, our: &Scope) -> Result<bool, Trouble> {
        if only.is_empty() {
            return Ok(true);
        }
        let opened = Scope::opened(element, our);
        for (key, expected) in only {
            let found = self.found(stage, key, &opened)?.map(|found| as_text(&found)).unwrap_or_default();
            if !found.trim_end_matches('.').eq_ignore_ascii_case(expected.trim_end_matches('.')) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes the calls that come before a call; `None` if one of them found nothing.
    pub(super) async fn prepared(&self, stage: Stage, call: &Call, scope: Scope) -> Result<Option<Scope>, Trouble> {
        if call.first.is_empty() {
            return Ok(Some(scope));
        }
        let (mut scope, mut got) = (scope, Map::new());
        for step in &call.first {
            match self.step(stage, step, &scope).await? {
                Some(more) => got.extend(more),
                None => return Ok(None),
            }
            scope = scope.with_json("got", &got);
        }
        Ok(Some(scope))
    }

    /// Makes the calls that come after a call, and waits for its job; answers what it and they kept.
    pub(super) async fn finished(
        &self,
        stage: Stage,
        call: &Call,
        scope: &Scope,
        kept: Map<String, Value>,
    ) -> Result<Map<String, Value>, Trouble> {
        let mut got = kept;
        for step in &call.then {
            let scope = scope.clone().with_json("got", &got);
            got.extend(self.step(stage, step, &scope).await?.ok_or_else(|| self.not_there(stage))?);
        }
        if stage != Stage::Zone {
            self.settle(stage, &scope.clone().with_json("got", &got)).await?;
        }
        Ok(got)
    }

    /// Waits for the job of a change whose answer was lost, if what `[find]` kept is enough to ask for it.
    pub(super) async fn caught_up(&self, stage: Stage, scope: &Scope, found: &Map<String, Value>) -> Result<(), Trouble> {
        let Some(wait) = &self.page.wait else { return Ok(()) };
        if wait.before {
            self.closes(scope);
            return Ok(());
        }
        for source in wait.sources() {
            let wanted = template::wanted_whole(source).map_err(|error| self.fault(stage, &error))?;
            let lacking = |name: &String| match name.split_once('.') {
                Some(("got", field)) => !found.contains_key(field.split('.').next().unwrap_or_default()),
                _ => name == "got",
            };
            if wanted.iter().any(lacking) {
                return Ok(());
            }
        }
        self.step(stage, wait, &scope.clone().with_json("got", found)).await.map(drop)
    }

    /// Makes one call of several; answers what it kept, or `None` if nothing was there.
    pub(super) async fn step(&self, stage: Stage, step: &Call, scope: &Scope) -> Result<Option<Map<String, Value>>, Trouble> {
        let due = step.when.as_deref().map_or(Ok(true), |when| template::is_true(when, scope));
        if !due.map_err(|error| self.fault(stage, &error))? {
            return Ok(Some(Map::new()));
        }
        let answer = if step.each.is_some() {
            match self.list(stage, step, scope).await?.into_iter().next() {
                Some(element) => element,
                None => return Ok(None),
            }
        } else {
            match self.call_until(stage, step, scope).await? {
                Reply::Done(answer) => answer,
                Reply::Present => return Ok(Some(Map::new())),
                Reply::Absent | Reply::Conflict => return Ok(None),
            }
        };
        self.kept(stage, step, &Scope::opened(&answer, scope)).map(Some)
    }

    /// Makes a call until its answer says that the job is done.
    pub(super) async fn call_until(&self, stage: Stage, step: &Call, scope: &Scope) -> Result<Reply, Trouble> {
        let Some(until) = &step.until else { return self.call(stage, step, scope).await };
        let within = step.within.unwrap_or(WITHIN);
        let every = Duration::try_from_secs_f64(step.every.unwrap_or(EVERY).max(0.01)).unwrap_or_default();
        let began = Instant::now();
        loop {
            let reply = self.call(stage, step, scope).await?;
            let Reply::Done(answer) = &reply else { return Ok(reply) };
            let done = template::is_true(until, &Scope::opened(answer, scope));
            if done.map_err(|error| self.fault(stage, &error))? {
                return Ok(reply);
            }
            if began.elapsed().saturating_add(every).as_secs_f64() > within {
                let failure = self.failure(stage, Code::ProviderError);
                return Err(Trouble::lasting(failure.fact(format!("the vendor's job is not done after {within} seconds"))));
            }
            tokio::time::sleep(every).await;
        }
    }

    /// What `keep` finds; something that is not there makes the answer unreadable.
    pub(super) fn kept(&self, stage: Stage, call: &Call, opened: &Scope) -> Result<Map<String, Value>, Trouble> {
        let mut kept = Map::new();
        for (key, source) in &call.keep {
            let Some(value) = self.found(stage, source, opened)? else {
                let failure = self.failure(stage, Code::ProviderUnreadable);
                return Err(Trouble::lasting(failure.fact(format!("the answer has no {source}"))));
            };
            kept.insert(key.clone(), value);
        }
        Ok(kept)
    }

    pub(super) fn found(&self, stage: Stage, source: &str, opened: &Scope) -> Result<Option<Value>, Trouble> {
        template::expression(source, opened).map_err(|error| self.fault(stage, &error))
    }

    /// Something that other calls build on is not there.
    pub(super) fn not_there(&self, stage: Stage) -> Trouble {
        let code = match stage {
            Stage::Login => Code::CredentialsRejected,
            Stage::Add | Stage::Commit | Stage::Zone => Code::ZoneNotFound,
            Stage::Find | Stage::Remove => Code::ProviderError,
        };
        Trouble::lasting(self.failure(stage, code).fact("what the next call needs is not there"))
    }
}
