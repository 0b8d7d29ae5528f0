//! The list of all providers in `docs/providers.md`, made from the pages and the vendors' tables.
use std::fmt::Write as _;
use std::fs;

use certkeep_core::ports::DnsProviders as _;
use certkeep_dns::page::{Page, Single};
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_testkit::vendor::Table;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/providers.md");

/// Set to write the list anew.
const WRITE: &str = "CERTKEEP_WRITE_DOCS";

const HEADING: &str = "\n## All providers\n";

fn style(page: &Page) -> &'static str {
    match page {
        Page { closed: Some(_), .. } => "closed",
        Page { driver: Some(_), .. } => "driver",
        Page { single: Some(Single::Name), .. } => "one value a name",
        Page { single: Some(Single::Zone), .. } => "one value a zone",
        Page { set: Some(set), .. } if set.mine.is_empty() => "set",
        Page { set: Some(_), .. } => "zone",
        Page { http: Some(_), .. } => "record",
        _ => "—",
    }
}

fn proof(page: &Page, served: bool) -> &'static str {
    match page.flag.as_str() {
        _ if !served => "—",
        "pdns" | "rfc2136" => "real servers",
        "exec" => "a real program",
        flag if Table::of(flag).is_ok() => "simulated vendor",
        _ => "—",
    }
}

#[test]
fn the_document_lists_every_provider_as_its_page_is() {
    let registry = Registry::new(RegistryOptions::default());
    let mut rows = String::new();
    let mut number = 0;
    for descriptor in registry.descriptors() {
        let page = registry.page(&descriptor.flag).unwrap();
        // `exec` is served where the configuration allows a program.
        let served = descriptor.served.is_ok() || page.driver.is_some();
        number += usize::from(served);
        let documents = page.docs.as_ref().map_or(String::new(), |docs| format!("[read]({docs})"));
        let read = page.read.map_or(String::new(), |read| read.to_string());
        let said = if served || page.closed.is_some() { style(page) } else { "not served" };
        let _ = writeln!(rows, "| `{}` | {} | {said} | {} | {documents} {read} |", page.flag, page.name, proof(page, served));
    }
    let list = format!(
        "{HEADING}\n{number} are served. Style: how the vendor's API keeps values (a `record` each, the `set` of a name, the whole `zone`, `one value` only, or a\n\
         `driver` in Rust). Proof: against real servers, or against a simulated vendor made from the vendor's documentation or another\n\
         client's source (`crates/testkit/vendors`).\n\n\
         | flag | vendor | style | proof | documentation |\n|---|---|---|---|---|\n{rows}"
    );
    let committed = fs::read_to_string(FILE).unwrap();
    let format = committed.split(HEADING).next().unwrap();
    if std::env::var_os(WRITE).is_some() {
        fs::write(FILE, format!("{format}{list}")).unwrap();
    }
    let committed = fs::read_to_string(FILE).unwrap();
    assert!(committed.ends_with(&list), "{WRITE}=1 cargo test -p certkeep-dns --test it list writes {FILE} anew");
}
