//! Waiting until every authoritative server shows the records: which servers those are, and where else to look when
//! nobody can get through to them.
use std::collections::BTreeMap;
use std::net::SocketAddr;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::ports::{Propagation, Sighting};
use futures::future::{join_all, try_join_all};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::time::{Instant, sleep_until};

use super::matrix::{Matrix, NameServer};
use super::recursive::plain;
use super::walk::find_apex;
use super::watch::{End, Source, Watch};
use super::{Authoritative, DnsResolver, from_root, is_unlisted};

/// What is being done, in the words of the trace.
pub(super) const WAIT: &str = "await record";

/// See [`certkeep_core::ports::Resolver::await_visible`].
pub(super) async fn await_visible(
    resolver: &DnsResolver,
    zone: &Zone,
    records: &[TxtRecord],
    propagation: Propagation,
) -> Result<Sighting, Failure> {
    let zones = try_join_all(by_apex(resolver, zone, records).await?.into_iter().map(|(apex, wanted)| async move {
        let servers = name_servers(resolver, &apex).await?;
        see(resolver, &apex, &servers, &wanted, propagation).await
    }));
    Ok(Sighting { facts: zones.await?.concat() })
}

/// Values waited for, by the names they stand at.
pub(super) type Wanted = BTreeMap<String, Vec<String>>;

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
    let Some(port) = resolver.authoritative_port() else { return Vec::new() };
    let kinds = [RecordType::A, RecordType::AAAA];
    let answers = join_all(kinds.map(|kind| resolver.recursive.ask(&resolver.permits, WAIT, server, kind))).await;
    let records = answers.into_iter().flatten().flat_map(|answer| answer.answers);
    records.filter_map(|record| Some(SocketAddr::new(record.data.ip_addr()?, port))).collect()
}

/// Looks at the name servers, or goes around whoever answers in their place; answers what was seen.
async fn see(
    resolver: &DnsResolver,
    apex: &Name,
    servers: &[NameServer],
    wanted: &Wanted,
    propagation: Propagation,
) -> Result<Vec<String>, Failure> {
    let names: Vec<String> = wanted.keys().cloned().collect();
    let watch = Watch { resolver, apex, wanted, propagation, started: Instant::now() };
    let mut matrix = Matrix::new(servers, &names);
    let sources = matrix.cells().iter().map(|cell| cell.address.map(Source::Server)).collect::<Vec<_>>();
    let (surely, trouble) = match watch.until_shown(&mut matrix, &sources).await {
        End::Shown(passed_over) => return Ok(told(&watch, &matrix, passed_over)),
        End::TimeUp(by) => return Err(watch.failure(&by.map(intercepted).into_iter().collect::<Vec<_>>(), &matrix)),
        End::Intercepted(by) => (true, intercepted(by)),
        End::Shut => (false, "no name server answers at all".to_owned()),
    };
    tracing::warn!(zone = plain(apex), trouble, "the name servers cannot be asked");
    let mut facts = vec![trouble];
    facts.extend(matrix.facts());
    let mut matrix = Matrix::of_sources(resolver.https.names(), &names);
    // The sources are in the order of their cells: all names of the first, then those of the next.
    let sources = (0..matrix.cells().len()).map(|cell| Some(Source::Https(cell / names.len().max(1)))).collect::<Vec<_>>();
    if !resolver.https.is_empty()
        && let End::Shown(passed_over) = watch.until_shown(&mut matrix, &sources).await
    {
        facts.extend(told(&watch, &matrix, passed_over));
        return Ok(facts);
    }
    if !surely || matrix.is_answered() {
        return Err(watch.failure(&facts, &matrix));
    }
    // Nobody can tell: the CA, which is not behind this network, may see the record by now.
    sleep_until(watch.end()).await;
    facts.extend(matrix.facts());
    facts.push(format!("nobody could be asked; {} s were waited", propagation.timeout.as_secs_f32()));
    tracing::warn!(zone = plain(apex), "nobody could be asked whether the records are visible; the whole time was waited");
    Ok(facts)
}

fn intercepted(by: SocketAddr) -> String {
    format!("port 53 is intercepted: {by} answers, where no server can be")
}

/// What was seen, and who was passed over.
fn told(watch: &Watch<'_>, matrix: &Matrix, passed_over: Vec<String>) -> Vec<String> {
    let mut facts = matrix.facts();
    if !passed_over.is_empty() {
        tracing::info!(zone = plain(watch.apex), ?passed_over, "visible; name servers that do not answer are passed over");
        facts.push(format!("passed over, since they do not answer: {}", passed_over.join(", ")));
    }
    facts
}
