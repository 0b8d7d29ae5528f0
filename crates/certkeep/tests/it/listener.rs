//! The listener: what happens below the API.
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use certkeep::http::listener;
use http::Method;
use rustls_pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::call::{Answer, Call, HERE};
use crate::house::{House, client};

async fn connect(house: &House, tls: rustls::ClientConfig) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(house.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap()
}

/// Sends octets and reads one answer with a `content-length`; answers status line and body.
async fn exchange(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), request: &[u8]) -> (String, String) {
    stream.write_all(request).await.unwrap();
    let mut read = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "{}", String::from_utf8_lossy(&read));
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            return (head.lines().next().unwrap().to_owned(), body.to_owned());
        }
    }
}

#[tokio::test]
async fn outside_the_api_there_are_a_health_check_and_the_page_and_nothing_else() {
    let house = House::over_https().await;
    let client = client(house.address(), house.tls(&[b"http/1.1"]), HERE);
    let url = |path: &str| format!("https://localhost:{}{path}", house.address().port());
    let health = client.get(url("/healthz")).send().await.unwrap();
    assert_eq!((health.status().as_u16(), health.text().await.unwrap().as_str()), (200, "ok"));
    let page = client.get(url("/")).send().await.unwrap();
    assert_eq!((page.status().as_u16(), page.url().path()), (200, "/login"), "the page asks who is there");
    for path in ["/nonsense", "/certificate/list", "/openapix", "/loginx"] {
        assert_eq!(client.get(url(path)).send().await.unwrap().status(), 404, "{path}");
    }
    assert_eq!(client.post(url("/healthz")).send().await.unwrap().status(), 404);
}

/// §1: "No other methods.": one that wants no body gets the type and status of the envelope.
#[tokio::test]
async fn head_gets_the_head_of_the_envelope() {
    let house = House::over_https().await;
    let client = client(house.address(), house.tls(&[b"http/1.1"]), HERE);
    let url = format!("https://localhost:{}/openapi/v1.0/certificate/list", house.address().port());
    let response = client.head(&url).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers()["content-type"].as_bytes()),
        (200, b"application/json".as_slice())
    );
    assert_eq!(response.text().await.unwrap(), "");
}

