//! Start, memory, and size.
use std::path::Path;
use std::time::Duration;

use crate::median;
use crate::service::Service;

const ROUNDS: usize = 7;

pub(crate) async fn measure(certkeep: &Path) {
    let mut first = Vec::new();
    let mut again = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir().expect("a folder");
        first.push(Service::start(certkeep, folder.path(), None).ready_after.as_secs_f64() * 1000.0);
        let service = Service::start(certkeep, folder.path(), None);
        again.push(service.ready_after.as_secs_f64() * 1000.0);
        // Memory is read when the start has settled.
        tokio::time::sleep(Duration::from_secs(2)).await;
        memory.push(service.memory());
    }
    let size = std::fs::metadata(certkeep).expect("the program").len() as f64 / f64::from(1 << 20);
    println!("\n| what | measured |\n|---|---|");
    println!("| ready after the first start in an empty folder | {:.0} ms |", median(first));
    println!("| ready after a later start | {:.0} ms |", median(again));
    println!("| resident memory, idle | {:.1} MiB |", median(memory));
    println!("| size of the stripped binary | {size:.1} MiB |");
}
