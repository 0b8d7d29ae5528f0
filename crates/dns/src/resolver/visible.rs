//! Waiting until every authoritative server shows the records.
//!
//! Each name server's each address is looked at on its own schedule, the first time at once: one that is slow delays
//! nobody's next look.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::ports::Propagation;
use futures::future::{join_all, try_join_all};
use futures::stream::{FuturesUnordered, StreamExt};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::time::{Instant, sleep, sleep_until};

use super::exchange::{ask, mnemonic, question};
use super::matrix::{Matrix, NameServer, Patience, State, Verdict};
use super::recursive::{PORT, plain};
use super::walk::find_apex;
use super::{Authoritative, DnsResolver, from_root, is_unlisted};

/// What is being done, in the words of the trace.
const WAIT: &str = "await record";

/// The pause after the first look.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// How much longer each pause is than the one before it.
const BACKOFF: f32 = 1.5;

/// The shortest pause, whatever interval is asked for.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// How long an address is waited for when the same server shows everything at another one: a network that swallows IPv6
/// would otherwise cost a question's whole timeout.
const GRACE: Duration = Duration::from_secs(1);

/// See [`certkeep_core::ports::Resolver::await_visible`].
pub(super) async fn await_visible(
    resolver: &DnsResolver,
    zone: &Zone,
    records: &[TxtRecord],
    propagation: Propagation,
) -> Result<(), Failure> {
    let zones = try_join_all(by_apex(resolver, zone, records).await?.into_iter().map(|(apex, wanted)| async move {
        let servers = name_servers(resolver, &apex).await?;
        watch(resolver, &apex, &servers, &wanted, propagation).await
    }));
    zones.await.map(drop)
}

/// Values waited for, by the names they stand at.
type Wanted = BTreeMap<String, Vec<String>>;

/// The records by the zone whose servers are to be asked: one, but for a zone whose name is a guess.
async fn by_apex(resolver: &DnsResolver, zone: &Zone, records: &[TxtRecord]) -> Result<BTreeMap<Name, Wanted>, Failure> {
    let mut zones: BTreeMap<Name, Wanted> = BTreeMap::new();
    let mut apexes = BTreeMap::new();
    for TxtRecord { name, value } in records {
        let apex = match apexes.get(name) {
            Some(apex) => Name::clone(apex),
            None if is_unlisted(zone) => find_apex(resolver, name, WAIT).await?,
            None => from_root(&zone.name, WAIT)?,
        };
        apexes.insert(name, apex.clone());
        zones.entry(apex).or_default().entry(name.to_string()).or_default().push(value.clone());
    }
    Ok(zones)
}

/// The authoritative servers of the zone with all their addresses.
async fn name_servers(resolver: &DnsResolver, apex: &Name) -> Result<Vec<NameServer>, Failure> {
    if let Authoritative::Fixed(addresses) = &resolver.authoritative {
        let server = |address: &SocketAddr| NameServer { name: address.to_string(), addresses: vec![*address] };
        return Ok(addresses.iter().map(server).collect());
    }
    let answer = resolver.recursive.ask(&resolver.permits, WAIT, apex, RecordType::NS).await?;
    let names: Vec<&Name> = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::NS(server) if record.name == *apex => Some(&server.0),
            _ => None,
        })
        .collect();
    let servers = join_all(
        names.iter().map(|&name| async move { NameServer { name: plain(name), addresses: addresses(resolver, name).await } }),
    );
    let servers = servers.await;
    if servers.iter().any(|server| !server.addresses.is_empty()) {
        return Ok(servers);
    }
    let fact = match names.as_slice() {
        [] => "the zone has no NS record".to_owned(),
        names => format!("no address is known of {}", names.iter().map(|&n| plain(n)).collect::<Vec<_>>().join(", ")),
    };
    Err(Failure::new(Code::NameServersUnknown, WAIT).about(plain(apex)).fact(fact))
}

