//! `certkeep config`.
use clap::Subcommand;

use super::ending::print;
use super::{CommandError, Place};
use crate::serve::{Overrides, Plan};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say whether the configuration is understood; if not, which line is wrong, and end with 2
    Check,
}

pub(super) fn run(place: &Place, Command::Check: Command) -> Result<(), CommandError> {
    let Some(file) = place.config_file() else {
        return print(&format!("There is no {} in {}: the defaults hold.\n", crate::config::FILE_NAME, place.data.display()));
    };
    Plan::new(&place.data, &place.config()?, Overrides::default())?;
    print(&format!("{} is understood.\n", file.display()))
}
