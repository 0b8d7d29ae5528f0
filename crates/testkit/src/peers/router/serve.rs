//! Taking questions from the sockets and handing answers back.
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::State;
use super::answer::answer;
use crate::peers::exchange::{Transport, read_message, write_message};

/// Serves until `stopped` fires or its sender is gone; open questions end with it.
pub(super) fn run(
    udp: UdpSocket,
    tcp: TcpListener,
    state: Arc<State>,
    started: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(async {
        udp.set_nonblocking(true).expect("a socket can be non-blocking");
        tcp.set_nonblocking(true).expect("a socket can be non-blocking");
        let udp = tokio::net::UdpSocket::from_std(udp).expect("the runtime takes the socket");
        let tcp = tokio::net::TcpListener::from_std(tcp).expect("the runtime takes the socket");
        // Nobody waits any more if the test was abandoned in between.
        let _ = started.send(());
        tokio::select! {
            _ = stopped => {}
            () = datagrams(Arc::new(udp), Arc::clone(&state)) => {}
            () = streams(tcp, state) => {}
        }
    });
}

async fn datagrams(socket: Arc<tokio::net::UdpSocket>, state: Arc<State>) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        // An asker that has gone away makes itself felt as an error here (ICMP); the next one is still served.
        let Ok((length, asker)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let question = buffer[..length].to_vec();
        let (socket, state) = (Arc::clone(&socket), Arc::clone(&state));
        tokio::spawn(async move {
            if let Some(reply) = answer(&state, &question, Transport::Udp).await {
                let _ = socket.send_to(&reply, asker).await;
            }
        });
    }
}

async fn streams(listener: tokio::net::TcpListener, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let state = Arc::clone(&state);
        // The asker ends the connection when it has heard enough: no error worth telling.
        tokio::spawn(async move { conversation(stream, &state).await });
    }
}

async fn conversation(mut stream: TcpStream, state: &State) -> io::Result<()> {
    loop {
        let question = read_message(&mut stream).await?;
        match answer(state, &question, Transport::Tcp).await {
            Some(reply) => write_message(&mut stream, &reply).await?,
            None => return Ok(()),
        }
    }
}
