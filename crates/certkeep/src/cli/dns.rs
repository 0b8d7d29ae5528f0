//! `certkeep dns`: the DNS providers by hand and in scripts. Opens no data folder, and reads a configuration only where it is
//! named; `check` reads the one of the data folder as well, if there is
//! one, and looks there for the account at the CA.
mod account;
mod check;
mod ending;
mod pages;
mod record;

use std::path::PathBuf;

use clap::Subcommand;

use self::account::Account;
use super::visit::runtime;
use super::{CommandError, Place};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Put a TXT value up, beside whatever else stands at the name, and wait until every name server shows it
    Add(record::Arguments),
    /// Take exactly this TXT value down; that it is not there is no error
    Remove(record::Arguments),
    /// Try whether an application would work, without an order: credentials, zone, delegation, CAA records, a TXT value
    /// written, seen everywhere and removed
    ///
    /// CAA records are judged for the CA of --directory or of the configuration; without either they are only told. The
    /// configuration also says who writes below a delegation, and whom to ask where --resolver says nothing.
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
        Command::Check(arguments) => wait(check::run(place, &arguments)),
        Command::Providers(listing) => pages::list(&listing),
        Command::Show(showing) => pages::show(&showing),
        Command::Lint { page } => pages::lint(&page),
    }
}

fn wait(work: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = runtime()?;
    runtime.block_on(work)
}
