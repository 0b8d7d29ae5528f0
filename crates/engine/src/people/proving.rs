//! Passwords are hashed and compared off the threads that answer, two at a time: each takes 19 MiB, and whoever floods the
//! login waits for the one before.
use certkeep_core::people::password::{HashError, PasswordHash, SALT_LEN, is_acceptable};
use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::PeopleError;

/// Of the process, as its memory is.
static TURNS: Semaphore = Semaphore::const_new(2);

async fn worked<T: Send + 'static>(work: impl FnOnce() -> Result<T, HashError> + Send + 'static) -> Result<T, PeopleError> {
    let turn = TURNS.acquire().await.map_err(|_| PeopleError::Secrets)?;
    // The turn lasts as long as the work does, also when the caller hangs up.
    let working = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(turn);
        done
    });
    working.await.map_err(|_| PeopleError::Secrets)?.map_err(|_| PeopleError::Secrets)
}

/// The hash of a new password.
///
/// # Errors
/// [`PeopleError::Password`] for one that is not acceptable; [`PeopleError::Secrets`].
pub async fn hashed(password: &SecretString) -> Result<PasswordHash, PeopleError> {
    if !is_acceptable(password) {
        return Err(PeopleError::Password);
    }
    let mut salt = [0; SALT_LEN];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| PeopleError::Secrets)?;
    let password = password.clone();
    worked(move || PasswordHash::new(&password, salt)).await
}

/// Whether this is the password of the hash; where there is none it takes as long.
pub(super) async fn matches(hash: Option<&PasswordHash>, password: &SecretString) -> Result<bool, PeopleError> {
    let (known, password) = (hash.cloned(), password.clone());
    worked(move || match known {
        Some(hash) => hash.matches(&password),
        None => PasswordHash::of_nobody().matches(&password).map(|_| false),
    })
    .await
}
