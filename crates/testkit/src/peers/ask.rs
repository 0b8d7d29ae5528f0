//! Questions a test puts to a DNS server.
use std::io;
use std::net::SocketAddr;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};

use super::exchange::{Transport, exchange};

/// Asks `server` once for `name` and returns the answer whatever its response code.
///
/// Fails when the server is silent for three seconds or its answer cannot be read.
pub async fn ask(server: SocketAddr, name: &str, qtype: RecordType, transport: Transport) -> io::Result<Message> {
    let mut question = Message::query();
    question.add_query(Query::query(fully_qualified(name), qtype));
    question.metadata.recursion_desired = true;
    let bytes = question.to_vec().map_err(io::Error::other)?;
    let answer = exchange(&bytes, server, transport).await?;
    Message::from_vec(&answer).map_err(io::Error::other)
}

/// The TXT values that `server` has at `name`, each with its strings joined, in the order of the answer.
///
/// Asks by TCP, which neither truncates nor loses. Fails as [`ask`] does.
pub async fn txt(server: SocketAddr, name: &str) -> io::Result<Vec<String>> {
    let answer = ask(server, name, RecordType::TXT, Transport::Tcp).await?;
    let values = answer.answers.iter().filter_map(|record| match &record.data {
        RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
        _ => None,
    });
    Ok(values.collect())
}

/// `name` from the root, whether or not it was written with the final dot.
pub(super) fn fully_qualified(name: &str) -> Name {
    let mut parsed = Name::from_str_relaxed(name).unwrap_or_else(|error| panic!("{name:?} is no DNS name: {error}"));
    parsed.set_fqdn(true);
    parsed
}
