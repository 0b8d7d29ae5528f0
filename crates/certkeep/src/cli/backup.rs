//! `certkeep backup` and `certkeep restore`: everything in one sealed file, and back.
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
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
    /// The file with the passphrase, in its first line; - is stdin
    #[arg(long, value_name = "FILE")]
    passphrase_file: PathBuf,
}

impl Arguments {
    fn passphrase(&self) -> Result<SecretString, CommandError> {
        let path = self.passphrase_file.clone();
        let mut text = Zeroizing::new(String::new());
        let read = if path.as_os_str() == "-" {
            io::stdin().lock().read_line(&mut text)
        } else {
            File::open(&path).and_then(|file| BufReader::new(file).read_line(&mut text))
        };
        read.map_err(|source| CommandError::Unreadable { path, source })?;
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
