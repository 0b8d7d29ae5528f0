use std::fmt::Write as _;
use std::fs;

use certkeep_core::failure::{CATALOGUE, Fallback, Retry, Turn};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/failures.md");

/// Set to write the file anew.
const WRITE: &str = "CERTKEEP_WRITE_DOCS";

const FAMILIES: [&str; 9] = [
    "Credentials and provider account",
    "Zone and delegation",
    "Record and propagation",
    "CA policy",
    "CA limits",
    "Order and validation",
    "Key and certificate",
    "Network and timeouts",
    "certkeep itself",
];

#[test]
fn the_document_says_what_the_catalogue_says() {
    let mut text = String::from(
        "# What can go wrong with an application\n\n\
         Made from `crates/core/src/failure.rs`. The number is `apply_tip_code` of the API; `certkeep explain NUMBER` prints an entry, and a\n\
         failed application keeps it with the evidence. Numbers are never reused. Where an application names several CAs, some failures lead to the\n\
         next one at once; with the others it stays with the same CA, for another would meet the same.\n",
    );
    let mut family = 0;
    for (_, entry) in CATALOGUE {
        let number = usize::from(entry.number / 100);
        if number != family {
            family = number;
            let _ = write!(text, "\n## {family}xx {}\n", FAMILIES[family - 1]);
            text += "\n| | | what happened | whose turn | what to do | tried again | next CA |\n|---|---|---|---|---|---|---|\n";
        }
        let turn = match entry.turn {
            Turn::Ca => "the CA",
            Turn::Certkeep => "certkeep",
            Turn::Network => "the network",
            Turn::Provider => "the DNS provider",
            Turn::User => "you",
        };
        let again = match entry.retry {
            Retry::Final => "no",
            Retry::Later => "yes",
        };
        let elsewhere = match entry.fallback {
            Fallback::NextCa => "yes",
            Fallback::SameCa => "no",
        };
        let _ = writeln!(
            text,
            "| {} | `{}` | {} | {turn} | {} | {again} | {elsewhere} |",
            entry.number, entry.name, entry.what, entry.next
        );
    }
    if std::env::var_os(WRITE).is_some() {
        fs::write(FILE, &text).unwrap();
    }
    let committed = fs::read_to_string(FILE).unwrap_or_default();
    assert_eq!(text, committed, "{WRITE}=1 cargo test -p certkeep-core --test it catalogue writes {FILE} anew");
}
