//! The name server: UDP and TCP on one port, one answer per question.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::zone::{Answer, Records};
use crate::faults::{Fault, Faults};

/// What a question without EDNS can take over UDP (RFC 1035 §4.2.1).
const PLAIN_UDP: u16 = 512;
/// What we offer and send at most over UDP, so that nothing is cut into fragments.
const EDNS_UDP: u16 = 1232;
/// How often a pair of equal free ports is looked for.
const PORT_ATTEMPTS: usize = 64;

/// The running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct DnsServer {
    address: SocketAddr,
    tasks: JoinSet<()>,
}

/// What both transports answer from.
struct Responder {
    records: Arc<Records>,
    faults: Arc<Faults>,
}

impl DnsServer {
    /// Listens on loopback; port 0 takes one that is free for UDP and TCP alike.
    pub(crate) async fn start(port: u16, records: Arc<Records>, faults: Arc<Faults>) -> std::io::Result<DnsServer> {
        let (udp, tcp) = bind(port).await?;
        let address = udp.local_addr()?;
        let responder = Arc::new(Responder { records, faults });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, Arc::clone(&responder)));
        tasks.spawn(serve_tcp(tcp, responder));
        Ok(DnsServer { address, tasks })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the server; its port is free when this returns.
    pub(crate) async fn end(&mut self) {
        self.tasks.shutdown().await;
    }
}

async fn bind(port: u16) -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut attempts = if port == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if attempts == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

async fn serve_udp(socket: UdpSocket, responder: Arc<Responder>) {
    let mut buffer = [0; u16::MAX as usize];
    loop {
        // An error here is the echo of an asker that went away (ICMP); the next one is served.
        let Ok((length, asker)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let question = buffer.get(..length).unwrap_or_default();
        if let Some(answer) = responder.respond(question, true) {
            let _ = socket.send_to(&answer, asker).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, responder: Arc<Responder>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    let responder = Arc::clone(&responder);
                    connections.spawn(async move {
                        // How a connection ends is the asker's affair.
                        let _ = serve_connection(stream, &responder).await;
                    });
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(mut stream: TcpStream, responder: &Responder) -> std::io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut question = vec![0; usize::from(length)];
        stream.read_exact(&mut question).await?;
        let Some(answer) = responder.respond(&question, false) else {
            continue;
        };
        let Ok(length) = u16::try_from(answer.len()) else {
            return Ok(());
        };
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        stream.write_all(&framed).await?;
    }
}

impl Responder {
    /// The answer to one message; `None` keeps silent.
    fn respond(&self, bytes: &[u8], udp: bool) -> Option<Vec<u8>> {
        let Ok(request) = Message::from_vec(bytes) else {
            return malformed(bytes);
        };
        // Answering an answer would let two servers talk for ever.
        if request.metadata.message_type == MessageType::Response {
            return None;
        }
        if self.faults.fires(Fault::DnsDropped) {
            return None;
        }
        let limit = match &request.edns {
            _ if !udp => u16::MAX,
            Some(edns) => edns.max_payload().clamp(PLAIN_UDP, EDNS_UDP),
            None => PLAIN_UDP,
        };
        let response = self.response(&request);
        let bytes = response.to_vec().ok()?;
        if bytes.len() <= usize::from(limit) {
            return Some(bytes);
        }
        response.truncate().to_vec().ok()
    }

    fn response(&self, request: &Message) -> Message {
        let mut response = Message::response(request.metadata.id, request.metadata.op_code);
        response.metadata = Metadata::response_from_request(&request.metadata);
        // The question goes back letter by letter: askers compare its case (0x20).
        response.add_queries(request.queries.iter().cloned());
        if let Some(edns) = &request.edns {
            let mut ours = Edns::new();
            ours.set_max_payload(EDNS_UDP);
            if edns.version() > 0 {
                ours.set_rcode_high(ResponseCode::BADVERS.high());
                response.metadata.response_code = ResponseCode::BADVERS;
            }
            response.set_edns(ours);
        }
        if response.metadata.response_code != ResponseCode::NoError {
            return response;
        }
        let answer = self.answer(request);
        response.metadata.response_code = answer.code;
        response.metadata.authoritative = answer.authoritative;
        response.add_answers(answer.answers);
        response.add_authorities(answer.authorities);
        response
    }

    fn answer(&self, request: &Message) -> Answer {
        if request.metadata.op_code != OpCode::Query {
            return refusal(ResponseCode::NotImp);
        }
        let [question] = request.queries.as_slice() else {
            return refusal(ResponseCode::FormErr);
        };
        let transfer = matches!(question.query_type, RecordType::AXFR | RecordType::IXFR);
        if question.query_class != DNSClass::IN || transfer {
            return refusal(ResponseCode::Refused);
        }
        if self.faults.fires(Fault::DnsServfail) {
            return refusal(ResponseCode::ServFail);
        }
        let hides = question.query_type == RecordType::TXT && self.faults.fires(Fault::HideTxt);
        let hidden = hides.then_some(RecordType::TXT);
        self.records.answer(&question.name, question.query_type, hidden)
    }
}

fn refusal(code: ResponseCode) -> Answer {
    Answer { code, authoritative: false, answers: Vec::new(), authorities: Vec::new() }
}

/// A format error for whatever still shows an identifier and asks rather than answers.
fn malformed(bytes: &[u8]) -> Option<Vec<u8>> {
    const RESPONSE_BIT: u8 = 0x80;
    let [high, low, flags, _, _, _, _, _, _, _, _, _, ..] = bytes else {
        return None;
    };
    if flags & RESPONSE_BIT != 0 {
        return None;
    }
    let id = u16::from_be_bytes([*high, *low]);
    Message::error_msg(id, OpCode::Query, ResponseCode::FormErr).to_vec().ok()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Query;
    use hickory_proto::rr::Name;
    use proptest::prelude::*;

    use super::*;

    fn responder() -> Responder {
        let records = Arc::new(Records::default());
        records.add_zone("example.com").unwrap();
        Responder { records, faults: Arc::default() }
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer_or_none(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = responder().respond(&bytes, true);
        }

        #[test]
        fn any_name_of_the_zone_gets_an_answer_that_fits(
            labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..8),
            kind in any::<u16>(),
        ) {
            let mut labels = labels;
            labels.extend([b"example".to_vec(), b"com".to_vec()]);
            let name = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
            let mut question = Message::query();
            question.add_query(Query::query(name, RecordType::from(kind)));
            let bytes = responder().respond(&question.to_vec().unwrap(), true).unwrap();
            prop_assert!(bytes.len() <= PLAIN_UDP.into());
            let answer = Message::from_vec(&bytes).unwrap();
            prop_assert_eq!(answer.queries, question.queries);
        }
    }
}
