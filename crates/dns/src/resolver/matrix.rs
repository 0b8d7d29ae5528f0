//! Who shows what: each name server at each of its addresses for each name, and what follows from it.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Most facts that are told: 100 names at eight servers would be thousands.
const MOST_FACTS: usize = 100;

/// A name server of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameServer {
    /// Its name, or its address where only that is known.
    pub(super) name: String,
    /// All addresses it has; none if none was found.
    pub(super) addresses: Vec<SocketAddr>,
}

/// What one address of a name server showed for one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// The name server.
    pub(super) server: String,
    /// Its address; `None` where none is known.
    pub(super) address: Option<SocketAddr>,
    /// The TXT record's name.
    pub(super) name: String,
    /// What was seen at the last look.
    pub(super) state: State,
    /// When that was, counted from the first look.
    pub(super) after: Duration,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No TXT record.
    Missing,
    /// TXT records, but not all of the values waited for; these are the others there, if any.
    Other(Vec<String>),
    /// Nothing yet: no question has come to its end.
    Pending,
    /// All values.
    Shown,
    /// No answer, or one that is none, and why.
    Unreachable(String),
}

/// All cells.
#[derive(Clone, Debug, Default)]
pub(super) struct Matrix {
    cells: Vec<Cell>,
}

/// Whether the wait is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every name server shows everything, except these, which do not answer.
    Visible(Vec<String>),
    /// Not yet.
    Waiting,
}

/// How long silence has been borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Who has not answered yet may still do so.
    Full,
    /// An address that has not answered by now is taken for one that does not.
    Waning,
    /// Name servers that do not answer at any address are passed over.
    Spent,
}

/// What all addresses of one name server together say about one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Behind,
    Shows,
    Silent,
    Unfinished,
}

impl Matrix {
    /// Every server at every address for every name, nothing seen yet.
    pub(super) fn new(servers: &[NameServer], names: &[String]) -> Self {
        let mut cells = Vec::new();
        for server in servers {
            let addresses: Vec<Option<SocketAddr>> = match server.addresses.as_slice() {
                [] => vec![None],
                addresses => addresses.iter().copied().map(Some).collect(),
            };
            for address in addresses {
                for name in names {
                    let state = match address {
                        None => State::Unreachable("it has no address".into()),
                        Some(_) => State::Pending,
                    };
                    let (server, name) = (server.name.clone(), name.clone());
                    cells.push(Cell { server, address, name, state, after: Duration::ZERO });
                }
            }
        }
        Matrix { cells }
    }

    /// Every source that has a name and no address, for every name, nothing seen yet.
    pub(super) fn of_sources(sources: impl Iterator<Item = String>, names: &[String]) -> Self {
        let cell = |server: &String, name: &String| {
            let (server, name) = (server.clone(), name.clone());
            Cell { server, address: None, name, state: State::Pending, after: Duration::ZERO }
        };
        Matrix { cells: sources.flat_map(|server| names.iter().map(move |name| cell(&server, name))).collect() }
    }

    /// Whether anybody has answered anything.
    pub(super) fn is_answered(&self) -> bool {
        self.cells.iter().any(|cell| !matches!(cell.state, State::Pending | State::Unreachable(_)))
    }

    /// The cells, in a fixed order.
    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Notes what a look has seen.
    pub(super) fn note(&mut self, index: usize, state: State, after: Duration) {
        if let Some(cell) = self.cells.get_mut(index) {
            cell.state = state;
            cell.after = after;
        }
    }

    /// Whether all records are visible.
    ///
    /// Every name server has to show every name, at every address that answers; an address that does not answer is
    /// passed over if another of the same server does. When patience is spent, name servers that do not answer at all
    /// are passed over too, as long as one shows the name.
    pub(super) fn verdict(&self, patience: Patience) -> Verdict {
        let mut words: BTreeMap<(&str, &str), Word> = BTreeMap::new();
        for cell in &self.cells {
            let word = match cell.state {
                State::Missing | State::Other(_) => Word::Behind,
                State::Pending if patience == Patience::Full => Word::Unfinished,
                State::Pending => Word::Silent,
                State::Shown => Word::Shows,
                State::Unreachable(_) => Word::Silent,
            };
            words.entry((&cell.name, &cell.server)).and_modify(|known| *known = known.and(word)).or_insert(word);
        }
        let mut shown: BTreeMap<&str, bool> = BTreeMap::new();
        let mut passed_over = Vec::new();
        for ((name, server), word) in words {
            let shown = shown.entry(name).or_default();
            match word {
                Word::Behind | Word::Unfinished => return Verdict::Waiting,
                Word::Shows => *shown = true,
                Word::Silent if patience != Patience::Spent => return Verdict::Waiting,
                Word::Silent if passed_over.iter().any(|known| known == server) => {}
                Word::Silent => passed_over.push(server.to_owned()),
            }
        }
        // Without cells nothing was asked, hence nothing is known.
        let all = !shown.is_empty() && shown.into_values().all(|shown| shown);
        if all { Verdict::Visible(passed_over) } else { Verdict::Waiting }
    }

