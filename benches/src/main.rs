//! What certkeep's speed and size are measured with: each number beside a peer's, taken in the same run.
//!
//! `benches/run` builds and starts it; `docs/performance.md` holds the last tables.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a measurement that cannot be taken ends the run"
)]

mod bulk;
mod flood;
mod home;
mod idle;
mod inventory;
mod issuance;
mod load;
mod million;
mod nodes;
mod pages;
mod probe;
mod service;
mod start;
mod throughput;

use std::path::{Path, PathBuf};

const USAGE: &str = "usage: certkeep-benches PATH_OF_CERTKEEP [start|pages|throughput|flood|issuance|bulk|idle|nodes]...
       certkeep-benches PATH_OF_CERTKEEP million [LARGEST]
       certkeep-benches PATH_OF_CERTKEEP fill COUNT FOLDER [OVERDUE] [postgres://...]";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next().expect(USAGE);
    if first == throughput::BARE {
        return throughput::serve_bare(&arguments.next().expect("the body to answer"));
    }
    let certkeep = PathBuf::from(first);
    let mut wanted: Vec<String> = arguments.collect();
    if wanted.is_empty() {
        wanted = ["start", "pages", "throughput", "flood", "issuance", "bulk", "idle", "nodes"].map(str::to_owned).to_vec();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let words: Vec<&str> = wanted.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["million", rest @ ..] => {
            let largest = rest.first().map_or(usize::MAX, |largest| largest.parse().expect("a size of the inventory"));
            runtime.block_on(million::measure(&certkeep, largest));
        }
        ["fill", count, folder, rest @ ..] => {
            let server = rest.iter().copied().find(|word| word.starts_with("postgres"));
            let overdue = rest.iter().find_map(|word| word.parse().ok()).unwrap_or(0);
            runtime.block_on(inventory::fill_named(count.parse().expect("a count"), overdue, Path::new(folder), server));
        }
        _ => {
            for what in words {
                match what {
                    "bulk" => runtime.block_on(bulk::measure(&certkeep)),
                    "flood" => runtime.block_on(flood::measure(&certkeep)),
                    "idle" => runtime.block_on(idle::measure(&certkeep)),
                    "issuance" => runtime.block_on(issuance::measure(&certkeep)),
                    "nodes" => runtime.block_on(nodes::measure(&certkeep)),
                    "pages" => pages::measure(),
                    "start" => runtime.block_on(start::measure(&certkeep)),
                    "throughput" => runtime.block_on(throughput::measure(&certkeep)),
                    other => panic!("there is nothing to measure called {other:?}\n{USAGE}"),
                }
            }
        }
    }
}

/// The middle of some numbers.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
