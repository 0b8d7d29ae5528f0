//! What is said of vendors that cannot delete, that have a place for every value, or an account for every name.
use super::{Checker, RECORD};
use crate::page::Page;
use crate::recipe::template;

/// What the calls of an enrolment know besides the parameters.
const NAMED: &[&str] = &["name", "domain"];

/// Whether the text that a removal leaves is the value itself.
pub(super) fn the_value(leaves: &str) -> bool {
    template::wanted(leaves).is_ok_and(|wanted| wanted.contains("value"))
}

impl Checker<'_> {
    pub(super) fn leaves(&mut self, page: &Page) {
        let Some(leaves) = &page.leaves else { return };
        self.template("leaves", leaves, RECORD);
        if page.set.is_some() {
            self.wrong("leaves", "a set is written without the value, which leaves nothing");
        }
        if the_value(leaves) && page.remove.is_some() {
            self.wrong("leaves", "where the value stays, there is nothing to remove");
        }
    }

    pub(super) fn slots(&mut self, page: &Page) {
        let Some(slots) = &page.slots else { return };
        self.expression("slots", slots, &["name"]);
        if page.single.is_some() || page.set.is_some() || page.find.is_some() {
            self.wrong("slots", "single, [set] and [find] tell in another way where values stand");
        }
    }

    pub(super) fn enroll(&mut self, page: &Page) {
        let Some(enroll) = &page.enroll else { return };
        if let Some(when) = &enroll.when {
            self.expression("enroll.when", when, &[]);
        }
        self.call("enroll", "enroll.new", &enroll.new, NAMED);
        self.answered("enroll.target", Some(&enroll.target));
        if enroll.new.keep.is_empty() {
            self.wrong("enroll.new.keep", "is missing");
        }
        if !page.zone.as_ref().is_some_and(|zone| zone.unlisted) {
            self.wrong("enroll", "stands beside unlisted zones only");
        }
        match (&enroll.known, &enroll.tell) {
            (None, None) => {}
            (Some(known), Some(tell)) => {
                self.call("known", "enroll.known", known, NAMED);
                self.call("tell", "enroll.tell", tell, NAMED);
                if !known.keep.keys().eq(enroll.new.keep.keys()) {
                    self.wrong("enroll.known.keep", "has to keep the same as enroll.new");
                }
            }
            _ => self.wrong("enroll", "known and tell come together"),
        }
    }
}
