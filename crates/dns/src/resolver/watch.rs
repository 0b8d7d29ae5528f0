//! Looking again and again until all is shown, or time is up.
//!
//! Each name server's each address is looked at on its own schedule, the first time at once: one that is slow delays
//! nobody's next look.
use std::net::SocketAddr;
use std::time::Duration;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::ports::Propagation;
use futures::stream::{FuturesUnordered, StreamExt};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::time::{Instant, sleep, sleep_until};

use super::exchange::{ask, mnemonic, question};
use super::interception::{answering, is_second_hand};
use super::matrix::{Matrix, Patience, State, Verdict};
use super::recursive::plain;
use super::visible::{WAIT, Wanted};
use super::{DnsResolver, from_root};

/// The pause after the first look.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// How much longer each pause is than the one before it.
const BACKOFF: f32 = 1.5;

/// The shortest pause, whatever interval is asked for.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// How long an address is waited for when the same server shows everything at another one: a network that swallows IPv6
/// would otherwise cost a question's whole timeout.
const GRACE: Duration = Duration::from_secs(1);

/// What is waited for, and since when.
pub(super) struct Watch<'a> {
    pub(super) resolver: &'a DnsResolver,
    pub(super) apex: &'a Name,
    pub(super) wanted: &'a Wanted,
    pub(super) propagation: Propagation,
    pub(super) started: Instant,
}

/// Whom a cell's questions go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The resolver by HTTPS of this number.
    Https(usize),
    /// A name server.
    Server(SocketAddr),
}

/// How looking came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Somebody else answers in the name servers' place; he was found at this address, where nobody is.
    Intercepted(SocketAddr),
    /// Everything is shown, except by these, which do not answer.
    Shown(Vec<String>),
    /// Half of the time is over, and none of the zone's own name servers has answered anything.
    Shut,
    /// The time is over. Somebody was found at this address, where nobody is, but the answers were those of an authority.
    TimeUp(Option<SocketAddr>),
}

/// What came of one question.
struct Look {
    index: usize,
    turn: u32,
    state: State,
    second_hand: bool,
}

impl Watch<'_> {
    /// When the time is over.
    pub(super) fn end(&self) -> Instant {
        self.started + self.propagation.timeout
    }

    /// Looks until the matrix is satisfied, the time is over, or it is plain that looking leads to nothing. The sources
    /// are those of the matrix's cells.
    pub(super) async fn until_shown(&self, matrix: &mut Matrix, sources: &[Option<Source>]) -> End {
        let began = Instant::now();
        let own = self.resolver.authoritative_port().is_some() && sources.iter().any(|s| matches!(s, Some(Source::Server(_))));
        let mut looks = FuturesUnordered::new();
        let mut proof = FuturesUnordered::new();
        let mut to_be_proved = own;
        let mut intercepted = None;
        for (index, cell) in matrix.cells().iter().enumerate() {
            if let Some(Some(source)) = sources.get(index) {
                looks.push(self.look(index, *source, cell.name.clone(), 0, own));
            }
        }
        let grace = (began + GRACE).min(self.end());
        let half = began + (self.end() - began) / 2;
        loop {
            let now = Instant::now();
            let patience = if now >= half {
                Patience::Spent
            } else if now >= grace {
                Patience::Waning
            } else {
                Patience::Full
            };
            if let Verdict::Visible(passed_over) = matrix.verdict(patience) {
                return End::Shown(passed_over);
            }
            if patience == Patience::Spent {
                if own && !self.resolver.https.is_empty() && !matrix.is_answered() {
                    return End::Shut;
                }
                // Whoever answers in the servers' place may also forge their mark.
                if std::mem::take(&mut to_be_proved) {
                    proof.push(answering(&self.resolver.nowhere, self.apex));
                }
            }
            tokio::select! {
                Some(Look { index, turn, state, second_hand }) = looks.next() => {
                    if second_hand && std::mem::take(&mut to_be_proved) {
                        proof.push(answering(&self.resolver.nowhere, self.apex));
                    }
                    let shown = state == State::Shown;
                    matrix.note(index, state, self.started.elapsed());
                    if !shown
                        && let Some(cell) = matrix.cells().get(index)
                        && let Some(Some(source)) = sources.get(index)
                    {
                        looks.push(self.look(index, *source, cell.name.clone(), turn + 1, own));
                    }
                }
                Some(found) = proof.next() => {
                    // Answers with the mark of authority are not given up for nothing: there has to be somebody else to ask.
                    match found {
                        Some(by) if !matrix.is_answered() || !self.resolver.https.is_empty() => return End::Intercepted(by),
                        found => intercepted = found,
                    }
                }
                () = sleep_until(grace), if patience == Patience::Full => {}
                () = sleep_until(half), if patience != Patience::Spent => {}
                () = sleep_until(self.end()) => return End::TimeUp(intercepted),
            }
        }
    }

    /// One question to one server, after the pause before its turn.
    async fn look(&self, index: usize, source: Source, name: String, turn: u32, own: bool) -> Look {
        if let Some(before) = turn.checked_sub(1) {
            sleep(pause(before, self.propagation.interval)).await;
        }
        let unseen = |state| Look { index, turn, state, second_hand: false };
        let Ok(owner) = from_root(&name, WAIT) else { return unseen(State::Missing) };
        let values = self.wanted.get(&name).map(Vec::as_slice).unwrap_or_default();
        let _permit = self.resolver.permits.acquire().await;
        let answer = match source {
            Source::Https(number) => self.resolver.https.ask(number, question(&owner, RecordType::TXT, true)).await,
            Source::Server(address) => ask(address, &question(&owner, RecordType::TXT, false)).await,
        };
        match answer {
            Ok(answer) if own && is_second_hand(&answer) => Look {
                second_hand: true,
                ..unseen(State::Unreachable("what answers is a resolver, and not the zone's authority".into()))
            },
            Ok(answer) => unseen(state(&answer, values)),
            Err(error) => unseen(State::Unreachable(error.to_string())),
        }
    }

    /// Why the records do not count as visible.
    pub(super) fn failure(&self, before: &[String], matrix: &Matrix) -> Failure {
        let names = self.wanted.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let failure = Failure::new(Code::RecordNotVisible, WAIT).about(names).fact(format!(
            "given up after {} s at the servers of {}",
            self.propagation.timeout.as_secs_f32(),
            plain(self.apex)
        ));
        before.iter().cloned().chain(matrix.facts()).fold(failure, Failure::fact)
    }
}

