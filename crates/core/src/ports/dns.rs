//! Ports to DNS: the providers that write records, and the resolver that sees what the world sees.
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::caa::RelevantSet;
use crate::failure::Failure;
use crate::issuance::{TxtRecord, Zone};
use crate::name::DnsName;
use crate::provider::{Descriptor, Parameters};

/// All providers there are.
pub trait DnsProviders: Send + Sync {
    /// Every flag with its parameters, by flag.
    fn descriptors(&self) -> Vec<&Descriptor>;

    /// The descriptor of a flag; flags are matched exactly.
    fn descriptor(&self, flag: &str) -> Option<&Descriptor>;

    /// A provider ready to be called. No call is made yet.
    ///
    /// # Errors
    /// A parameter that cannot work, or a flag without a driver.
    fn connect(&self, flag: &str, parameters: &Parameters) -> Result<Arc<dyn DnsProvider>, Failure>;

    /// Whether finding a zone asks the provider, with the credentials that these parameters hold. Some zones are found
    /// without: then only a change shows whether the credentials work.
    fn asks_for_zones(&self, flag: &str, parameters: &Parameters) -> bool;
}

/// The field by which a handle says that its value may have been put up more than once, so that removal looks for all of
/// it. Who adds a value without knowing whether an earlier addition came through sets it to `true`.
pub const AGAIN: &str = "again";

/// A provider's account.
///
/// Implementations serialize writes to one zone, keep other values at the same name, and retry what is worth retrying.
#[async_trait]
pub trait DnsProvider: Send + Sync {
    /// The longest zone of the account that `name` is in.
    ///
    /// # Errors
    /// `zone_not_found`, or what the call met.
    async fn find_zone(&self, name: &DnsName) -> Result<Zone, Failure>;

    /// Puts a TXT value up beside whatever else stands there; adding what is there already is no error. The answer is
    /// for [`DnsProvider::remove`]; it holds no secret.
    ///
    /// # Errors
    /// What the call met; the value may be up nevertheless.
    async fn add(&self, zone: &Zone, record: &TxtRecord) -> Result<serde_json::Value, Failure>;

    /// Takes exactly this value down; that it is not there is no error. Without `handle` it is found by name and value.
    ///
    /// # Errors
    /// What the call met; the value may be gone nevertheless.
    async fn remove(&self, zone: &Zone, record: &TxtRecord, handle: Option<&serde_json::Value>) -> Result<(), Failure>;
}

/// How long and how often to look for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// Given up after this time (the API's `PropagationTimeout`).
    pub timeout: Duration,
    /// The longest pause between two looks (the API's `PollingInterval`); shorter at first.
    pub interval: Duration,
}

/// How records came to be visible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// What each name server showed at each address and after what time, one sentence each; who was passed over.
    pub facts: Vec<String>,
}

/// What the world sees.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Where a challenge record really has to stand: `name` itself, or where its CNAME leads, at most 10 steps.
    ///
    /// # Errors
    /// `delegation_loop`, `resolvers_unreachable`.
    async fn follow(&self, name: &DnsName) -> Result<DnsName, Failure>;

    /// Checks that the provider's zone is the one whose servers the world asks for `name` (SOA walk).
    ///
    /// # Errors
    /// `zone_elsewhere`, `name_servers_unknown`, `resolvers_unreachable`.
    async fn confirm_zone(&self, zone: &Zone, name: &DnsName) -> Result<(), Failure>;

    /// Waits until every authoritative server of the zone shows all of the records.
    ///
    /// # Errors
    /// `record_not_visible`, with a fact for each server; `name_servers_unknown`, `resolvers_unreachable`.
    async fn await_visible(&self, zone: &Zone, records: &[TxtRecord], propagation: Propagation) -> Result<Sighting, Failure>;

    /// The CAA records that rule `name` or its wildcard: those of the name itself or of the nearest name above it that
    /// has any (RFC 8659 §3). An alias is followed at each level.
    ///
    /// # Errors
    /// `name_servers_unknown` where the name's own servers fail, which stops a CA too; `resolvers_unreachable`;
    /// `delegation_loop`.
    async fn caa(&self, name: &DnsName) -> Result<RelevantSet, Failure>;

    /// The TXT values that stand at `name` now, as far as the recursive resolvers know.
    ///
    /// # Errors
    /// `resolvers_unreachable`, `name_servers_unknown`.
    async fn texts(&self, name: &DnsName) -> Result<Vec<String>, Failure>;
}
