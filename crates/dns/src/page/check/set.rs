//! Sets: how they are read, changed and written.
use super::{Checker, RECORD};
use crate::page::Set;

impl Checker<'_> {
    pub(super) fn set(&mut self, set: &Set) {
        self.call("set.read", "set.read", &set.read, &[RECORD, &["page", "cursor", "element"]].concat());
        self.wants("set.read.each", set.read.each.as_ref());
        self.answered("set.entries", set.entries.as_deref());
        if set.entries.is_none() && !set.read.only.is_empty() {
            self.wrong("set.read.where", "would lose the other entries: mine tells ours from them");
        }
        if set.unread && set.create.is_none() {
            self.wrong("set.unread", "needs a create, which the vendor refuses where the set is there");
        }
        self.answered("set.value", Some(&set.value));
        self.answered("set.ttl", set.ttl.as_deref());
        for (key, source) in &set.mine {
            self.answered("set.mine", Some(key));
            self.template(&format!("set.mine.{key}"), source, RECORD);
        }
        self.body("set.entry", &set.entry, &[RECORD, &["ttl"]].concat());
        let known = [RECORD, &["entries", "before", "added", "removed", "ttl", "set"]].concat();
        for (field, call) in [
            ("set.write", Some(&set.write)),
            ("set.add", set.add.as_ref()),
            ("set.create", set.create.as_ref()),
            ("set.clear", set.clear.as_ref()),
        ] {
            if let Some(call) = call {
                self.call(field, field, call, &known);
            }
        }
    }
}
