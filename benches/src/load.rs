//! A load generator that costs little itself: raw connections, prepared requests, one at a time on each.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Connections at once.
const CONNECTIONS: usize = 32;

/// Answers a second, asking for `paths` in turn for a while.
pub(crate) async fn answers_per_second(server: SocketAddr, paths: Arc<Vec<String>>, time: Duration) -> f64 {
    let began = Instant::now();
    let mut tasks = Vec::new();
    for connection in 0..CONNECTIONS {
        let paths = Arc::clone(&paths);
        tasks.push(tokio::spawn(async move { ask(server, &paths, connection, began + time).await }));
    }
    let mut answers = 0;
    for task in tasks {
        answers += task.await.expect("the connection lasts");
    }
    answers as f64 / began.elapsed().as_secs_f64()
}

async fn ask(server: SocketAddr, paths: &[String], first: usize, until: Instant) -> u64 {
    let mut stream = TcpStream::connect(server).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket option");
    let mut buffer = vec![0; 64 * 1024];
    let mut answers = 0;
    let mut at = first * 7919;
    while Instant::now() < until {
        let request = format!("GET {} HTTP/1.1\r\nhost: pbx\r\n\r\n", paths[at % paths.len()]);
        at += CONNECTIONS * 7919 + 1;
        stream.write_all(request.as_bytes()).await.expect("written");
        read_answer(&mut stream, &mut buffer).await;
        answers += 1;
    }
    answers
}

/// Reads one answer to its end, by its `content-length`.
pub(crate) async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await.expect("an answer");
        assert!(read > 0, "the connection was closed: {:?}", String::from_utf8_lossy(&buffer[..filled]));
        filled += read;
        if is_whole(&buffer[..filled]) {
            return;
        }
    }
}

/// Whether this is all of an answer, by its `content-length`.
pub(crate) fn is_whole(octets: &[u8]) -> bool {
    let Some(head) = octets.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    let text = std::str::from_utf8(&octets[..head]).expect("a head");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().expect("a length"))
    });
    octets.len() >= head + 4 + length.expect("a content-length")
}
