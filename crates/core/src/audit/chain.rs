//! The chain. The hash of an entry is the SHA-256 over the hash of the entry before it (32 zero octets before the first) and
//! the entry's own octets: its sequence number and its instant in microseconds since 1970, each as 64 bits big-endian, then
//! actor's kind, actor, address, action, subject, outcome and detail, each after its length in octets as 32 bits big-endian.
use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;

use super::Deed;

/// Longest subject and longest detail, in characters.
const MAX_TEXT: usize = 400;

/// SHA-256 of an entry and all before it.
pub type Link = [u8; 32];

/// What stands before the first entry.
pub const NO_LINK: Link = [0; 32];

/// An entry of the chain, in the words in which it is kept: a later version may know more of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1 on without a gap.
    pub sequence: i64,
    /// When, to the microsecond.
    pub at: Timestamp,
    /// What the actor is.
    pub actor_kind: String,
    /// Who, by name.
    pub actor: String,
    /// From where; empty on the machine itself.
    pub address: String,
    /// What.
    pub action: String,
    /// To what or whom.
    pub subject: String,
    /// With what result.
    pub outcome: String,
    /// What else there is to know.
    pub detail: String,
    /// The hash of this entry and all before it.
    pub link: Link,
}

impl Entry {
    /// The entry of a deed behind the one with this number and hash.
    pub fn after(last: i64, before: &Link, deed: &Deed) -> Entry {
        let mut entry = Entry {
            sequence: last.saturating_add(1),
            // The chain keeps no more of it than the store does.
            at: Timestamp::from_microsecond(deed.at.as_microsecond()).unwrap_or(deed.at),
            actor_kind: deed.author.actor.kind().to_owned(),
            actor: shown(deed.author.actor.name()),
            address: deed.author.address.map(|address| address.to_canonical().to_string()).unwrap_or_default(),
            action: deed.action.as_str().to_owned(),
            subject: shown(&deed.subject),
            outcome: deed.outcome.as_str().to_owned(),
            detail: shown(&deed.detail),
            link: NO_LINK,
        };
        entry.link = entry.link_after(before);
        entry
    }

    /// What its hash has to be.
    pub fn link_after(&self, before: &Link) -> Link {
        let mut digest = Context::new(&SHA256);
        digest.update(before);
        digest.update(&self.sequence.to_be_bytes());
        digest.update(&self.at.as_microsecond().to_be_bytes());
        let texts = [&self.actor_kind, &self.actor, &self.address, &self.action, &self.subject, &self.outcome, &self.detail];
        for text in texts {
            digest.update(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            digest.update(text.as_bytes());
        }
        let mut link = NO_LINK;
        link.copy_from_slice(digest.finish().as_ref());
        link
    }
}

/// A text that one line of a list can show, whoever gave it.
fn shown(text: &str) -> String {
    text.chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The chain up to some entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last entry; 0 before the first.
    pub sequence: i64,
    /// Its hash.
    pub link: Link,
}

impl Head {
    /// Of a chain without entries.
    pub const START: Head = Head { sequence: 0, link: NO_LINK };
}

/// Where a chain is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// An entry is not what was written, or what stood before it was changed.
    #[error("entry {0} is not what was written")]
    Changed(i64),
    /// An entry is missing.
    #[error("entry {0} is missing")]
    Missing(i64),
}

/// Follows a chain from a head on, entry by entry.
///
/// # Errors
/// The first [`Break`].
pub fn verify<'a>(from: Head, entries: impl IntoIterator<Item = &'a Entry>) -> Result<Head, Break> {
    entries.into_iter().try_fold(from, |head, entry| {
        let expected = head.sequence.saturating_add(1);
        if entry.sequence != expected {
            return Err(Break::Missing(expected));
        }
        match entry.link_after(&head.link) == entry.link {
            true => Ok(Head { sequence: entry.sequence, link: entry.link }),
            false => Err(Break::Changed(entry.sequence)),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::{Action, Actor, Author, Outcome};

    fn deed(n: i64) -> Deed {
        Deed {
            at: Timestamp::from_second(1_900_000_000 + n).unwrap(),
            author: Author::at(Actor::User("anna".into()), "::ffff:192.0.2.1".parse().unwrap()),
            action: Action::CertificateDelete,
            subject: format!("pbx{n}.example.com"),
            outcome: Outcome::Done,
            detail: String::new(),
        }
    }

    fn chain(length: i64) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for n in 0..length {
            let head = entries.last().map_or(Head::START, |last| Head { sequence: last.sequence, link: last.link });
            entries.push(Entry::after(head.sequence, &head.link, &deed(n)));
        }
        entries
    }

    #[test]
    fn a_chain_is_whole() {
        let entries = chain(5);
        let head = verify(Head::START, &entries).unwrap();
        assert_eq!((head.sequence, head.link), (5, entries[4].link));
        let half = verify(Head::START, &entries[..2]).unwrap();
        assert_eq!(verify(half, &entries[2..]), Ok(head));
        assert_eq!(entries[0].address, "192.0.2.1");
    }

    /// The octets are written out here, so that a change of them, which would break every chain there is, is seen.
    #[test]
    fn the_hash_is_over_the_octets_that_are_told() {
        let entry = &chain(1)[0];
        let mut octets = vec![0; 32];
        octets.extend(1i64.to_be_bytes());
        octets.extend(1_900_000_000_000_000i64.to_be_bytes());
        for text in ["user", "anna", "192.0.2.1", "certificate.delete", "pbx0.example.com", "done", ""] {
            octets.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            octets.extend(text.as_bytes());
        }
        assert_eq!(aws_lc_rs::digest::digest(&SHA256, &octets).as_ref(), entry.link);
    }

    #[test]
    fn what_is_left_out_or_moved_is_found() {
        let entries = chain(4);
        let without: Vec<&Entry> = entries.iter().filter(|entry| entry.sequence != 2).collect();
        assert_eq!(verify(Head::START, without), Err(Break::Missing(2)));
        let swapped = [&entries[1], &entries[0]];
        assert_eq!(verify(Head::START, swapped), Err(Break::Missing(1)));
        assert_eq!(verify(Head { sequence: 0, link: [1; 32] }, &entries), Err(Break::Changed(1)));
    }

    #[test]
    fn a_text_is_one_line_and_bounded() {
        let long = Deed { subject: "a\nb\0".repeat(300), ..deed(0) };
        let entry = Entry::after(0, &NO_LINK, &long);
        assert_eq!(entry.subject.chars().count(), MAX_TEXT);
        assert!(!entry.subject.contains(char::is_control));
    }

    proptest! {
        #[test]
        fn every_change_of_an_entry_is_found(at in 0usize..4, field in 0usize..9, text in "[a-z]{1,8}") {
            let mut entries = chain(4);
            let before = entries.clone();
            let entry = &mut entries[at];
            match field {
                0 => entry.actor_kind = text,
                1 => entry.actor = text,
                2 => entry.address = text,
                3 => entry.action = text,
                4 => entry.subject = text,
                5 => entry.outcome = text,
                6 => entry.detail = text,
                7 => entry.at += jiff::SignedDuration::from_micros(1),
                _ => entry.link[0] ^= 1,
            }
            prop_assume!(entries != before);
            prop_assert_eq!(verify(Head::START, &entries), Err(Break::Changed(before[at].sequence)));
        }
    }
}
