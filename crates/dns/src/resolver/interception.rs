//! Whether somebody on the way answers questions that are for the name servers themselves.
//!
//! Some networks lead all of port 53 to a resolver of their own. It answers in the name servers' place, from a cache and
//! without the mark of authority; that alone may be a name server that is badly set up. The proof is an answer from an
//! address at which nobody can be.
use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::time::timeout;

use super::exchange::{question, udp};

/// How long an answer from nowhere is waited for: whoever intercepts is near.
const PATIENCE: Duration = Duration::from_secs(1);

/// Addresses that are set aside for documentation, where no server can be (RFC 5737, RFC 3849).
pub(super) fn nowhere() -> Vec<SocketAddr> {
    let addresses = ["192.0.2.53:53", "198.51.100.53:53", "[2001:db8::53]:53"];
    addresses.iter().filter_map(|address| address.parse().ok()).collect()
}

/// Whether an answer looks like a resolver's: not the authority's own word, by somebody who offers to ask others.
pub(super) fn is_second_hand(answer: &Message) -> bool {
    let told = matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
    told && !answer.metadata.authoritative && answer.metadata.recursion_available
}

/// The first of these addresses, at which nobody is, that answers; `None` once all of them have kept silent.
pub(super) async fn answering(nowhere: &[SocketAddr], apex: &Name) -> Option<SocketAddr> {
    let question = question(apex, RecordType::SOA, true);
    let bytes = question.to_vec().ok()?;
    let ask = |address: SocketAddr| {
        let (bytes, question) = (&bytes, &question);
        async move { matches!(timeout(PATIENCE, udp(address, bytes, question)).await, Ok(Ok(_))).then_some(address) }
    };
    let mut answers: FuturesUnordered<_> = nowhere.iter().copied().map(ask).collect();
    while let Some(answer) = answers.next().await {
        if answer.is_some() {
            return answer;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::OpCode;

    use super::*;

    #[test]
    fn only_a_resolvers_answer_is_second_hand() {
        for (code, authoritative, recursion, expected) in [
            (ResponseCode::NoError, false, true, true),
            (ResponseCode::NXDomain, false, true, true),
            (ResponseCode::NoError, true, true, false),
            // Some authorities forget the mark, but offer no recursion.
            (ResponseCode::NoError, false, false, false),
            (ResponseCode::Refused, false, true, false),
        ] {
            let mut answer = Message::response(1, OpCode::Query);
            answer.metadata.response_code = code;
            answer.metadata.authoritative = authoritative;
            answer.metadata.recursion_available = recursion;
            assert_eq!(is_second_hand(&answer), expected, "{code} {authoritative} {recursion}");
        }
    }

    #[test]
    fn nobody_is_at_the_addresses_of_examples() {
        assert_eq!(nowhere().len(), 3);
    }
}
