//! What the providers' pages cost: at the start, and when all of them are read.
use std::time::Instant;

use certkeep_core::ports::DnsProviders as _;
use certkeep_dns::registry::{Registry, RegistryOptions};

use crate::{median, service};

const ROUNDS: usize = 21;

pub(crate) fn measure() {
    let (mut made, mut read) = (Vec::new(), Vec::new());
    let before = service::memory_of(std::process::id());
    let kept = Registry::new(RegistryOptions::default());
    let pages = kept.descriptors().len();
    let taken = service::memory_of(std::process::id()) - before;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let registry = Registry::new(RegistryOptions::default());
        made.push(began.elapsed().as_secs_f64() * 1000.0);
        let began = Instant::now();
        assert_eq!(registry.descriptors().len(), pages);
        read.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    println!("\n| what | measured |\n|---|---|");
    println!("| the registry at the start, no page read | {:.2} ms |", median(made));
    println!("| all {pages} pages read and checked | {:.1} ms |", median(read));
    println!("| memory that all pages take | {taken:.1} MiB |");
}
