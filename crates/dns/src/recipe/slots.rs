//! Vendors with a number of places for a name's values, each of which holds one. What stands where cannot be asked: this
//! process knows what it put there itself, and a journal what another one did.
use certkeep_core::issuance::TxtRecord;
use serde_json::{Map, Value};

use super::Recipe;
use super::answer::{Trouble, as_text};
use super::classify::Stage;
use super::template::Scope;
use crate::page::Call;

/// What a place is called, in templates and in the journal.
const SLOT: &str = "slot";

impl Recipe {
    /// The places for values of a name, where the page has such.
    pub(super) fn slots(&self, scope: &Scope) -> Result<Option<Vec<String>>, Trouble> {
        let Some(source) = &self.page.slots else { return Ok(None) };
        let found = self.found(Stage::Add, source, scope)?;
        let slots = found.as_ref().and_then(Value::as_array).into_iter().flatten().map(as_text);
        Ok(Some(slots.filter(|slot| !slot.is_empty()).collect()))
    }

    /// Puts a value into the place where it stands already, or the first that is free.
    pub(super) async fn put_into(
        &self,
        slots: &[String],
        call: &Call,
        scope: &Scope,
        record: &TxtRecord,
    ) -> Result<Value, Trouble> {
        let (held, account, value) = (&self.shared.held, &self.account, record.value.as_str());
        let there = slots.iter().find(|slot| held.is(account, &place(slot), value));
        let slot = there.or_else(|| slots.iter().find(|slot| !held.is_other(account, &place(slot), value)));
        let slot = slot.ok_or_else(|| self.occupied())?;
        let scope = scope.clone().with(SLOT, slot.as_str());
        let handle = self.add_once(call, &scope, record).await?;
        held.put(account, place(slot), value);
        let mut handle = handle.as_object().cloned().unwrap_or_default();
        handle.insert(SLOT.to_owned(), slot.as_str().into());
        Ok(handle.into())
    }

    /// Takes a value out of the place where it stands; where nobody knows, out of every place that holds no other.
    pub(super) async fn take_out_of(
        &self,
        slots: &[String],
        call: &Call,
        scope: &Scope,
        record: &TxtRecord,
        handle: Option<&Value>,
    ) -> Result<(), Trouble> {
        let (held, account, value) = (&self.shared.held, &self.account, record.value.as_str());
        let journalled = handle.and_then(|handle| handle.get(SLOT)).map(as_text);
        let ours = journalled.or_else(|| slots.iter().find(|slot| held.is(account, &place(slot), value)).cloned());
        let doomed = ours.map_or_else(|| slots.to_vec(), |slot| vec![slot]);
        for slot in doomed.iter().filter(|slot| !held.is_other(account, &place(slot), value)) {
            let kept = handle.and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
            let scope = scope.clone().with(SLOT, slot.as_str()).with_json("record", &kept);
            self.call(Stage::Remove, call, &scope).await?;
            held.drop(account, &place(slot));
        }
        Ok(())
    }
}

/// What a place is called among all that is held of an account.
fn place(slot: &str) -> String {
    format!("slot {slot}")
}
