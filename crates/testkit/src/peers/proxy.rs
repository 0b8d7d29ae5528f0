//! A TCP connection that goes through the test: held up, cut or half closed when it says so.
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A proxy in front of a server, in the runtime of the test; all of its connections end with it.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    course: watch::Sender<Course>,
    accepting: JoinHandle<()>,
}

/// What happens to all connections. Counters, so that each of them sees what happened while it was not looking.
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    stalled: bool,
    /// Connections that were there then are held up for ever.
    losses: u64,
    cuts: u64,
    half_closes: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    ToClient,
    ToServer,
}

impl TcpProxy {
    /// Starts one in front of this server, which may come and go.
    pub async fn start(server: SocketAddr) -> TcpProxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let course = watch::Sender::new(Course::default());
        let watched = course.subscribe();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, watched.clone()));
            }
        });
        TcpProxy { address, course, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing passes, and nobody is told.
    pub fn stall(&self) {
        self.course.send_modify(|course| course.stalled = true);
    }

    /// Everything passes again, what was held up first.
    pub fn resume(&self) {
        self.course.send_modify(|course| course.stalled = false);
    }

    /// Nothing passes any more on the connections that there are, and nobody is told; new ones are well.
    pub fn lose(&self) {
        self.course.send_modify(|course| course.losses += 1);
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.course.send_modify(|course| course.cuts += 1);
    }

    /// Ends what the server says on all connections; what the client says still reaches it.
    pub fn half_close(&self) {
        self.course.send_modify(|course| course.half_closes += 1);
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.cut();
        self.accepting.abort();
    }
}

async fn carry(client: TcpStream, server: SocketAddr, mut watched: watch::Receiver<Course>) {
    let begun = *watched.borrow();
    if watched.wait_for(|course| !course.stalled || course.cuts > begun.cuts).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let ways = async {
        tokio::join!(
            pump(from_client, to_server, Direction::ToServer, begun, watched.clone()),
            pump(from_server, to_client, Direction::ToClient, begun, watched.clone()),
        )
    };
    let mut cut = watched.clone();
    tokio::select! {
        _ = ways => {}
        _ = cut.wait_for(|course| course.cuts > begun.cuts) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    begun: Course,
    mut watched: watch::Receiver<Course>,
) -> io::Result<()> {
    let mut octets = vec![0; 16 * 1024];
    let mut ended = watched.clone();
    let half_closed = ended.wait_for(|course| direction == Direction::ToClient && course.half_closes > begun.half_closes);
    tokio::pin!(half_closed);
    loop {
        let read = tokio::select! {
            read = from.read(&mut octets) => read?,
            _ = &mut half_closed => 0,
        };
        if watched.wait_for(|course| !course.stalled && course.losses == begun.losses).await.is_err() {
            return Ok(());
        }
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&octets[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that repeats what it hears, and a connection to it.
    async fn repeated() -> (TcpProxy, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = TcpProxy::start(listener.local_addr().unwrap()).await;
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut heard, mut said) = client.split();
                    let _ = tokio::io::copy(&mut heard, &mut said).await;
                });
            }
        });
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        client.write_all(b"a").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'a');
        (proxy, client)
    }

    #[tokio::test]
    async fn what_is_held_up_comes_later() {
        let (proxy, mut client) = repeated().await;
        proxy.stall();
        client.write_all(b"b").await.unwrap();
        let early = tokio::time::timeout(std::time::Duration::from_millis(100), client.read_u8()).await;
        assert!(early.is_err(), "nothing passes");
        proxy.resume();
        assert_eq!(client.read_u8().await.unwrap(), b'b');
    }

    #[tokio::test]
    async fn connections_end_when_they_are_cut_or_half_closed() {
        for end in [TcpProxy::cut, TcpProxy::half_close] {
            let (proxy, mut client) = repeated().await;
            end(&proxy);
            assert_eq!(client.read(&mut [0; 8]).await.unwrap_or_default(), 0);
            let mut anew = TcpStream::connect(proxy.address()).await.unwrap();
            anew.write_all(b"c").await.unwrap();
            assert_eq!(anew.read_u8().await.unwrap(), b'c');
        }
    }
}
