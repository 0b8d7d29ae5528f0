//! `certkeep store`: a store goes from a data folder to PostgreSQL, or back.
use std::fmt::Write;
use std::path::{Path, PathBuf};

use certkeep_store::{CopiedTable, Location, copy};
use clap::Subcommand;

use super::CommandError;
use super::ending::print;
use super::visit::runtime;
use crate::config::{Config, FILE_NAME};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Copy everything into an empty store, and compare; no service may use either meanwhile
    ///
    /// FROM and TO are each a data folder, which is as its certkeep.toml says, or a configuration in one: so no password
    /// is on the command line. Both need the same sealing keys. A copy that was broken off goes on when it is done again.
    Copy {
        /// What is copied: a data folder, or a configuration
        from: PathBuf,
        /// Where it is copied to: a data folder, or a configuration
        to: PathBuf,
    },
}

pub(super) fn run(Command::Copy { from, to }: Command) -> Result<(), CommandError> {
    let (from, to) = (location(&from)?, location(&to)?);
    let runtime = runtime()?;
    let copied = runtime.block_on(copy(&from, &to))?;
    print(&report(&copied))
}

/// The store of a data folder, or of a configuration whose data folder is the one that it is in.
fn location(path: &Path) -> Result<Location, CommandError> {
    if path.is_file() {
        // The folder of a bare file name is this one.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return Ok(Config::read(path)?.location(folder)?);
    }
    let usual = path.join(FILE_NAME);
    let config = if usual.exists() { Config::read(&usual)? } else { Config::default() };
    Ok(config.location(path)?)
}

fn report(copied: &[CopiedTable]) -> String {
    let width = copied.iter().map(|table| table.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for CopiedTable { name, rows, digest } in copied {
        let _ = writeln!(text, "{name:<width$}  {rows:>9} rows  sha256 {digest}");
    }
    text + "Both stores hold the same.\n"
}
