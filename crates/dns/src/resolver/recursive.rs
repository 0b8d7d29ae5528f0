//! The recursive resolvers: what the world sees, as they tell it.
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use certkeep_core::failure::{Code, Failure};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::Semaphore;

use super::InvalidOptions;
use super::exchange::{ask, mnemonic, question};

/// Where a Unix system names its resolvers.
const SYSTEM_FILE: &str = "/etc/resolv.conf";

/// The port of DNS (RFC 1035 §4.2).
pub(super) const PORT: u16 = 53;

/// The resolvers, asked in turn, the one that answered last first.
#[derive(Debug)]
pub(super) struct Recursive {
    source: Source,
    first: AtomicUsize,
}

#[derive(Debug)]
enum Source {
    Given(Vec<SocketAddr>),
    /// Read anew for every question: a machine that moves to another network gets other resolvers while we run.
    System,
}

impl Recursive {
    /// Those given, or the system's where none are.
    pub(super) fn new(given: Vec<SocketAddr>) -> Result<Self, InvalidOptions> {
        let source = if given.is_empty() { Source::System } else { Source::Given(given) };
        let recursive = Recursive { source, first: AtomicUsize::new(0) };
        recursive.servers()?;
        Ok(recursive)
    }

    fn servers(&self) -> Result<Vec<SocketAddr>, InvalidOptions> {
        match &self.source {
            Source::Given(servers) => Ok(servers.clone()),
            Source::System => system(Path::new(SYSTEM_FILE)),
        }
    }

    /// The first usable answer: that there is no such name is one.
    ///
    /// # Errors
    /// `resolvers_unreachable` where none answers; `name_servers_unknown` where one answers that the name's own servers
    /// are at fault (SERVFAIL).
    pub(super) async fn ask(&self, permits: &Semaphore, doing: &str, name: &Name, kind: RecordType) -> Result<Message, Failure> {
        let servers = match self.servers() {
            Ok(servers) => servers,
            Err(error) => return Err(Failure::new(Code::ResolversUnreachable, doing).fact(error.to_string())),
        };
        let mut broken = false;
        let mut facts = Vec::new();
        let first = self.first.load(Ordering::Relaxed);
        for turn in 0..servers.len() {
            let index = first.wrapping_add(turn) % servers.len();
            let Some(&server) = servers.get(index) else { continue };
            let _permit = permits.acquire().await;
            match ask(server, &question(name, kind, true)).await {
                Ok(answer) => match answer.metadata.response_code {
                    ResponseCode::NoError | ResponseCode::NXDomain => {
                        self.first.store(index, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    code => {
                        broken |= code == ResponseCode::ServFail;
                        facts.push(format!("{server} answers {} to {} {kind}", mnemonic(code), plain(name)));
                    }
                },
                Err(error) => facts.push(format!("{server} gives no answer to {} {kind}: {error}", plain(name))),
            }
        }
        let code = if broken { Code::NameServersUnknown } else { Code::ResolversUnreachable };
        let failure = Failure::new(code, doing).about(plain(name));
        Err(facts.into_iter().fold(failure, Failure::fact))
    }
}

/// The name as people write it: no final dot, lower case; `.` for the root.
pub(super) fn plain(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    match text.strip_suffix('.') {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => text,
    }
}

fn system(file: &Path) -> Result<Vec<SocketAddr>, InvalidOptions> {
    let text = std::fs::read_to_string(file).map_err(|error| InvalidOptions::System(file.display().to_string(), error))?;
    let servers = named(&text);
    if servers.is_empty() { Err(InvalidOptions::NoServer(file.display().to_string())) } else { Ok(servers) }
}

/// The addresses in lines `nameserver ADDRESS` (resolv.conf(5)); link-local ones with a zone are left out.
fn named(text: &str) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next().filter(|&word| word == "nameserver").and_then(|_| words.next())?;
            Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, PORT))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_resolvers_are_the_lines_that_name_one() {
        let text = "# made by hand\nsearch example.com\nnameserver 192.0.2.53\n nameserver\t2001:db8::53 # second\n\
                    nameserver fe80::1%eth0\nnameserver\noptions edns0\nnameserver2 192.0.2.1\n";
        let expected: Vec<SocketAddr> = vec!["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:53".parse().unwrap()];
        assert_eq!(named(text), expected);
        assert!(named("").is_empty());
    }

    #[test]
    fn a_system_without_resolvers_is_told_so() {
        let folder = std::env::temp_dir();
        let missing = system(&folder.join("certkeep-no-such-resolv.conf")).unwrap_err().to_string();
        assert!(missing.contains("[dns] resolvers"), "{missing}");
        assert!(InvalidOptions::NoServer("f".into()).to_string().contains("[dns] resolvers"));
    }

    #[test]
    fn names_are_written_without_the_final_dot() {
        assert_eq!(plain(&Name::root()), ".");
        assert_eq!(plain(&Name::from_ascii("WWW.Example.COM.").unwrap()), "www.example.com");
    }
}
