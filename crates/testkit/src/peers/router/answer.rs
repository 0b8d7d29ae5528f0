//! From one question to its answer.
use std::net::SocketAddr;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::time::sleep;

use super::{Asked, Effect, State, lock};
use crate::peers::exchange::{Transport, exchange};

/// How many aliases are followed for one question.
const HOPS: usize = 10;

/// The answer to `packet`; `None` when the asker shall hear nothing.
pub(super) async fn answer(state: &State, packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
    // An unreadable question gets no answer: there may be no id to answer to.
    let question = Message::from_vec(packet).ok()?;
    let query = question.queries.first()?.clone();
    if question.metadata.op_code != OpCode::Query {
        // An update is signed over its bytes, and so is its answer: both pass untouched.
        let authority = state.authority(query.name())?;
        return exchange(packet, authority, transport).await.ok();
    }

    let mut aliases = Vec::new();
    let mut current = query.clone();
    let last = loop {
        let reply = match hop(state, &current, packet, &question, transport, !aliases.is_empty()).await? {
            Reply::Final(reply) => reply,
            Reply::Relayed(bytes) if aliases.is_empty() && !leads_away(&bytes, &current) => {
                return Some(with_recursion_available(bytes));
            }
            Reply::Relayed(bytes) => match Message::from_vec(&bytes) {
                Ok(reply) => reply,
                Err(_) => empty(&question, ResponseCode::ServFail),
            },
        };
        let target = alias_target(&reply, &current);
        let Some(target) = target else { break reply };
        if aliases.len() >= HOPS {
            break empty(&question, ResponseCode::ServFail);
        }
        aliases.extend(reply.answers);
        current = Query::query(target, current.query_type());
    };

    let mut reply = empty(&question, last.metadata.response_code);
    reply.answers = aliases;
    reply.answers.extend(last.answers);
    reply.authorities = last.authorities;
    encode(reply, &question, transport)
}

/// What one question, of the asker or on an alias's behalf, led to.
enum Reply {
    /// An authority's answer, as it came.
    Relayed(Vec<u8>),
    /// The router's own.
    Final(Message),
}

/// One question to one authority, with what shall go wrong; `None` when the asker shall hear nothing.
async fn hop(
    state: &State,
    query: &Query,
    packet: &[u8],
    question: &Message,
    transport: Transport,
    followed: bool,
) -> Option<Reply> {
    let (name, qtype) = (query.name(), query.query_type());
    let mut text = name.to_lowercase().to_ascii();
    text.pop();
    lock(&state.asked).push(Asked { name: text, qtype, transport, followed });

    let (delay, effect) = state.fault(name, qtype);
    if !delay.is_zero() {
        sleep(delay).await;
    }
    match effect {
        Effect::Pass => {}
        Effect::Drop => return None,
        Effect::Code(code) => return Some(Reply::Final(empty(question, code))),
    }
    let Some(authority) = state.authority(name) else {
        return Some(Reply::Final(unrouted(state, query, question)));
    };
    let relayed = if followed {
        follow(query, question, authority, transport).await
    } else {
        exchange(packet, authority, transport).await.ok()
    };
    Some(match relayed {
        Some(bytes) => Reply::Relayed(bytes),
        None => Reply::Final(empty(question, ResponseCode::ServFail)),
    })
}

async fn follow(query: &Query, question: &Message, authority: SocketAddr, transport: Transport) -> Option<Vec<u8>> {
    let mut message = Message::query();
    message.metadata.recursion_desired = question.metadata.recursion_desired;
    message.add_query(query.clone());
    message.edns = question.edns.clone();
    exchange(&message.to_vec().ok()?, authority, transport).await.ok()
}

/// Whether these bytes are an answer whose last alias is still to be followed.
fn leads_away(bytes: &[u8], query: &Query) -> bool {
    Message::from_vec(bytes).is_ok_and(|reply| alias_target(&reply, query).is_some())
}

/// Where the aliases in `reply` end, if that is neither the name asked for nor a name whose records the reply has.
fn alias_target(reply: &Message, query: &Query) -> Option<Name> {
    if matches!(query.query_type(), RecordType::CNAME | RecordType::ANY) {
        return None;
    }
    let mut name = query.name();
    for _ in &reply.answers {
        let alias = reply.answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == *name => Some(&target.0),
            _ => None,
        });
        let Some(target) = alias else { break };
        name = target;
    }
    let answered = reply.answers.iter().any(|record| record.name == *name && record.record_type() == query.query_type());
    (name != query.name() && !answered).then(|| name.clone())
}

/// The answer for a name in no zone, as a root server with nothing but the routed zones would give it.
fn unrouted(state: &State, query: &Query, question: &Message) -> Message {
    let exists = query.name().is_root() || state.has_zone_below(query.name());
    let mut reply = empty(question, if exists { ResponseCode::NoError } else { ResponseCode::NXDomain });
    let soa = SOA::new(Name::root(), Name::root(), 1, 3600, 600, 86400, 1);
    let soa = Record::from_rdata(Name::root(), 1, RData::SOA(soa));
    if query.name().is_root() && query.query_type() == RecordType::SOA {
        reply.add_answer(soa);
    } else {
        reply.add_authority(soa);
    }
    reply
}

/// An answer to `question` without records.
fn empty(question: &Message, code: ResponseCode) -> Message {
    let mut reply = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    reply.metadata = Metadata::response_from_request(&question.metadata);
    reply.metadata.recursion_available = true;
    reply.metadata.response_code = code;
    reply.queries.clone_from(&question.queries);
    reply.edns = question.edns.as_ref().map(|_| Edns::new());
    reply
}

/// The bytes of `reply`; only "truncated" when they do not fit the datagram that the asker can take.
fn encode(reply: Message, question: &Message, transport: Transport) -> Option<Vec<u8>> {
    let bytes = reply.to_vec().ok()?;
    if transport == Transport::Udp && bytes.len() > usize::from(question.max_payload()) {
        return reply.truncate().to_vec().ok();
    }
    Some(bytes)
}

/// Sets the bit in the header (RFC 1035 §4.1.1), leaving all else as the authority wrote it.
fn with_recursion_available(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(flags) = bytes.get_mut(3) {
        *flags |= 0x80;
    }
    bytes
}