    /// One sentence for each cell. Of a great many only the first are told, those first that show nothing.
    pub(super) fn facts(&self) -> Vec<String> {
        if self.cells.len() <= MOST_FACTS {
            return self.cells.iter().map(Cell::fact).collect();
        }
        let (shown, rest): (Vec<&Cell>, Vec<&Cell>) = self.cells.iter().partition(|cell| cell.state == State::Shown);
        let mut facts: Vec<String> = rest.into_iter().chain(shown).take(MOST_FACTS).map(Cell::fact).collect();
        facts.push(format!("and {} more", self.cells.len() - MOST_FACTS));
        facts
    }
}

impl Word {
    /// Two addresses of one server: the one that is behind outweighs the one to wait for, that the one that shows, and
    /// all of them silence.
    fn and(self, other: Word) -> Word {
        let rank = |word| match word {
            Word::Silent => 0,
            Word::Shows => 1,
            Word::Unfinished => 2,
            Word::Behind => 3,
        };
        if rank(self) >= rank(other) { self } else { other }
    }
}

impl Cell {
    fn fact(&self) -> String {
        let Cell { server, name, .. } = self;
        let who = match self.address {
            Some(address) if address.to_string() != *server => format!("{server} ({address})"),
            _ => server.clone(),
        };
        let ms = self.after.as_millis();
        match &self.state {
            State::Missing => format!("{who} has no TXT record at {name}, after {ms} ms"),
            State::Other(values) if values.is_empty() => format!("{who} shows only some of the values at {name}, after {ms} ms"),
            State::Other(values) => format!("{who} has other values at {name}, after {ms} ms: {}", listed(values)),
            State::Pending => format!("{who} has not answered for {name}"),
            State::Shown => format!("{who} shows {name}, after {ms} ms"),
            State::Unreachable(why) => format!("{who} gives no answer for {name}, after {ms} ms: {why}"),
        }
    }
}