/// All addresses of a name server; a question that fails counts as none, since the other kind may do.
async fn addresses(resolver: &DnsResolver, server: &Name) -> Vec<SocketAddr> {
    let kinds = [RecordType::A, RecordType::AAAA];
    let answers = join_all(kinds.map(|kind| resolver.recursive.ask(&resolver.permits, WAIT, server, kind))).await;
    let records = answers.into_iter().flatten().flat_map(|answer| answer.answers);
    records.filter_map(|record| Some(SocketAddr::new(record.data.ip_addr()?, PORT))).collect()
}

/// Looks until the matrix is satisfied or the time is over.
async fn watch(
    resolver: &DnsResolver,
    apex: &Name,
    servers: &[NameServer],
    wanted: &Wanted,
    propagation: Propagation,
) -> Result<(), Failure> {
    let started = Instant::now();
    let names: Vec<String> = wanted.keys().cloned().collect();
    let mut matrix = Matrix::new(servers, &names);
    let mut looks = FuturesUnordered::new();
    let next_look = |index: usize, address: SocketAddr, name: String, turn: u32| async move {
        if let Some(turn) = turn.checked_sub(1) {
            sleep(pause(turn, propagation.interval)).await;
        }
        let values = wanted.get(&name).map(Vec::as_slice).unwrap_or_default();
        (index, turn, look(resolver, address, &name, values).await)
    };
    for (index, cell) in matrix.cells().iter().enumerate() {
        if let Some(address) = cell.address {
            looks.push(next_look(index, address, cell.name.clone(), 0));
        }
    }
    let grace = started + GRACE;
    let half = started + propagation.timeout / 2;
    let end = started + propagation.timeout;
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
            if !passed_over.is_empty() {
                tracing::info!(zone = plain(apex), ?passed_over, "visible; name servers that do not answer are passed over");
            }
            return Ok(());
        }
        tokio::select! {
            Some((index, turn, state)) = looks.next() => {
                let shown = state == State::Shown;
                matrix.note(index, state, started.elapsed());
                if !shown
                    && let Some(cell) = matrix.cells().get(index)
                    && let Some(address) = cell.address
                {
                    looks.push(next_look(index, address, cell.name.clone(), turn + 1));
                }
            }
            () = sleep_until(grace), if patience == Patience::Full => {}
            () = sleep_until(half), if patience != Patience::Spent => {}
            () = sleep_until(end) => break,
        }
    }
    let failure = Failure::new(Code::RecordNotVisible, WAIT).about(names.join(", ")).fact(format!(
        "given up after {} s at the servers of {}",
        propagation.timeout.as_secs_f32(),
        plain(apex)
    ));
    Err(matrix.facts().into_iter().fold(failure, Failure::fact))
}

/// The pause after look number `turn`, the first being 0: growing, but never above what is asked for.
fn pause(turn: u32, interval: Duration) -> Duration {
    let turn = i32::try_from(turn.min(30)).unwrap_or(30);
    FIRST_PAUSE.mul_f32(BACKOFF.powi(turn)).min(interval.max(SHORTEST_PAUSE))
}

/// One question to one server.
async fn look(resolver: &DnsResolver, server: SocketAddr, name: &str, wanted: &[String]) -> State {
    let Ok(owner) = from_root(name, WAIT) else { return State::Missing };
    let _permit = resolver.permits.acquire().await;
    match ask(server, &question(&owner, RecordType::TXT, false)).await {
        Ok(answer) => state(&answer, wanted),
        Err(error) => State::Unreachable(error.to_string()),
    }
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
    let values: Vec<String> = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            // A value longer than 255 octets comes in several strings (RFC 1035 §3.3.14), which readers join.
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        })
        .collect();
    if wanted.iter().all(|value| values.contains(value)) {
        State::Shown
    } else if values.is_empty() {
        State::Missing
    } else {
        State::Other(values.into_iter().filter(|value| !wanted.contains(value)).collect())
    }
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
