//! Dynamic updates (RFC 2136), signed by TSIG (RFC 8945) where a key is given: BIND, Knot and all that speak as they do.
//!
//! Each change is one UPDATE of one record, which the server carries out as a whole: other values at the same name
//! stay, and repeating it changes nothing. Requests go by TCP, so that a lost datagram is never taken for a refusal.
//! Questions about zones are signed as well, since a server may show a view by the key, and since a wrong key is then
//! found out before anything is changed. Start reading at [`connect`].
mod key;
mod settings;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;
use certkeep_core::ports::DnsProvider;
use certkeep_core::provider::Parameters;
use certkeep_core::time::{Clock, SystemClock};
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};

use crate::resolver::exchange::{mnemonic, question, tcp};
use settings::Settings;

/// What is being done, in the words of the trace.
const CONNECT: &str = "connect";
const FIND: &str = "find zone";
const ADD: &str = "add record";
const REMOVE: &str = "remove record";

/// How long one address may take for one request, the connection included.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pauses before a request that met no server, or a server in trouble, is sent again.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// The longest string inside a TXT record (RFC 1035 §3.3).
const LONGEST_STRING: usize = 255;

/// A server ready to be called; no call is made yet.
///
/// # Errors
/// `provider_parameter`.
pub fn connect(parameters: &Parameters) -> Result<Arc<dyn DnsProvider>, Failure> {
    connect_by(parameters, Arc::new(SystemClock))
}

/// As [`connect`], by a clock of one's own: signatures carry the time.
///
/// # Errors
/// `provider_parameter`.
pub fn connect_by(parameters: &Parameters, clock: Arc<dyn Clock>) -> Result<Arc<dyn DnsProvider>, Failure> {
    Ok(Arc::new(Primary { settings: Settings::read(parameters)?, clock }))
}

/// Whether finding a zone asks the server, and by a key.
pub(crate) fn asks_for_zones(parameters: &Parameters) -> bool {
    Settings::read(parameters).is_ok_and(|settings| settings.zones.is_empty() && settings.key.is_some())
}

/// A zone's primary server.
struct Primary {
    settings: Settings,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl DnsProvider for Primary {
    async fn find_zone(&self, name: &DnsName) -> Result<Zone, Failure> {
        let zone = |name: String| Zone { name, saved: serde_json::Value::Null };
        let configured = self.settings.zones.iter().filter(|zone| name.is_within(zone)).max_by_key(|zone| zone.len());
        if let Some(configured) = configured {
            return Ok(zone(configured.clone()));
        }
        let mut statuses = Vec::new();
        let mut candidate = from_root(name.as_str(), FIND)?;
        while !candidate.is_root() {
            let (is_zone, code) = self.serves(&candidate, FIND).await?;
            if is_zone {
                return Ok(zone(candidate.to_lowercase().to_ascii().trim_end_matches('.').to_owned()));
            }
            if code == ResponseCode::ServFail {
                return Err(Failure::new(Code::ProviderError, FIND).about(name.as_str()).status(mnemonic(code)));
            }
            statuses.push(mnemonic(code));
            candidate = candidate.base_name();
        }
        statuses.dedup();
        Err(Failure::new(Code::ZoneNotFound, FIND)
            .about(name.as_str())
            .status(statuses.join(", "))
            .fact(format!("{} serves no zone that {name} is in", self.settings.host)))
    }

    async fn add(&self, zone: &Zone, record: &TxtRecord) -> Result<serde_json::Value, Failure> {
        let change = txt(record, self.settings.ttl, ADD)?;
        self.update(zone, record, change, ADD).await?;
        Ok(serde_json::Value::Null)
    }

    async fn remove(&self, zone: &Zone, record: &TxtRecord, _: Option<&serde_json::Value>) -> Result<(), Failure> {
        // Class NONE and no time to live: delete this very record (RFC 2136 §2.5.4).
        let mut change = txt(record, 0, REMOVE)?;
        change.dns_class = DNSClass::NONE;
        self.update(zone, record, change, REMOVE).await
    }
}

impl Primary {
    async fn update(&self, zone: &Zone, record: &TxtRecord, change: Record, doing: &str) -> Result<(), Failure> {
        let zone_name = from_root(&zone.name, doing)?;
        let mut message = Message::query();
        message.metadata.op_code = OpCode::Update;
        message.add_query(Query::query(zone_name.clone(), RecordType::SOA));
        message.add_authority(change);
        let code = self.send(&message, doing).await?.metadata.response_code;
        let authority = code != ResponseCode::NotAuth || self.serves(&zone_name, doing).await?.0;
        verdict::updated(code, authority, doing).map_err(|failure| failure.about(record.name.as_str()))
    }

