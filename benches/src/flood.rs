//! A hundred thousand wrong `refresh_token` posts: what they do to a second client, to the log and to the disk.
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use crate::load::{is_whole, read_answer};
use crate::median;
use crate::service::{Service, add_client, log_of};

const POSTS: usize = 100_000;
/// Addresses that flood: one alone is held to few posts a second.
const ADDRESSES: u8 = 8;
/// Connections from each.
const CONNECTIONS: usize = 4;
/// How long the second client is watched without any flood.
const QUIET: Duration = Duration::from_secs(30);
/// Between two calls of the second client.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) async fn measure(certkeep: &Path) {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("data");
    let client = add_client(certkeep, &folder);
    let mut service = Service::start(certkeep, &folder, None);
    service.login(&client).await;
    let address = service.address();
    let request = format!("GET {} HTTP/1.1\r\nhost: pbx\r\n\r\n", service.path("certificate/list", ""));

    let quiet = watch(address, &request, tokio::spawn(tokio::time::sleep(QUIET))).await;
    let (log, disk) = (size(&log_of(&folder)), size(&folder));
    let began = Instant::now();
    let flooded = watch(address, &request, tokio::spawn(flood(address, POSTS))).await;
    let seconds = began.elapsed().as_secs_f64();
    let (log, disk) = (size(&log_of(&folder)) - log, size(&folder) - disk);
    // What the machine makes of so much traffic, whoever answers it.
    let other = tempfile::tempdir().expect("a folder");
    let other = Service::start(certkeep, other.path(), None);
    let elsewhere = other.address();
    let beside = watch(address, &request, tokio::spawn(flood(elsewhere, POSTS / 5))).await;
    let (quiet_mean, flooded_mean) = (mean(&quiet) * 1e6, mean(&flooded) * 1e6);
    let (quiet, flooded, beside) = (median(quiet) * 1e6, median(flooded) * 1e6, median(beside) * 1e6);
    println!("\n| what | measured |\n|---|---|");
    println!("| wrong posts | {POSTS} from {ADDRESSES} addresses in {seconds:.0} s |");
    println!(
        "| second client, median of `certificate/list` | quiet {quiet:.0} µs, flooded {flooded:.0} µs: {:.2} |",
        flooded / quiet
    );
    println!(
        "| second client, mean of `certificate/list` | quiet {quiet_mean:.0} µs, flooded {flooded_mean:.0} µs: {:.2} |",
        flooded_mean / quiet_mean
    );
    println!(
        "| the median while another certkeep on the machine is flooded | {beside:.0} µs: {:.2}; flooded itself, {:.2} of that |",
        beside / quiet,
        flooded / beside
    );
    println!("| growth of the log | {:.1} KiB |", log as f64 / 1024.0);
    println!("| growth of the data folder | {:.1} KiB |", disk as f64 / 1024.0);
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len() as f64
}

/// Posts from all addresses at once.
async fn flood(server: SocketAddr, posts: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for last in 1..=ADDRESSES {
        for _ in 0..CONNECTIONS {
            tasks.spawn(post(server, Ipv4Addr::new(127, 0, 1, last).into(), posts / usize::from(ADDRESSES) / CONNECTIONS));
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("the flood goes on");
    }
}

/// Calls until the task ends; answers how long each call took, in seconds.
async fn watch(server: SocketAddr, request: &str, meanwhile: tokio::task::JoinHandle<()>) -> Vec<f64> {
    let (request, over) = (request.to_owned(), Arc::new(AtomicBool::new(false)));
    let watched = Arc::clone(&over);
    // A thread of its own, with pauses that are no multiple of anything: a timer's ticks would be in step with the
    // server's, and every call, or none, would meet those whom the server lets go at a tick.
    let watching = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(server).expect("a connection");
        stream.set_nodelay(true).expect("a socket option");
        let mut times = Vec::new();
        for pause in (0..).map(|call: u32| PAUSE + Duration::from_micros(u64::from(call * 137 % 1000))) {
            if watched.load(Ordering::Relaxed) {
                break;
            }
            let began = Instant::now();
            stream.write_all(request.as_bytes()).expect("written");
            read_whole(&mut stream);
            times.push(began.elapsed().as_secs_f64());
            std::thread::sleep(pause);
        }
        times
    });
    meanwhile.await.expect("it ends");
    over.store(true, Ordering::Relaxed);
    watching.await.expect("it ends")
}

/// Reads one answer to its end.
fn read_whole(stream: &mut std::net::TcpStream) {
    let (mut buffer, mut filled) = (vec![0; 64 * 1024], 0);
    loop {
        let read = stream.read(&mut buffer[filled..]).expect("an answer");
        assert!(read > 0, "the connection was closed");
        filled += read;
        if is_whole(&buffer[..filled]) {
            return;
        }
    }
}

async fn post(server: SocketAddr, from: IpAddr, count: usize) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(from, 0)).expect("an address of loopback");
    let mut stream = socket.connect(server).await.expect("a connection");
    let body = r#"{"refresh_token":"aaaabbbbccccddddeeeeffffgggghhhh"}"#;
    let request =
        format!("POST /openapi/v1.0/refresh_token HTTP/1.1\r\nhost: pbx\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut buffer = vec![0; 4096];
    for _ in 0..count {
        stream.write_all(request.as_bytes()).await.expect("written");
        read_answer(&mut stream, &mut buffer).await;
    }
}

/// Octets of a file, or of all files in a folder.
fn size(path: &Path) -> u64 {
    let Ok(metadata) = std::fs::metadata(path) else { return 0 };
    if metadata.is_file() {
        return metadata.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size(&entry.path())).sum()
}
