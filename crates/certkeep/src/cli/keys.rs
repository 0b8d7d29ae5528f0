//! `certkeep keys`: the keys under which secrets are sealed. Works beside services that run.
use certkeep_core::audit::Action;
use certkeep_store::{Rotation, rotate_keys};
use clap::Subcommand;

use super::ending::print;
use super::visit::{note_done, runtime};
use super::{CommandError, Place};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Seal all secrets under a new key and drop the old one, while the service runs; goes on where it was broken off
    Rotate {
        /// The new key is in the key file of every node (only with PostgreSQL, where the first call makes the key and waits)
        #[arg(long)]
        everywhere: bool,
    },
}

pub(super) fn run(place: &Place, Command::Rotate { everywhere }: &Command) -> Result<(), CommandError> {
    let location = place.config()?.location(&place.data)?;
    let runtime = runtime()?;
    let rotated = runtime.block_on(async {
        let rotated = rotate_keys(&location, *everywhere).await?;
        if let Rotation::Done { key, .. } = &rotated {
            note_done(&location, Action::KeysRotate, key).await;
        }
        Ok::<_, CommandError>(rotated)
    })?;
    print(&told(&rotated, location.server.is_some()))
}

fn told(rotation: &Rotation, has_nodes: bool) -> String {
    match rotation {
        Rotation::Done { key, sealed, dropped } => {
            let elsewhere = if has_nodes { " Copy the file to every other node: they need no other key any more." } else { "" };
            let dropped =
                if dropped.is_empty() { String::new() } else { format!(" Out of the key file: {}.", dropped.join(", ")) };
            format!(
                "All secrets are sealed under the key {key} now, {sealed} of them anew.{dropped}{elsewhere}\n\
                 Older copies of the data need the older key files: keep them together.\n"
            )
        }
        Rotation::Waiting { key, key_file } => format!(
            "The new key {key} is in {}, and is not used yet.\n\
             Copy that file to every other node, then: certkeep keys rotate --everywhere\n",
            key_file.display()
        ),
    }
}
