//! One DNS message there and one back, as bytes.
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long an authority on loopback may take before it counts as silent.
const PATIENCE: Duration = Duration::from_secs(3);

/// What carries a DNS message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// One message in a segment stream, with two bytes of length before it (RFC 1035 §4.2.2).
    Tcp,
    /// One message a datagram.
    Udp,
}

/// Sends `message` to `server` and returns its answer; an error of kind `TimedOut` after three seconds of silence.
pub(super) async fn exchange(message: &[u8], server: SocketAddr, transport: Transport) -> io::Result<Vec<u8>> {
    let conversation = async {
        match transport {
            Transport::Tcp => {
                let mut stream = TcpStream::connect(server).await?;
                write_message(&mut stream, message).await?;
                read_message(&mut stream).await
            }
            Transport::Udp => {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                // Connected: only the server's own datagrams are received, and a closed port is an error at once.
                socket.connect(server).await?;
                socket.send(message).await?;
                let mut answer = vec![0; usize::from(u16::MAX)];
                let length = socket.recv(&mut answer).await?;
                answer.truncate(length);
                Ok(answer)
            }
        }
    };
    timeout(PATIENCE, conversation).await?
}

/// Reads one message of a TCP stream.
pub(super) async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Writes one message to a TCP stream.
pub(super) async fn write_message(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    // One write: length and message in separate segments would wait for each other's acknowledgement.
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await
}
