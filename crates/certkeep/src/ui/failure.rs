//! A failure in words for people: what happened, whose turn it is, what to do, and the evidence.
use certkeep_core::failure::{Code, Evidence, Failure, Turn};

use super::texts::Texts;

/// What the catalogue says of a code, in the visitor's language.
pub(super) struct Known {
    pub(super) number: u16,
    pub(super) what: String,
    pub(super) turn: String,
    pub(super) next: String,
}

/// What is known of a code.
pub(super) fn known(texts: &Texts, code: Code) -> Known {
    let entry = code.entry();
    let say = |part: &str, english: &str| {
        texts.find(&format!("failure.{}.{part}", entry.name)).map_or_else(|| english.to_owned(), str::to_owned)
    };
    let turn = match entry.turn {
        Turn::Ca => texts.t("turn.ca"),
        Turn::Certkeep => texts.t("turn.certkeep"),
        Turn::Network => texts.t("turn.network"),
        Turn::Provider => texts.t("turn.provider"),
        Turn::User => texts.t("turn.user"),
    };
    Known { number: entry.number, what: say("what", entry.what), turn: turn.to_owned(), next: say("next", entry.next) }
}

/// A failure as a card shows it.
pub(super) struct Card {
    pub(super) known: Known,
    /// What was seen, each with its label.
    pub(super) evidence: Vec<(String, String)>,
    pub(super) facts: Vec<String>,
    /// When it is tried again, if it is.
    pub(super) again: Option<String>,
}

impl Card {
    pub(super) fn of(texts: &Texts, failure: &Failure) -> Card {
        let Evidence { doing, subject, status, their_code, their_message, facts } = failure.evidence.as_ref();
        let labelled = [
            (texts.t("evidence.doing"), doing),
            (texts.t("evidence.subject"), subject),
            (texts.t("evidence.status"), status),
            (texts.t("evidence.their_code"), their_code),
            (texts.t("evidence.their_message"), their_message),
        ];
        let evidence = labelled.into_iter().filter_map(|(label, value)| Some((label.to_owned(), value.clone()?)));
        Card { known: known(texts, failure.code), evidence: evidence.collect(), facts: facts.clone(), again: None }
    }
}
