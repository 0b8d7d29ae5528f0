//! Listeners that a careless or hostile client cannot hold: every wait has an end, and connections are counted.
//!
//! HTTPS speaks HTTP/2 and HTTP/1.1 by ALPN, plain HTTP only HTTP/1.1: telling them apart without ALPN needs a wait for
//! the client's first octets that nothing bounds.
mod certificate;
mod crowd;
mod lively;
mod patient;
mod stream;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use certkeep_engine::webserver::Served;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::certificate::Presented;
pub use self::certificate::Unpresentable;
use self::crowd::Crowd;
use self::lively::Lively;
use self::patient::{Patient, Wait};
use self::stream::Answering;
use super::Front;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a request's head may take to arrive, and how long a connection may stand idle.
const HEAD: Duration = Duration::from_secs(30);
/// How long calls that run may go on once the listener is to end.
const FAREWELL: Duration = Duration::from_secs(4);
/// How long nothing may be heard of an HTTP/2 client, which is asked for a sign of life every [`HEAD`].
const SILENCE: Duration = Duration::from_secs(45);
/// Calls at once in one HTTP/2 connection.
const STREAMS: u32 = 64;
/// Between two tries to accept when the system has no more descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// Serves HTTPS until `shutdown` is ready, then lets running calls end, for a few seconds.
///
/// A certificate that `served` brings later is presented to every connection from then on; those that stand go on.
///
/// # Errors
/// The first certificate cannot be presented.
pub async fn serve_tls(
    listener: TcpListener,
    front: Front,
    served: watch::Receiver<Served>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Unpresentable> {
    let presented = Presented::new(served)?;
    let connection = move |stream, peer, watcher| {
        let acceptor = TlsAcceptor::from(presented.current());
        let front = front.clone();
        async move {
            let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream));
            match handshake.await {
                Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    speak_http2(TokioIo::new(Lively::new(stream, SILENCE)), front, peer, watcher).await;
                }
                Ok(Ok(stream)) => speak_http1(stream, front, peer, watcher).await,
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS handshake"),
                Err(_) => tracing::debug!(%peer, "TLS handshake not in time"),
            }
        }
    };
    accept(listener, shutdown, connection).await;
    Ok(())
}

/// Serves plain HTTP until `shutdown` is ready, then lets running calls end, for a few seconds.
pub async fn serve_plain(listener: TcpListener, front: Front, shutdown: impl Future<Output = ()>) {
    let connection = move |stream, peer, watcher| speak_http1(stream, front.clone(), peer, watcher);
    accept(listener, shutdown, connection).await;
}

/// Takes connections in until `shutdown` is ready.
async fn accept<C, F>(listener: TcpListener, shutdown: impl Future<Output = ()>, connection: C)
where
    C: Fn(TcpStream, SocketAddr, Watcher) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let crowd = Crowd::default();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "no connection accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        // One that finds no place is closed at once: waiting for a place, it would hold a descriptor all the same.
        let Some(place) = crowd.enter(peer.ip()) else { continue };
        let _ = stream.set_nodelay(true);
        let speaking = connection(stream, peer, graceful.watcher());
        connections.spawn(async move {
            speaking.await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(FAREWELL, graceful.shutdown()).await.is_err() {
        tracing::debug!(left = connections.len(), "connections cut off");
    }
}

async fn speak_http1<S>(stream: S, front: Front, peer: SocketAddr, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let wait = Wait::new(HEAD);
    let io = TokioIo::new(Answering::new(Patient::new(stream, Arc::clone(&wait))));
    let mut builder = http1::Builder::new();
    // The wait for a request's head is bounded by `Patient`, whose timer costs nothing at each request. One buffer for head
    // and body, since nearly all answers are small.
    builder.header_read_timeout(None).writev(false);
    let service = service_fn(move |request| {
        wait.end();
        let (front, wait) = (front.clone(), Arc::clone(&wait));
        async move {
            let answer = call(&front, peer, request).await;
            wait.begin();
            answer
        }
    });
    if let Err(error) = watcher.watch(builder.serve_connection(io, service)).await {
        tracing::debug!(%peer, %error, "connection broke off");
    }
}

async fn speak_http2<S>(io: TokioIo<S>, front: Front, peer: SocketAddr, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(HEAD).keep_alive_timeout(HANDSHAKE).max_concurrent_streams(STREAMS);
    let service = service_fn(move |request| {
        let front = front.clone();
        async move { call(&front, peer, request).await }
    });
    if let Err(error) = watcher.watch(builder.serve_connection(io, service)).await {
        tracing::debug!(%peer, %error, "connection broke off");
    }
}

async fn call(front: &Front, peer: SocketAddr, request: Request<Incoming>) -> Result<Response, Infallible> {
    Ok(front.answer(peer.ip(), request.map(Body::new)).await)
}
