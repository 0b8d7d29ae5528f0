//! Listeners that a careless or hostile client cannot hold: every wait has an end, and connections are counted.
//!
//! HTTPS speaks HTTP/2 and HTTP/1.1 by ALPN, plain HTTP only HTTP/1.1: telling them apart without ALPN needs a wait for
//! the client's first octets that nothing bounds.
mod certificate;
mod crowd;
mod lively;
mod stream;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use certkeep_engine::webserver::Served;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::Service;

use self::certificate::Presented;
pub use self::certificate::Unpresentable;
use self::crowd::Crowd;
use self::lively::Lively;
use self::stream::Answering;

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
    router: Router,
    served: watch::Receiver<Served>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Unpresentable> {
    let presented = Presented::new(served)?;
    let connection = move |stream, peer, watcher| {
        let acceptor = TlsAcceptor::from(presented.current());
        let router = router.clone();
        async move {
            let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream));
            match handshake.await {
                Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    speak_http2(TokioIo::new(Lively::new(stream, SILENCE)), router, peer, watcher).await;
                }
                Ok(Ok(stream)) => speak_http1(TokioIo::new(Answering::new(stream)), router, peer, watcher).await,
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS handshake"),
                Err(_) => tracing::debug!(%peer, "TLS handshake not in time"),
            }
        }
    };
    accept(listener, shutdown, connection).await;
    Ok(())
}

/// Serves plain HTTP until `shutdown` is ready, then lets running calls end, for a few seconds.
pub async fn serve_plain(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let connection =
        move |stream, peer, watcher| speak_http1(TokioIo::new(Answering::new(stream)), router.clone(), peer, watcher);
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

async fn speak_http1<S>(io: TokioIo<S>, router: Router, peer: SocketAddr, watcher: Watcher)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let connection = builder.serve_connection(io, service_fn(move |request| call(&router, peer, request)));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "connection broke off");
    }
}

async fn speak_http2<S>(io: TokioIo<S>, router: Router, peer: SocketAddr, watcher: Watcher)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(HEAD).keep_alive_timeout(HANDSHAKE).max_concurrent_streams(STREAMS);
    let connection = builder.serve_connection(io, service_fn(move |request| call(&router, peer, request)));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "connection broke off");
    }
}

fn call(
    router: &Router,
    peer: SocketAddr,
    request: http::Request<Incoming>,
) -> impl Future<Output = Result<axum::response::Response, std::convert::Infallible>> + Send + 'static + use<> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    // A router is always ready.
    router.clone().call(request)
}
