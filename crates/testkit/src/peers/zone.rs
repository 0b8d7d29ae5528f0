//! What a test zone holds before a test touches it.
use std::net::SocketAddr;

use hickory_proto::rr::{RData, RecordType};

use super::ask::{ask, fully_qualified};
use super::exchange::Transport;

/// Seconds that records of a test zone may be kept.
pub(super) const TTL: u32 = 60;

/// A label that no other server has.
///
/// It goes into the mailbox of each SOA: an answer with the right mark comes from the peer just started, not from a
/// stranger that took the port before it.
pub(super) fn mark() -> String {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).expect("the machine has random bytes");
    format!("{:016x}", u64::from_be_bytes(bytes))
}

/// The SOA's data in presentation format.
pub(super) fn soa(zone: &str, mark: &str) -> String {
    let zone = zone.trim_end_matches('.');
    format!("ns1.{zone}. {mark}.{zone}. 1 3600 600 86400 1")
}

/// A master file (RFC 1035 §5): SOA, one name server on loopback and an address at the apex.
///
/// No wildcard: a name that nobody added does not exist, as on most zones in the field.
pub(super) fn master_file(zone: &str, mark: &str) -> String {
    let origin = zone.trim_end_matches('.');
    format!("$ORIGIN {origin}.\n$TTL {TTL}\n@ SOA {}\n@ NS ns1\n@ A 127.0.0.1\nns1 A 127.0.0.1\n", soa(zone, mark))
}

/// Whether `server` answers for all `zones` with the mark, by UDP and by TCP.
pub(super) async fn served(server: SocketAddr, zones: &[String], mark: &str) -> Option<()> {
    for zone in zones {
        for transport in [Transport::Udp, Transport::Tcp] {
            let answer = ask(server, zone, RecordType::SOA, transport).await.ok()?;
            let mailbox = fully_qualified(&format!("{mark}.{zone}"));
            let marked = answer.answers.iter().any(|record| match &record.data {
                RData::SOA(soa) => soa.rname == mailbox,
                _ => false,
            });
            if !marked {
                return None;
            }
        }
    }
    Some(())
}

/// Of `zones`, the longest that ends `name`.
pub(super) fn zone_of<'a>(zones: &'a [String], name: &str) -> Option<&'a str> {
    let name = fully_qualified(name);
    zones.iter().filter(|zone| fully_qualified(zone).zone_of(&name)).max_by_key(|zone| zone.len()).map(String::as_str)
}
