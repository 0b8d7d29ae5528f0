//! `certkeep audit`: who did what. Works beside a service that runs.
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use certkeep_core::audit::{Break, Entry, Head, verify};
use certkeep_core::ports::{Audit, AuditRange};
use certkeep_store::SqlStore;
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::client::object;
use super::ending::print;
use super::visit::{runtime, with_store};
use super::{CommandError, Place};

/// Entries that are read at once.
const BATCH: u32 = 1000;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the last entries, the latest below
    List {
        /// How many
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        last: u32,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Follow the chain of all entries, and say where it is broken if it is
    Verify,
    /// Write all entries as lines of JSON into a new file that only you can read, or to stdout
    Export {
        /// The file to make; it must not be there
        file: Option<PathBuf>,
    },
}

/// An entry as a line of JSON: all that its hash is made of, and the hash.
#[derive(Serialize)]
struct Line<'a> {
    sequence: i64,
    at: Timestamp,
    actor_kind: &'a str,
    actor: &'a str,
    address: &'a str,
    action: &'a str,
    subject: &'a str,
    outcome: &'a str,
    detail: &'a str,
    hash: String,
}

impl<'a> From<&'a Entry> for Line<'a> {
    fn from(entry: &'a Entry) -> Self {
        Line {
            sequence: entry.sequence,
            at: entry.at,
            actor_kind: &entry.actor_kind,
            actor: &entry.actor,
            address: &entry.address,
            action: &entry.action,
            subject: &entry.subject,
            outcome: &entry.outcome,
            detail: &entry.detail,
            hash: hex(&entry.link),
        }
    }
}

pub(super) fn run(place: &Place, command: &Command) -> Result<(), CommandError> {
    let location = place.config()?.location(&place.data)?;
    runtime()?.block_on(with_store(&location, async |store| match command {
        Command::List { last, json } => {
            let mut entries = store.audit(AuditRange::Before(i64::MAX), *last).await?;
            entries.reverse();
            print(&list(&entries, *json))
        }
        Command::Verify => {
            let head = verified(store).await?;
            print(&match head.sequence {
                0 => "There is no entry yet.\n".to_owned(),
                count => format!("{count} entries, all as they were written. The hash of the last one:\n{}\n", hex(&head.link)),
            })
        }
        Command::Export { file: Some(file) } => {
            let unwritable = |source| CommandError::Unwritable { path: file.clone(), source };
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(unwritable)?;
            let mut out = BufWriter::new(made);
            export(store, &mut out, file).await?;
            out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|made| made.sync_all()).map_err(unwritable)
        }
        Command::Export { file: None } => export(store, &mut io::stdout().lock(), Path::new("stdout")).await,
    }))
}

/// Follows the chain to where it ended when this began.
async fn verified(store: &SqlStore) -> Result<Head, CommandError> {
    let end = store.audit_head().await?;
    let mut head = Head::START;
    while head.sequence < end.sequence {
        let mut entries = store.audit(AuditRange::After(head.sequence), BATCH).await?;
        entries.retain(|entry| entry.sequence <= end.sequence);
        if entries.is_empty() {
            return Err(Break::Missing(head.sequence.saturating_add(1)).into());
        }
        head = verify(head, &entries)?;
    }
    if head == end { Ok(head) } else { Err(Break::Changed(end.sequence).into()) }
}

async fn export(store: &SqlStore, out: &mut impl Write, file: &Path) -> Result<(), CommandError> {
    let mut last = 0;
    loop {
        let entries = store.audit(AuditRange::After(last), BATCH).await?;
        let Some(latest) = entries.last() else { break };
        last = latest.sequence;
        for entry in &entries {
            let written = out.write_all(object(&Line::from(entry)).as_bytes());
            written.map_err(|source| CommandError::Unwritable { path: file.to_owned(), source })?;
        }
    }
    out.flush().map_err(|source| CommandError::Unwritable { path: file.to_owned(), source })
}

fn list(entries: &[Entry], json: bool) -> String {
    if json {
        return object(&entries.iter().map(Line::from).collect::<Vec<_>>());
    }
    entries.iter().fold(String::new(), |mut text, entry| {
        let who = [entry.actor_kind.as_str(), &entry.actor].join(" ");
        let from = if entry.address.is_empty() { "-" } else { &entry.address };
        let Entry { at, action, subject, outcome, detail, .. } = entry;
        let line = format!("{at:.0}  {:<20}  {from:<15}  {action:<20}  {outcome:<7}  {subject}  {detail}", who.trim());
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
