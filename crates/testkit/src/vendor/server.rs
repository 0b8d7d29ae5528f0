//! The server in front of an account. One port is all of the vendor's hosts: asked as a proxy (`CONNECT`, or whole
//! addresses in plain HTTP) it is the host that was asked for; asked directly, over TLS, it is the vendor's first.
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming as Body;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::desk::{Desk, Verdict};
use super::reply::Answer;
use super::request::Incoming;

/// The first octet of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

/// Listens on a free port of loopback for as long as the answered task is not aborted.
pub(super) async fn listen(desk: Arc<Desk>, tls: Arc<ServerConfig>) -> (SocketAddr, tokio::task::AbortHandle) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has free ports");
    let address = listener.local_addr().expect("a bound listener has an address");
    let task = tokio::spawn(async move {
        // The connections end with the task that accepts them.
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            while connections.try_join_next().is_some() {}
            let (desk, tls) = (Arc::clone(&desk), Arc::clone(&tls));
            connections.spawn(async move { connection(stream, desk, tls).await });
        }
    });
    (address, task.abort_handle())
}

async fn connection(mut stream: TcpStream, desk: Arc<Desk>, tls: Arc<ServerConfig>) -> io::Result<()> {
    // An answer in two parts must not wait for an acknowledgement.
    stream.set_nodelay(true)?;
    let mut start = [0; 8];
    let read = stream.peek(&mut start).await?;
    let acceptor = TlsAcceptor::from(tls);
    if read > 0 && start[0] == HANDSHAKE {
        let stream = acceptor.accept(stream).await?;
        return serve(TokioIo::new(stream), desk, None).await;
    }
    if !start.starts_with(b"CONNECT ") {
        return serve(TokioIo::new(stream), desk, None).await;
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
        if head.len() > 4096 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let authority = head.split(' ').nth(1).unwrap_or_default().to_owned();
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    // Some vendors' own servers are asked in plain HTTP, through a tunnel as well.
    let read = stream.peek(&mut start).await?;
    if read > 0 && start[0] == HANDSHAKE {
        serve(TokioIo::new(acceptor.accept(stream).await?), desk, Some(authority)).await
    } else {
        serve(TokioIo::new(stream), desk, Some(authority)).await
    }
}

async fn serve<I>(io: I, desk: Arc<Desk>, tunnel: Option<String>) -> io::Result<()>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (desk, tunnel) = (Arc::clone(&desk), tunnel.clone());
        async move { respond(request, &desk, tunnel.as_deref()).await }
    });
    http1::Builder::new().serve_connection(io, service).await.map_err(io::Error::other)
}

/// Answers a request; an error hangs up.
async fn respond(request: Request<Body>, desk: &Desk, tunnel: Option<&str>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    let named = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let asked = head.uri.authority().map(|authority| authority.as_str().to_owned());
    let host = asked.unwrap_or_else(|| named.to_owned());
    let strayed = tunnel.is_some_and(|tunnel| without_port(tunnel) != without_port(&host));
    let incoming = Incoming { method: head.method, host: without_usual_port(&host), uri: head.uri, headers: head.headers, body };
    match desk.take(&incoming, tunnel.is_none(), strayed) {
        Verdict::Answer(answer) => Ok(built(answer)),
        Verdict::HangUp => Err(io::Error::other("a connection is dropped on request")),
        Verdict::Silence => Ok(std::future::pending::<Result<_, Infallible>>().await.unwrap_or_else(|never| match never {})),
    }
}

fn without_port(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

fn without_usual_port(host: &str) -> String {
    host.strip_suffix(":443").unwrap_or(host).to_owned()
}

fn built(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name.as_str(), value.as_str());
    }
    if let Some(kind) = &answer.content_type {
        response = response.header(CONTENT_TYPE, kind.as_str());
    }
    response.body(Full::new(Bytes::from(answer.body))).expect("a table's headers are valid")
}
