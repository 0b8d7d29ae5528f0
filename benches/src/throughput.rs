//! `certificate/get` beside a bare axum handler that returns the same bytes.
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

use crate::load::answers_per_second;
use crate::service::{Service, add_client};
use crate::{inventory, median};

/// The word by which the bench starts itself as the bare handler.
pub(crate) const BARE: &str = "serve-bare";
/// Rounds, each of which measures both; the middle ratio counts.
const ROUNDS: usize = 7;
/// How long each is asked in a round.
const TIME: Duration = Duration::from_secs(3);

/// Answers every GET with the same bytes until the parent ends it.
pub(crate) fn serve_bare(body: &str) {
    let body: &'static str = Box::leak(body.to_owned().into_boxed_str());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let handler = move || async move { ([(CONTENT_TYPE, "application/json")], body) };
        let router = axum::Router::new().route("/openapi/v1.0/certificate/get", get(handler));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        axum::serve(listener, router).await.expect("it serves");
    });
}

/// The bare handler as a process; ended when dropped.
pub(crate) struct Bare {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Bare {
    /// Starts it with the body to answer.
    pub(crate) fn start(body: &str) -> Bare {
        assert!(body.starts_with(r#"{"errcode":0,"#), "{body}");
        let this = std::env::current_exe().expect("this program");
        let mut child = Command::new(this).args([BARE, body]).stdout(Stdio::piped()).spawn().expect("the bare handler starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        Bare { child, address: line.trim().parse().expect("an address") }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn measure(certkeep: &Path) {
    println!("\n| certificates | certkeep, answers/s | bare axum handler, answers/s | ratio |\n|---|---|---|---|");
    for count in [1, 10_000] {
        let folder = tempfile::tempdir().expect("a folder");
        let client = add_client(certkeep, folder.path());
        let store = inventory::location(folder.path(), None).serve().await.expect("the data folder opens");
        inventory::fill(&store, count, 0).await;
        store.close().await;
        let mut service = Service::start(certkeep, folder.path(), None);
        service.login(&client).await;
        let bare = Bare::start(&service.get("certificate/get", "&id=1").await);

        let paths: Vec<String> = (1..=count).map(|id| service.path("certificate/get", &format!("&id={id}"))).collect();
        let paths = Arc::new(paths);
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            let ours = answers_per_second(service.address(), Arc::clone(&paths), TIME).await;
            let theirs = answers_per_second(bare.address, Arc::clone(&paths), TIME).await;
            // The first round fills caches on both sides.
            if round > 0 {
                rounds.push((ours, theirs));
            }
        }
        let middle = |pick: fn(&(f64, f64)) -> f64| median(rounds.iter().map(pick).collect());
        println!(
            "| {count} | {:.0} | {:.0} | {:.2} |",
            middle(|round| round.0),
            middle(|round| round.1),
            middle(|round| round.0 / round.1)
        );
    }
}