    /// Whether the server is the authority of a zone of this very name, and the response code that told.
    async fn serves(&self, candidate: &Name, doing: &str) -> Result<(bool, ResponseCode), Failure> {
        let answer = self.send(&question(candidate, RecordType::SOA, false), doing).await?;
        // A zone that the server knows only by delegation or from a cache comes without the mark of authority.
        let own = |record: &Record| record.record_type() == RecordType::SOA && record.name == *candidate;
        Ok((answer.metadata.authoritative && answer.answers.iter().any(own), answer.metadata.response_code))
    }

    /// One request and its believed answer, tried again where that may help.
    async fn send(&self, request: &Message, doing: &str) -> Result<Message, Failure> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let outcome = self.send_once(request, doing).await;
            let again = match &outcome {
                Ok(answer) => answer.metadata.response_code == ResponseCode::ServFail,
                Err(failure) => failure.code == Code::ProviderUnreachable,
            };
            match pauses.next() {
                Some(pause) if again => sleep(pause).await,
                _ => return outcome,
            }
        }
    }

    async fn send_once(&self, request: &Message, doing: &str) -> Result<Message, Failure> {
        let now = u64::try_from(self.clock.now().as_second()).unwrap_or_default();
        let internal = |error: hickory_proto::ProtoError| Failure::new(Code::Internal, doing).fact(error.to_string());
        let signed = match &self.settings.key {
            Some(key) => Some((key, key.sign(request.clone(), now).map_err(internal)?)),
            None => None,
        };
        let answer = match &signed {
            Some((_, signed)) => self.exchange(&signed.bytes, doing).await?,
            None => self.exchange(&request.to_vec().map_err(internal)?, doing).await?,
        };
        let unreadable =
            |fact: String| Failure::new(Code::ProviderUnreadable, doing).about(self.settings.host.as_str()).fact(fact);
        let message = Message::from_vec(&answer).map_err(|error| unreadable(error.to_string()))?;
        if message.metadata.id != request.metadata.id {
            return Err(unreadable("it answers another request".into()));
        }
        if let Some((key, signed)) = &signed {
            let signature = key.check(&answer, signed, now).map_err(|error| unreadable(error.to_string()))?;
            verdict::believed(&signature, &message.metadata, now, doing)
                .map_err(|failure| failure.about(self.settings.host.as_str()))?;
        }
        Ok(message)
    }

    /// Sends to the server's addresses in turn until one answers.
    async fn exchange(&self, request: &[u8], doing: &str) -> Result<Vec<u8>, Failure> {
        let Settings { host, port, .. } = &self.settings;
        let mut failure = Failure::new(Code::ProviderUnreachable, doing).about(format!("{host} port {port}"));
        let addresses = match lookup_host((host.as_str(), *port)).await {
            Ok(addresses) => addresses,
            Err(error) => return Err(failure.fact(error.to_string())),
        };
        for address in addresses {
            match timeout(PATIENCE, tcp(address, request)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => failure = failure.fact(format!("{address}: {error}")),
                Err(_) => failure = failure.fact(format!("{address}: no answer within {} s", PATIENCE.as_secs())),
            }
        }
        Err(failure)
    }
}

fn txt(record: &TxtRecord, ttl: u32, doing: &str) -> Result<Record, Failure> {
    let strings = record.value.as_bytes().chunks(LONGEST_STRING).collect();
    Ok(Record::from_rdata(from_root(record.name.as_str(), doing)?, ttl, RData::TXT(TXT::from_bytes(strings))))
}

fn from_root(text: &str, doing: &str) -> Result<Name, Failure> {
    let mut name =
        Name::from_ascii(text).map_err(|error| Failure::new(Code::ZoneNotFound, doing).about(text).fact(error.to_string()))?;
    name.set_fqdn(true);
    Ok(name)
}