/// The first few values, none longer than a line: a zone's TXT records can be many and long.
fn listed(values: &[String]) -> String {
    let shown: Vec<String> = values.iter().take(3).map(|v| format!("{:?}", v.chars().take(60).collect::<String>())).collect();
    let more = values.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    use super::Patience::{Full, Spent, Waning};
    use super::Verdict::{Visible, Waiting};

    const ALL: [Patience; 3] = [Full, Waning, Spent];
    const NAME: &str = "_acme-challenge.example.com";

    fn state(letter: char) -> State {
        match letter {
            'm' => State::Missing,
            'o' => State::Other(vec!["old".into()]),
            'p' => State::Pending,
            's' => State::Shown,
            _ => State::Unreachable("no route".into()),
        }
    }

    /// Servers by spaces, their addresses by letters.
    fn matrix(picture: &str) -> Matrix {
        let words: Vec<&str> = picture.split_whitespace().collect();
        let servers: Vec<NameServer> = words
            .iter()
            .enumerate()
            .map(|(n, word)| NameServer {
                name: format!("ns{n}"),
                addresses: (0..word.len()).map(|a| format!("192.0.2.{n}:{}", 53 + a).parse().unwrap()).collect(),
            })
            .collect();
        let mut matrix = Matrix::new(&servers, &[NAME.to_owned()]);
        for (index, letter) in words.concat().chars().enumerate() {
            matrix.note(index, state(letter), Duration::from_millis(7));
        }
        matrix
    }

    #[test]
    fn verdicts() {
        let visible = |servers: &[&str]| Visible(servers.iter().map(|&s| s.to_owned()).collect());
        let cases = [
            // picture, patience full, waning, spent
            ("s s", [visible(&[]), visible(&[]), visible(&[])]),
            ("ss su", [visible(&[]), visible(&[]), visible(&[])]),
            ("sp s", [Waiting, visible(&[]), visible(&[])]),
            ("s u", [Waiting, Waiting, visible(&["ns1"])]),
            ("s uu", [Waiting, Waiting, visible(&["ns1"])]),
            ("s p", [Waiting, Waiting, visible(&["ns1"])]),
            ("s m", [Waiting, Waiting, Waiting]),
            ("s so", [Waiting, Waiting, Waiting]),
            ("u u", [Waiting, Waiting, Waiting]),
            ("p p", [Waiting, Waiting, Waiting]),
            ("u m", [Waiting, Waiting, Waiting]),
            ("", [Waiting, Waiting, Waiting]),
        ];
        for (picture, expected) in cases {
            assert_eq!(ALL.map(|patience| matrix(picture).verdict(patience)), expected, "{picture:?}");
        }
    }

    #[test]
    fn every_name_must_be_shown_by_somebody() {
        let server = NameServer { name: "ns".into(), addresses: vec!["192.0.2.1:53".parse().unwrap()] };
        let mut matrix = Matrix::new(&[server], &["a.test".into(), "b.test".into()]);
        matrix.note(0, State::Shown, Duration::ZERO);
        matrix.note(1, State::Unreachable("x".into()), Duration::ZERO);
        assert_eq!(matrix.verdict(Spent), Waiting);
    }

    #[test]
    fn a_server_without_address_is_one_that_does_not_answer() {
        let servers = [NameServer { name: "ns0".into(), addresses: vec![] }];
        let matrix = Matrix::new(&servers, &[NAME.to_owned()]);
        assert_eq!(matrix.facts(), [format!("ns0 gives no answer for {NAME}, after 0 ms: it has no address")]);
        assert_eq!(matrix.verdict(Spent), Waiting);
    }

    #[test]
    fn facts_name_server_address_and_what_was_seen() {
        let facts = matrix("smoup").facts();
        assert_eq!(facts[0], format!("ns0 (192.0.2.0:53) shows {NAME}, after 7 ms"));
        assert_eq!(facts[1], format!("ns0 (192.0.2.0:54) has no TXT record at {NAME}, after 7 ms"));
        assert_eq!(facts[2], format!("ns0 (192.0.2.0:55) has other values at {NAME}, after 7 ms: \"old\""));
        assert_eq!(facts[3], format!("ns0 (192.0.2.0:56) gives no answer for {NAME}, after 7 ms: no route"));
        assert_eq!(facts[4], format!("ns0 (192.0.2.0:57) has not answered for {NAME}"));
        let mut some = matrix("m");
        some.note(0, State::Other(vec![]), Duration::ZERO);
        assert_eq!(some.facts(), [format!("ns0 (192.0.2.0:53) shows only some of the values at {NAME}, after 0 ms")]);
        let many: Vec<String> = (0..5).map(|n| n.to_string().repeat(80)).collect();
        assert!(listed(&many).ends_with(" and 2 more") && listed(&many).len() < 220);
    }

    #[test]
    fn of_very_many_facts_those_that_matter_are_told() {
        let facts = matrix(&format!("{}m", "s".repeat(150))).facts();
        assert_eq!(facts.len(), MOST_FACTS + 1);
        assert!(facts[0].contains("no TXT record"));
        assert_eq!(facts[MOST_FACTS], "and 51 more");
    }

    proptest! {
        #[test]
        fn patience_only_lets_go_of_those_that_do_not_answer(picture in "[mopsu]{1,3}( [mopsu]{1,3}){0,3}") {
            let [full, waning, spent] = ALL.map(|patience| matrix(&picture).verdict(patience));
            if picture.contains(['m', 'o']) {
                prop_assert_eq!(&spent, &Waiting);
            }
            for earlier in [&full, &waning] {
                if *earlier != Waiting {
                    prop_assert_eq!(earlier, &Visible(vec![]));
                    prop_assert_eq!(earlier, &spent);
                    prop_assert!(picture.split(' ').all(|word| word.contains('s')));
                }
            }
            prop_assert!(full == Waiting || full == waning);
            prop_assert!(spent == Waiting || picture.contains('s'));
        }
    }
}
