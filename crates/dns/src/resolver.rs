//! What the world sees of a name: CNAME delegation, the zone's apex, and records at every authoritative server.
//!
//! Recursive resolvers ([`ResolverOptions::servers`]) tell where a name leads and which servers are authoritative; the
//! records themselves are asked of those servers directly, and no answer is kept. Start reading at [`DnsResolver`];
//! the rules are pure functions in `walk` (names) and `matrix` (who shows what).
pub(crate) mod exchange;
mod matrix;
mod recursive;
mod visible;
mod walk;

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{Propagation, Resolver};
use hickory_proto::rr::Name;
use tokio::sync::Semaphore;

use recursive::Recursive;

/// Most questions in flight at once, each of which holds a socket.
const IN_FLIGHT: usize = 256;

/// Whom to ask.
#[derive(Clone, Debug)]
pub struct ResolverOptions {
    /// Recursive resolvers, asked in turn; none means those of the system.
    pub servers: Vec<SocketAddr>,
    /// Whom authoritative questions go to.
    pub authoritative: Authoritative,
}

/// Whom authoritative questions go to.
#[derive(Clone, Debug)]
pub enum Authoritative {
    /// The name servers of the zone, each at all its addresses, port 53.
    Discovered,
    /// These instead, whatever the zone: for split views and laboratories.
    Fixed(Vec<SocketAddr>),
}

/// Why a resolver cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InvalidOptions {
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
            permits: Semaphore::new(IN_FLIGHT),
        })
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

    async fn await_visible(&self, zone: &Zone, records: &[TxtRecord], propagation: Propagation) -> Result<(), Failure> {
        visible::await_visible(self, zone, records, propagation).await
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
