//! `certkeep dns`: the DNS providers by hand and in scripts. Reads no data folder, and a configuration only where it is named.
mod account;
mod check;
mod ending;
mod pages;
mod record;

use std::path::PathBuf;

use clap::Subcommand;

use self::account::Account;
use super::{CommandError, Place};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Put a TXT value up, beside whatever else stands at the name, and wait until every name server shows it
    Add(record::Arguments),
    /// Take exactly this TXT value down; that it is not there is no error
    Remove(record::Arguments),
    /// Try a provider on a name: find its zone, write a TXT value, see it everywhere, remove it; no order at any CA
    ///
    /// CAA records and the CA itself are not looked at.
    Check(check::Arguments),
    /// List all providers
    Providers(pages::Listing),
    /// Show a provider: its parameters and its page
    Show(pages::Showing),
    /// Say whether a page is understood; if not, which lines are wrong, and end with 2
    Lint {
        /// A file named after the provider: NAME.toml
        page: PathBuf,
    },
}

pub(super) fn run(place: &Place, mut command: Command) -> Result<(), CommandError> {
    if let Command::Add(record::Arguments { account, .. })
    | Command::Remove(record::Arguments { account, .. })
    | Command::Check(check::Arguments { account, .. }) = &mut command
    {
        account.config.clone_from(&place.config);
    }
    match command {
        Command::Add(arguments) => wait(record::add(&arguments)),
        Command::Remove(arguments) => wait(record::remove(&arguments)),
        Command::Check(arguments) => wait(check::run(&arguments)),
        Command::Providers(listing) => pages::list(&listing),
        Command::Show(showing) => pages::show(&showing),
        Command::Lint { page } => pages::lint(&page),
    }
}

fn wait(work: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Runtime)?;
    runtime.block_on(work)
}
