//! The command line: what is asked for, done, and told by text and exit code.
//!
//! Short commands run on one thread and read no more than they need. Start reading at [`main`].
mod acme;
mod audit;
mod backup;
mod check;
pub(crate) mod client;
mod dns;
mod ending;
mod explain;
mod keys;
mod password;
mod revoke;
mod store;
mod token;
mod trace;
mod user;
mod visit;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Log, LogLevel};
use crate::serve::Overrides;
use crate::{demo, logging, serve};

pub use ending::CommandError;

/// Where a command works.
#[derive(Args, Debug)]
#[command(next_help_heading = "Everywhere")]
struct Place {
    /// The data folder; made when it is not there
    #[arg(long, global = true, value_name = "DIR", env = "CERTKEEP_DATA", hide_env_values = true)]
    #[arg(default_value = "certkeep-data")]
    data: PathBuf,
    /// The configuration [default: certkeep.toml in the data folder, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    /// The file that is read, if there is one.
    fn config_file(&self) -> Option<PathBuf> {
        let usual = || Some(self.data.join(config::FILE_NAME)).filter(|path| path.exists());
        self.config.clone().or_else(usual)
    }

    fn config(&self) -> Result<Config, CommandError> {
        Ok(self.config_file().map(|path| Config::read(&path)).transpose()?.unwrap_or_default())
    }
}

/// certkeep keeps TLS certificates for PBXs and other appliances: it applies for them, renews them, and serves the
/// P-Series certificate OpenAPI.
#[derive(Debug, Parser)]
#[command(name = "certkeep", version, after_help = ENDINGS, disable_help_subcommand = true)]
struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

const ENDINGS: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line or the configuration is wrong
  3  not found

Environment:
  CERTKEEP_LOG  what is logged, in place of [log] level: debug, or info,certkeep_acme=debug

certkeep demo shows what all this is for.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and keep the certificates, until SIGTERM
    Serve(Overrides),
    /// Look after the account at the CA
    #[command(subcommand)]
    Acme(acme::Command),
    /// Look at who did what
    #[command(subcommand)]
    Audit(audit::Command),
    /// Add, list and remove those who may call the API
    #[command(subcommand)]
    Client(client::Command),
    /// Look at the configuration
    #[command(subcommand)]
    Config(check::Command),
    /// Write, remove and check TXT records at a DNS provider, and look at the providers; needs no service, no data folder
    /// and no configuration, but heeds the one that --config names
    #[command(subcommand)]
    Dns(dns::Command),
    /// Revoke the certificate that an entry holds, at the CA that issued it; the entry itself stays
    Revoke(revoke::Arguments),
    /// Say what an apply_tip_code means
    Explain(explain::Arguments),
    /// Write everything in the data folder into one file, sealed under a passphrase, while the service runs
    Backup(backup::Arguments),
    /// Put a backup into a data folder that holds no data
    Restore(backup::Arguments),
    /// Change the keys under which secrets are sealed
    #[command(subcommand)]
    Keys(keys::Command),
    /// Show what each step of a certificate's application saw
    Trace(trace::Arguments),
    /// Bring all that is stored from a data folder to PostgreSQL, or back
    #[command(subcommand)]
    Store(store::Command),
    /// Make, list and revoke API tokens for programs
    #[command(subcommand)]
    Token(token::Command),
    /// Add, list and change those who work with certkeep itself
    #[command(subcommand)]
    User(user::Command),
    /// Show it all in a minute: a sandbox CA, an application, a certificate; no network, no configuration
    Demo(demo::Options),
}

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    let Arguments { place, command } = Arguments::parse();
    match run(&place, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.tell(),
    }
}

fn run(place: &Place, command: Command) -> Result<(), CommandError> {
    // Beside an answer only what somebody has to look at.
    let quiet = Log { level: LogLevel::Warn, ..Log::default() };
    match command {
        Command::Acme(command) => {
            logging::start(quiet)?;
            acme::run(place, command)
        }
        Command::Audit(command) => {
            logging::start(quiet)?;
            audit::run(place, &command)
        }
        Command::Token(command) => {
            logging::start(quiet)?;
            token::run(place, command)
        }
        Command::User(command) => {
            logging::start(quiet)?;
            user::run(place, command)
        }
        Command::Client(command) => {
            logging::start(quiet)?;
            client::run(place, command)
        }
        Command::Backup(arguments) => {
            logging::start(quiet)?;
            backup::run_backup(place, &arguments)
        }
        Command::Restore(arguments) => {
            logging::start(quiet)?;
            backup::run_restore(place, &arguments)
        }
        Command::Config(command) => check::run(place, command),
        Command::Demo(options) => {
            logging::start(quiet)?;
            Ok(demo::run(options)?)
        }
        Command::Dns(command) => {
            logging::start(quiet)?;
            dns::run(place, command)
        }
        Command::Revoke(arguments) => {
            logging::start(quiet)?;
            revoke::run(place, &arguments)
        }
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Keys(command) => {
            logging::start(quiet)?;
            keys::run(place, &command)
        }
        Command::Trace(arguments) => {
            logging::start(quiet)?;
            trace::run(place, &arguments)
        }
        Command::Store(command) => {
            logging::start(quiet)?;
            store::run(command)
        }
        Command::Serve(overrides) => {
            let config = place.config()?;
            logging::start(config.log)?;
            Ok(serve::run(serve::Plan::new(&place.data, &config, overrides)?)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
