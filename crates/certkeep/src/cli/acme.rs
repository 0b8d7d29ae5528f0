//! `certkeep acme`: the accounts at the CAs of the configuration. Works beside a service that runs.
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use certkeep_acme::{AcmeIssuer, account_facts, account_jwk, account_key};
use certkeep_core::audit::Action;
use certkeep_core::failure::Failure;
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::ports::{CertificateAuthority, Issuances};
use certkeep_core::time::SystemClock;
use certkeep_engine::account::{RotateError, rotate};
use clap::{Subcommand, ValueEnum};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::client::object;
use super::ending::print;
use super::visit::{audited, runtime, with_store};
use super::{CommandError, Place};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look after the account at the CA
    #[command(subcommand)]
    Account(AccountCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Show the accounts at the CAs of the configuration
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Give the account another key, at the CA and here; run it again if it was interrupted
    Rotate {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write the account's private key into a new file that only you can read, or to stdout
    Export {
        /// The file to make; it must not be there
        #[arg(value_name = "FILE", required_unless_present = "stdout", conflicts_with = "stdout")]
        file: Option<PathBuf>,
        /// Print it instead
        #[arg(long)]
        stdout: bool,
        /// How to write it
        #[arg(long, value_enum, default_value_t = Format::Pem)]
        format: Format,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    /// JSON Web Key (RFC 7517)
    Jwk,
    /// PKCS#8 in PEM
    Pem,
}

/// An account as it is shown.
#[derive(Serialize)]
struct Shown<'a> {
    directory: &'a str,
    url: Option<String>,
    thumbprint: String,
}

impl<'a> Shown<'a> {
    fn of(account: &'a AcmeAccount) -> Result<Self, CommandError> {
        let facts = account_facts(account).map_err(failed)?;
        Ok(Shown { directory: &account.directory, url: facts.url, thumbprint: facts.thumbprint })
    }

    fn lines(&self) -> String {
        let url = self.url.as_deref().unwrap_or("not registered yet");
        format!("directory   {}\naccount     {url}\nthumbprint  {}\n", self.directory, self.thumbprint)
    }
}

pub(super) fn run(place: &Place, Command::Account(command): Command) -> Result<(), CommandError> {
    let config = place.config()?;
    let cas = config.engine_settings()?.cas;
    let ca = cas.first.ca.clone();
    let location = config.location(&place.data)?;
    let runtime = runtime()?;
    runtime.block_on(with_store(&location, async |store| match command {
        AccountCommand::List { json } => {
            let mut accounts = Vec::new();
            for choice in cas.iter() {
                accounts.extend(store.acme_account(&choice.ca.directory).await?);
            }
            let shown = accounts.iter().map(Shown::of).collect::<Result<Vec<_>, _>>()?;
            print(&if json { object(&shown) } else { shown.iter().map(Shown::lines).collect::<Vec<_>>().join("\n") })
        }
        AccountCommand::Rotate { json } => {
            let issuer = AcmeIssuer::new(Arc::new(SystemClock));
            let rotating = async { rotate(store, &issuer, &ca).await.map_err(|error| refused(error, &ca)) };
            let account = audited(store, Action::AccountRotate, &ca.directory, rotating).await?;
            let shown = Shown::of(&account)?;
            print(&if json { object(&shown) } else { shown.lines() })
        }
        AccountCommand::Export { file, format, stdout: _ } => {
            let account = store.acme_account(&ca.directory).await?.ok_or_else(|| nobody(&ca))?;
            let key = match format {
                Format::Jwk => SecretString::from(format!("{}\n", account_jwk(&account).map_err(failed)?.expose_secret())),
                Format::Pem => account_key(&account).map_err(failed)?.to_pem(),
            };
            match file {
                Some(file) => keep(&file, &key),
                None => print(key.expose_secret()),
            }
        }
    }))
}

fn failed(failure: Failure) -> CommandError {
    CommandError::Ca(Box::new(failure))
}

fn refused(error: RotateError, ca: &CertificateAuthority) -> CommandError {
    match error {
        RotateError::Failure(failure) => CommandError::Ca(failure),
        RotateError::NoAccount => nobody(ca),
        RotateError::Store(error) => error.into(),
    }
}

fn nobody(ca: &CertificateAuthority) -> CommandError {
    CommandError::NoAccount(ca.directory.clone())
}

/// Makes a file that only its owner can read; one that is there is left alone.
fn keep(file: &Path, key: &SecretString) -> Result<(), CommandError> {
    let unwritable = |source| CommandError::Unwritable { path: file.to_owned(), source };
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(unwritable)?;
    made.write_all(key.expose_secret().as_bytes()).and_then(|()| made.sync_all()).map_err(unwritable)
}
