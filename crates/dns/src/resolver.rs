//! What the world sees of a name: CNAME delegation, the zone's apex, and records at every authoritative server.
//!
//! Recursive resolvers ([`ResolverOptions::servers`]) tell where a name leads and which servers are authoritative; the
//! records themselves are asked of those servers directly, and no answer is kept. Start reading at [`DnsResolver`];
//! the rules are pure functions in `walk` (names) and `matrix` (who shows what). `watch` looks until all is shown;
//! `interception` tells when somebody else answers in the servers' place, and `https` is the way around.
mod caa;
pub(crate) mod exchange;
mod https;
mod interception;
mod matrix;
mod recursive;
mod visible;
mod walk;
mod watch;

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use certkeep_core::caa::RelevantSet;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{Propagation, Resolver, Sighting};
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::Semaphore;

use https::Https;
use recursive::{PORT, Recursive};

/// What is being done, in the words of the trace.
const READ_TEXTS: &str = "read TXT";

/// Most questions in flight at once, each of which holds a socket.
const IN_FLIGHT: usize = 256;

/// Whom to ask.
#[derive(Clone, Debug)]
pub struct ResolverOptions {
    /// Recursive resolvers, asked in turn; none means those of the system.
    pub servers: Vec<SocketAddr>,
    /// Whom authoritative questions go to.
    pub authoritative: Authoritative,
    /// Resolvers by HTTPS (RFC 8484), asked where the name servers cannot be: `https://` and all of the path.
    pub https: Vec<String>,
    /// Roots in PEM that they are trusted by besides the machine's own.
    pub extra_roots: Vec<String>,
    /// Addresses at which nobody is: whoever answers there answers in everybody's place.
    pub nowhere: Vec<SocketAddr>,
}

impl Default for ResolverOptions {
    fn default() -> Self {
        ResolverOptions {
            servers: Vec::new(),
            authoritative: Authoritative::Discovered,
            https: Vec::new(),
            extra_roots: Vec::new(),
            nowhere: interception::nowhere(),
        }
    }
}

/// Whom authoritative questions go to.
#[derive(Clone, Debug)]
pub enum Authoritative {
    /// The name servers of the zone, each at all its addresses, port 53.
    Discovered,
    /// The same at another port: for laboratories.
    DiscoveredAt(u16),
    /// These instead, whatever the zone: for split views and laboratories.
    Fixed(Vec<SocketAddr>),
}

/// Why a resolver cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InvalidOptions {
    /// What is no address of a resolver by HTTPS.
    #[error("a resolver over HTTPS is named by something else than an https:// address: [dns] doh")]
    Https,
    /// Authoritative questions would go to nobody.
    #[error("the list of authoritative servers is empty")]
    NoAuthority,
    /// The system's file names no resolver.
    #[error("{0} names no resolver: name one in the configuration, [dns] resolvers")]
    NoServer(String),
    /// The system's file cannot be read.
    #[error("{0}, which names the system's resolvers, cannot be read ({1}): name one in the configuration, [dns] resolvers")]
    System(String, io::Error),
}

/// The port [`Resolver`] by DNS.
#[derive(Debug)]
pub struct DnsResolver {
    recursive: Recursive,
    authoritative: Authoritative,
    https: Https,
    nowhere: Vec<SocketAddr>,
    permits: Semaphore,
}

impl DnsResolver {
    /// A resolver; nothing is asked yet.
    ///
    /// # Errors
    /// Nobody to ask.
    pub fn new(options: ResolverOptions) -> Result<Self, InvalidOptions> {
        if matches!(&options.authoritative, Authoritative::Fixed(servers) if servers.is_empty()) {
            return Err(InvalidOptions::NoAuthority);
        }
        Ok(DnsResolver {
            recursive: Recursive::new(options.servers)?,
            authoritative: options.authoritative,
            https: Https::new(&options.https, options.extra_roots)?,
            nowhere: options.nowhere,
            permits: Semaphore::new(IN_FLIGHT),
        })
    }

    /// The port of the zone's own name servers; `None` where others are asked in their place.
    fn authoritative_port(&self) -> Option<u16> {
        match &self.authoritative {
            Authoritative::Discovered => Some(PORT),
            Authoritative::DiscoveredAt(port) => Some(*port),
            Authoritative::Fixed(_) => None,
        }
    }
}

#[async_trait]
impl Resolver for DnsResolver {
    async fn follow(&self, name: &DnsName) -> Result<DnsName, Failure> {
        walk::follow(self, name).await
    }

    async fn confirm_zone(&self, zone: &Zone, name: &DnsName) -> Result<(), Failure> {
        walk::confirm_zone(self, zone, name).await
    }

    async fn await_visible(&self, zone: &Zone, records: &[TxtRecord], propagation: Propagation) -> Result<Sighting, Failure> {
        visible::await_visible(self, zone, records, propagation).await
    }

    async fn caa(&self, name: &DnsName) -> Result<RelevantSet, Failure> {
        caa::relevant(self, name).await
    }

    async fn texts(&self, name: &DnsName) -> Result<Vec<String>, Failure> {
        let owner = from_root(name.as_str(), READ_TEXTS)?;
        let answer = self.recursive.ask(&self.permits, READ_TEXTS, &owner, RecordType::TXT).await?;
        Ok(watch::values(&answer))
    }
}

/// Whether the provider cannot list its zones, so that the zone's name is a guess (`{"unlisted": true}`).
fn is_unlisted(zone: &Zone) -> bool {
    zone.saved.get("unlisted").and_then(serde_json::Value::as_bool).unwrap_or(false)
}

/// The name from the root; a text that is none ends in `name_servers_unknown`.
fn from_root(text: &str, doing: &str) -> Result<Name, Failure> {
    let mut name = Name::from_ascii(text)
        .map_err(|error| Failure::new(Code::NameServersUnknown, doing).about(text).fact(error.to_string()))?;
    name.set_fqdn(true);
    Ok(name)
}
