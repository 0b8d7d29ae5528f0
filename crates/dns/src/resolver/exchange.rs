//! One DNS message there and one back.
//!
//! Sockets are connected: the kernel hands over nothing but the server's own datagrams, and a closed port or a missing
//! route is an error at once instead of a timeout. Questions carry no EDNS, which old servers and middleboxes drop;
//! what does not fit 512 bytes comes again by TCP (RFC 1035 §4.2.1, RFC 7766 §5).
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one datagram's answer is waited for.
const UDP_PATIENCE: Duration = Duration::from_secs(2);

/// How often a question is sent by UDP before TCP is tried.
const UDP_TRIES: u32 = 2;

/// How long a whole question by TCP may take, the connection included.
const TCP_PATIENCE: Duration = Duration::from_secs(3);

/// Why a server gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The network said no: a closed port, no route, a connection cut off.
    #[error("{0}")]
    Network(#[from] io::Error),
    /// Nothing came in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Silent(Duration),
    /// What came is no DNS answer to the question.
    #[error("an unreadable answer")]
    Unreadable,
}

/// A question of one name and type with a random id.
pub(crate) fn question(name: &Name, kind: RecordType, recursion: bool) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = recursion;
    message.add_query(Query::query(name.clone(), kind));
    message
}

/// Asks `server` by UDP, twice if it must be, then by TCP if the answer was cut off or none came.
pub(crate) async fn ask(server: SocketAddr, question: &Message) -> Result<Message, Unanswered> {
    let bytes = question.to_vec().map_err(|_| Unanswered::Unreadable)?;
    for _ in 0..UDP_TRIES {
        match timeout(UDP_PATIENCE, udp(server, &bytes, question)).await {
            Ok(Ok(answer)) if !answer.metadata.truncation => return Ok(answer),
            // Truncated, or refused by the network: sending it again would lead to the same.
            Ok(_) => break,
            Err(_) => {}
        }
    }
    let bytes = timeout(TCP_PATIENCE, tcp(server, &bytes)).await.map_err(|_| Unanswered::Silent(TCP_PATIENCE))??;
    let answer = Message::from_vec(&bytes).map_err(|_| Unanswered::Unreadable)?;
    if answers(&answer, question) { Ok(answer) } else { Err(Unanswered::Unreadable) }
}

/// Sends one datagram and waits, without limit, for the answer to it; what answers something else is dropped.
pub(super) async fn udp(server: SocketAddr, bytes: &[u8], question: &Message) -> Result<Message, Unanswered> {
    let socket = UdpSocket::bind((unspecified(server), 0)).await?;
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let received = buffer.get(..length).unwrap_or_default();
        if let Ok(answer) = Message::from_vec(received)
            && answers(&answer, question)
        {
            return Ok(answer);
        }
    }
}

/// Sends one message over a connection of its own and returns the first that comes back, without limit of time.
pub(crate) async fn tcp(server: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(server).await?;
    // One write: length and message in separate segments would wait for each other's acknowledgement.
    stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// The response code as DNS tools write it: `NXDOMAIN`, `REFUSED` …
pub(crate) fn mnemonic(code: ResponseCode) -> String {
    format!("{code:?}").to_uppercase()
}

/// Whether this is an answer to the question, by its id and what it repeats.
pub(super) fn answers(answer: &Message, question: &Message) -> bool {
    let alike = |a: &Query, b: &Query| a.name() == b.name() && a.query_type() == b.query_type();
    answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == MessageType::Response
        // Servers that refuse may leave the question out.
        && answer.queries.iter().zip(&question.queries).all(|(a, b)| alike(a, b))
}

fn unspecified(server: SocketAddr) -> IpAddr {
    if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}
