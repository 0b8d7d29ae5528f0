//! An issuance as a time line: what each step did and saw, and which name server showed what.
use certkeep_core::fallback::host;
use certkeep_core::issuance::{IssuanceSummary, Step};
use certkeep_core::trace::Event;

use super::failure::Card;
use super::texts::Texts;
use super::when;

/// One issuance.
pub(super) struct Run {
    pub(super) title: String,
    pub(super) tone: &'static str,
    pub(super) word: String,
    pub(super) at_ca: String,
    /// How far it is, of the steps there are; none of one that failed, whose events tell.
    pub(super) steps: Vec<StepDone>,
    pub(super) events: Vec<Done>,
    pub(super) dropped: Option<String>,
    pub(super) failure: Option<Card>,
}

/// A step of the way, and whether it is behind us.
pub(super) struct StepDone {
    pub(super) label: String,
    pub(super) done: bool,
}

/// One act and what came of it.
pub(super) struct Done {
    pub(super) since: String,
    pub(super) act: String,
    pub(super) subject: String,
    pub(super) took: String,
    pub(super) failed: Option<String>,
    pub(super) facts: Vec<String>,
    pub(super) matrix: Option<Matrix>,
}

/// Which server showed which name after how long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Matrix {
    pub(super) names: Vec<String>,
    pub(super) servers: Vec<(String, Vec<Option<Cell>>)>,
}

/// What a server showed of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) tone: &'static str,
    pub(super) words: String,
}

/// The steps that people are shown, in order.
const SHOWN: [Step; 6] = [Step::Ordered, Step::Presented, Step::Propagated, Step::Validated, Step::Finalizing, Step::Done];

impl Run {
    pub(super) fn of(texts: &Texts, issuance: &IssuanceSummary) -> Run {
        let (tone, key) = match issuance.step {
            Step::Done => ("ok", "run.done"),
            Step::Failed => ("bad", "run.failed"),
            _ => ("info", "run.runs"),
        };
        let reached = |step: Step| {
            let place = |wanted: Step| Step::ALL.iter().position(|step| *step == wanted);
            place(issuance.step) >= place(step)
        };
        let shown = SHOWN.into_iter().filter(|_| issuance.step != Step::Failed);
        let steps =
            shown.map(|step| StepDone { label: texts.t(&format!("step.{}", step.as_str())).to_owned(), done: reached(step) });
        let events = issuance.trace.events.iter().map(|event| Done::of(event, issuance.started)).collect();
        Run {
            title: when::minute(issuance.started),
            tone,
            word: texts.t(key).to_owned(),
            at_ca: issuance.directory.as_deref().map(|directory| host(directory).to_owned()).unwrap_or_default(),
            steps: steps.collect(),
            events,
            dropped: (issuance.trace.dropped > 0).then(|| texts.count("run.dropped", issuance.trace.dropped)),
            failure: issuance.failure.as_ref().map(|failure| Card::of(texts, failure)),
        }
    }
}

impl Done {
    fn of(event: &Event, started: jiff::Timestamp) -> Done {
        let seen = event.facts.iter().chain(event.failure.iter().flat_map(|failure| &failure.evidence.facts));
        let matrix = matrix(seen.map(String::as_str));
        Done {
            since: when::seconds(event.at.duration_since(started).as_millis()),
            act: event.act.clone(),
            subject: event.subject.clone(),
            took: format!("{} ms", event.ms),
            failed: event.failure.as_ref().map(ToString::to_string),
            facts: if matrix.is_some() { Vec::new() } else { event.facts.clone() },
            matrix,
        }
    }
}

/// What stands between a server and a name in the sentences of the propagation, and how good it is.
const SIGHTINGS: [(&str, &str, &str); 6] = [
    (" shows only some of the values at ", "warn", "some of the values"),
    (" shows ", "ok", ""),
    (" has no TXT record at ", "bad", "no record"),
    (" has other values at ", "bad", "other values"),
    (" has not answered for ", "warn", "no answer yet"),
    (" gives no answer for ", "bad", "no answer"),
];

/// The sentences of a propagation as a table; `None` where none of them is one.
fn matrix<'a>(facts: impl Iterator<Item = &'a str>) -> Option<Matrix> {
    let mut matrix = Matrix { names: Vec::new(), servers: Vec::new() };
    for fact in facts {
        let Some((server, name, cell)) = sighting(fact) else { continue };
        let column = matrix.names.iter().position(|known| known == name).unwrap_or_else(|| {
            matrix.names.push(name.to_owned());
            matrix.names.len() - 1
        });
        let row = matrix.servers.iter().position(|(known, _)| known == server).unwrap_or_else(|| {
            matrix.servers.push((server.to_owned(), Vec::new()));
            matrix.servers.len() - 1
        });
        if let Some((_, cells)) = matrix.servers.get_mut(row) {
            cells.resize(cells.len().max(column + 1), None);
            if let Some(place) = cells.get_mut(column) {
                *place = Some(cell);
            }
        }
    }
    let columns = matrix.names.len();
    for (_, cells) in &mut matrix.servers {
        cells.resize(columns, None);
    }
    (columns > 0).then_some(matrix)
}

fn sighting(fact: &str) -> Option<(&str, &str, Cell)> {
    let (between, tone, words) = SIGHTINGS.into_iter().find(|(between, ..)| fact.contains(between))?;
    let (server, rest) = fact.split_once(between)?;
    let (name, after) = rest.split_once(", after ").unwrap_or((rest, ""));
    let ms = after.split_once(" ms").map(|(ms, _)| format!("{ms} ms")).unwrap_or_default();
    let words = [words, ms.as_str()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    Some((server, name, Cell { tone, words }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_become_a_table() {
        let facts = [
            "ns1 (192.0.2.1:53) shows _acme-challenge.a.example, after 7 ms",
            "ns1 (192.0.2.1:53) has no TXT record at _acme-challenge.b.example, after 9 ms",
            "ns2 (192.0.2.2:53) gives no answer for _acme-challenge.b.example, after 12 ms: no route",
            "and 3 more",
        ];
        let matrix = matrix(facts.into_iter()).unwrap();
        assert_eq!(matrix.names, ["_acme-challenge.a.example", "_acme-challenge.b.example"]);
        let words =
            |row: usize, column: usize| matrix.servers[row].1[column].as_ref().map(|cell| (cell.tone, cell.words.as_str()));
        assert_eq!(words(0, 0), Some(("ok", "7 ms")));
        assert_eq!(words(0, 1), Some(("bad", "no record, 9 ms")));
        assert_eq!(words(1, 0), None);
        assert_eq!(words(1, 1), Some(("bad", "no answer, 12 ms")));
    }

    #[test]
    fn other_sentences_make_no_table() {
        assert_eq!(matrix(["the order is ready"].into_iter()), None);
    }
}