/// §1: "Keep-alive … work"
#[tokio::test]
async fn a_connection_is_kept_for_the_next_call() {
    let house = House::over_https().await;
    let mut stream = connect(&house, house.tls(&[b"http/1.1"])).await;
    for _ in 0..3 {
        let (status, body) = exchange(&mut stream, b"GET /openapi/v1.0/certificate/list HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", r#"{"errcode":10004,"errmsg":"TOKEN EXPIRED"}"#));
    }
}

/// §1: "gzip … work": for what is worth it
#[tokio::test]
async fn large_answers_are_compressed_and_small_ones_are_not() {
    let house = House::over_https().await;
    for number in 0..10 {
        house.applied(&format!("a{number}.example.com")).await;
    }
    let token = house.token().await;
    let list = format!("https://localhost:{}/openapi/v1.0/certificate/list?access_token={token}", house.address().port());
    // A client that does not undo the compression shows it.
    let tls = house.tls(&[b"http/1.1"]);
    let plain = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().gzip(false);
    let plain = plain.resolve("localhost", house.address()).build().unwrap();
    let asked = plain.get(&list).header("accept-encoding", "gzip, deflate").send().await.unwrap();
    assert_eq!(asked.headers()["content-encoding"], "gzip");
    let compressed = asked.bytes().await.unwrap().len();
    let not_asked = plain.get(&list).send().await.unwrap();
    assert!(!not_asked.headers().contains_key("content-encoding"));
    let octets = not_asked.bytes().await.unwrap();
    assert!(octets.len() > 3 * compressed, "{} {compressed}", octets.len());
    let small =
        plain.get(list.replace("certificate/list", "webserver/get")).header("accept-encoding", "gzip").send().await.unwrap();
    assert!(!small.headers().contains_key("content-encoding"));
    // The one that does sees what was sent.
    assert_eq!(house.get("certificate/list").await.text.as_bytes(), octets);
}

/// §1: "HTTP/2 work"
#[tokio::test]
async fn http_2_is_spoken_where_the_client_can() {
    let house = House::over_https().await;
    let token = house.token().await;
    let client = client(house.address(), house.tls(&[b"h2", b"http/1.1"]), HERE);
    let url = format!("https://localhost:{}/openapi/v1.0/certificate/list?access_token={token}", house.address().port());
    let calls = (0..20).map(|_| client.get(&url).send());
    for response in futures::future::join_all(calls).await {
        let response = response.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer::new(status, headers, &response.bytes().await.unwrap()).is_success();
    }
}

/// §5: "certkeep's own HTTPS listener switches at once, without dropping connections"
#[tokio::test]
async fn the_certificate_is_switched_at_once_and_connections_stand() {
    let house = House::over_https().await;
    let before = house.tls(&[b"http/1.1"]);
    house.uploaded("localhost.pem", &["localhost"], 90).await;
    let mut standing = connect(&house, before.clone()).await;
    let request = b"GET /openapi/v1.0/certificate/list HTTP/1.1\r\nhost: x\r\n\r\n";
    exchange(&mut standing, request).await;
    house.post("webserver/update", json!({"https_cert": "localhost.pem"})).await.is_success();
    // The same client again: a session it could resume would bring the old certificate back.
    let stream = TcpStream::connect(house.address()).await.unwrap();
    let refused = TlsConnector::from(Arc::new(before)).connect(ServerName::try_from("localhost").unwrap(), stream).await;
    assert!(refused.is_err(), "the old certificate is still presented");
    let served = house.engine.served().borrow().chain.certificates()[0].clone();
    let new = connect(&house, house.tls(&[b"http/1.1"])).await;
    assert_eq!(new.get_ref().1.peer_certificates().unwrap()[0].as_ref(), served.as_slice());
    exchange(&mut standing, request).await;
}

/// §2: "HTTP 200 and a JSON object for every API answer", even where no URL could be read
#[tokio::test]
async fn what_is_no_http_is_answered_by_the_envelope() {
    let house = House::over_https().await;
    let long = format!("GET /openapi/v1.0/certificate/get?id={} HTTP/1.1\r\nhost: x\r\n\r\n", "1".repeat(70_000));
    let large = format!("GET /openapi/v1.0/certificate/list HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "1".repeat(600_000));
    for request in [
        b"GET /openapi/v1.0/certificate/get?id=\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n".as_slice(),
        b"GET /openapi/v1.0/certificate/get?id=a b HTTP/1.1\r\nhost: x\r\n\r\n",
        b"nonsense\r\n\r\n",
        long.as_bytes(),
        large.as_bytes(),
    ] {
        let mut stream = connect(&house, house.tls(&[b"http/1.1"])).await;
        let (status, body) = exchange(&mut stream, request).await;
        assert_eq!(status, "HTTP/1.1 200 OK", "{body}");
        assert!(body.starts_with(r#"{"errcode":40001,"errmsg":"PARAMETER SYNTAX ERROR","#), "{body}");
    }
}

/// A client that waits to be told to send its body gets it refused as others do.
#[tokio::test]
async fn an_oversize_body_after_expect_continue_is_answered() {
    let house = House::over_https().await;
    let mut stream = connect(&house, house.tls(&[b"http/1.1"])).await;
    let head = "POST /openapi/v1.0/get_token HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(go_on.as_slice(), b"HTTP/1.1 100 Continue\r\n\r\n");
    let (status, body) = exchange(&mut stream, &vec![b'x'; 3_000_000]).await;
    assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", r#"{"errcode":40004,"errmsg":"FILE SIZE EXCEEDED"}"#));
}

/// Plain HTTP is served where it is configured, and ends while a connection stands idle.
#[tokio::test]
async fn plain_http_is_served_and_ends_within_seconds() {
    let house = House::directly().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move {
        let _ = stopped.await;
    };
    let serving = tokio::spawn(listener::serve_plain(listener, house.front(), stopped));
    let mut idle = TcpStream::connect(address).await.unwrap();
    let request = b"GET /openapi/v1.0/certificate/list HTTP/1.1\r\nhost: x\r\n\r\n";
    exchange(&mut idle, request).await;
    let silent = TcpStream::connect(address).await.unwrap();
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), serving).await.expect("it ends in time").unwrap();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    drop(silent);
    assert!(TcpStream::connect(address).await.is_err());
}

/// Who only connects, or never ends a request's head, is sent away; others are served meanwhile.
#[tokio::test]
async fn a_slow_client_is_sent_away() {
    let house = House::over_https().await;
    let mut never_greets = TcpStream::connect(house.address()).await.unwrap();
    let mut never_ends = connect(&house, house.tls(&[b"http/1.1"])).await;
    never_ends.write_all(b"GET /openapi/v1.0/certificate/list HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut never_speaks = connect(&house, house.tls(&[b"h2"])).await;
    house.get("certificate/list").await.is_success();
    let ended = async {
        let _ = never_greets.read_to_end(&mut Vec::new()).await;
        let _ = never_ends.read_to_end(&mut Vec::new()).await;
        let _ = never_speaks.read_to_end(&mut Vec::new()).await;
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("all are sent away in time");
}

/// Connections that break off, in the middle of anything, harm nobody else.
#[tokio::test]
async fn a_connection_that_breaks_off_ends_nothing_else() {
    let house = House::over_https().await;
    for request in ["POST /openapi/v1.0/get_token HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{", "GET /openapi", ""] {
        let mut stream = connect(&house, house.tls(&[b"http/1.1"])).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        drop(stream);
    }
    house.send(Call::new(Method::GET, "certificate/list")).await.is(10004, "TOKEN EXPIRED");
}