/// The pause after look number `turn`, the first being 0: growing, but never above what is asked for.
fn pause(turn: u32, interval: Duration) -> Duration {
    let turn = i32::try_from(turn.min(30)).unwrap_or(30);
    FIRST_PAUSE.mul_f32(BACKOFF.powi(turn)).min(interval.max(SHORTEST_PAUSE))
}

/// What an answer shows of the values waited for. A server that refuses, is broken or refers elsewhere does not serve
/// the zone, which is as good as no answer.
fn state(answer: &Message, wanted: &[String]) -> State {
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return State::Unreachable(mnemonic(code)),
    }
    let has = |kind| answer.authorities.iter().any(|record| record.record_type() == kind);
    if answer.answers.is_empty() && !answer.metadata.authoritative && has(RecordType::NS) && !has(RecordType::SOA) {
        return State::Unreachable("it refers to other servers".into());
    }
    let values = values(answer);
    if wanted.iter().all(|value| values.contains(value)) {
        State::Shown
    } else if values.is_empty() {
        State::Missing
    } else {
        State::Other(values.into_iter().filter(|value| !wanted.contains(value)).collect())
    }
}

/// The TXT values in an answer.
pub(super) fn values(answer: &Message) -> Vec<String> {
    let value = |data: &RData| match data {
        // A value longer than 255 octets comes in several strings (RFC 1035 §3.3.14), which readers join.
        RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
        _ => None,
    };
    answer.answers.iter().filter_map(|record| value(&record.data)).collect()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::OpCode;
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{NS, TXT};

    use super::*;

    fn answer(code: ResponseCode, values: &[&[&str]]) -> Message {
        let mut message = Message::response(1, OpCode::Query);
        message.metadata.authoritative = true;
        message.metadata.response_code = code;
        for strings in values {
            let txt = TXT::new(strings.iter().map(|s| (*s).to_owned()).collect());
            message.add_answer(Record::from_rdata(Name::root(), 1, RData::TXT(txt)));
        }
        message
    }

    #[test]
    fn an_answer_shows_all_values_or_less() {
        let wanted = ["one".to_owned(), "two".to_owned()];
        let other = |values: &[&str]| State::Other(values.iter().map(|&v| v.to_owned()).collect());
        let cases: [(&[&[&str]], State); 5] = [
            (&[&["two"], &["x"], &["one"]], State::Shown),
            (&[&["tw", "o"], &["o", "ne"]], State::Shown),
            (&[&["one"]], other(&[])),
            (&[&["old"], &["one"]], other(&["old"])),
            (&[], State::Missing),
        ];
        for (values, expected) in cases {
            assert_eq!(state(&answer(ResponseCode::NoError, values), &wanted), expected, "{values:?}");
        }
        assert_eq!(state(&answer(ResponseCode::NXDomain, &[]), &wanted), State::Missing);
    }

    #[test]
    fn a_lame_server_gives_no_answer() {
        let wanted = ["one".to_owned()];
        for code in [ResponseCode::Refused, ResponseCode::ServFail, ResponseCode::NotAuth] {
            assert!(matches!(state(&answer(code, &[]), &wanted), State::Unreachable(_)), "{code}");
        }
        let mut referral = answer(ResponseCode::NoError, &[]);
        referral.metadata.authoritative = false;
        referral.add_authority(Record::from_rdata(Name::root(), 1, RData::NS(NS(Name::root()))));
        assert!(matches!(state(&referral, &wanted), State::Unreachable(_)));
    }

    #[test]
    fn pauses_grow_up_to_the_interval() {
        let seconds = |n| Duration::from_secs(n);
        assert_eq!(pause(0, seconds(2)), Duration::from_millis(250));
        assert_eq!(pause(1, seconds(2)), Duration::from_millis(375));
        assert_eq!(pause(9, seconds(2)), seconds(2));
        assert_eq!(pause(u32::MAX, seconds(60)), seconds(60));
        assert_eq!(pause(0, Duration::ZERO), SHORTEST_PAUSE);
    }
}
