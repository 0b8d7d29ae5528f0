//! `certkeep backup` and `certkeep restore`: everything in one sealed file, and back.
use std::path::{Path, PathBuf};

use certkeep_core::audit::Action;
use certkeep_store::{backup, restore};
use clap::Args;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::visit::{note_done, runtime};
use super::{CommandError, Place};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The backup
    file: PathBuf,
    /// The file with the passphrase, in its first line; /dev/stdin reads it from there
    #[arg(long, value_name = "FILE")]
    passphrase_file: PathBuf,
}

impl Arguments {
    fn passphrase(&self) -> Result<SecretString, CommandError> {
        let path = self.passphrase_file.clone();
        let text = std::fs::read_to_string(&path).map_err(|source| CommandError::Unreadable { path, source })?;
        let text = Zeroizing::new(text);
        match text.lines().next() {
            None | Some("") => Err(CommandError::NoPassphrase(self.passphrase_file.clone())),
            Some(line) => Ok(SecretString::from(line)),
        }
    }
}

pub(super) fn run_backup(place: &Place, arguments: &Arguments) -> Result<(), CommandError> {
    let location = place.config()?.location(&place.data)?;
    let passphrase = arguments.passphrase()?;
    runtime()?.block_on(async {
        backup(&location, &arguments.file, &passphrase).await?;
        note_done(&location, Action::Backup, &arguments.file.display().to_string()).await;
        Ok(())
    })
}

pub(super) fn run_restore(place: &Place, arguments: &Arguments) -> Result<(), CommandError> {
    let location = place.config()?.location(&place.data)?;
    let passphrase = arguments.passphrase()?;
    let file: &Path = &arguments.file;
    Ok(runtime()?.block_on(restore(file, &location, &passphrase))?)
}
