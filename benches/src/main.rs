//! What certkeep's speed and size are measured with: each number beside a peer's, taken in the same run.
//!
//! `benches/run` builds and starts it; `docs/performance.md` holds the last tables.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a measurement that cannot be taken ends the run"
)]

mod flood;
mod inventory;
mod issuance;
mod load;
mod pages;
mod service;
mod start;
mod throughput;

use std::path::PathBuf;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next().expect("usage: certkeep-benches PATH_OF_CERTKEEP [start|pages|throughput|flood|issuance]...");
    if first == throughput::BARE {
        return throughput::serve_bare(&arguments.next().expect("the body to answer"));
    }
    let certkeep = PathBuf::from(first);
    let mut wanted: Vec<String> = arguments.collect();
    if wanted.is_empty() {
        wanted = ["start", "pages", "throughput", "flood", "issuance"].map(str::to_owned).to_vec();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for what in wanted {
        match what.as_str() {
            "flood" => runtime.block_on(flood::measure(&certkeep)),
            "issuance" => runtime.block_on(issuance::measure(&certkeep)),
            "pages" => pages::measure(),
            "start" => runtime.block_on(start::measure(&certkeep)),
            "throughput" => runtime.block_on(throughput::measure(&certkeep)),
            other => panic!("there is nothing to measure called {other:?}"),
        }
    }
}

/// The middle of some numbers.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
