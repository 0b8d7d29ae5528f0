//! Short visits of commands to the store, beside a service or without one.
use certkeep_core::audit::{Action, Actor, Author};
use certkeep_engine::audit;
use certkeep_store::{Location, SqlStore};

use super::CommandError;

/// What a command runs on: one thread.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Runtime)
}

/// Opens the store for one piece of work, and closes it whatever comes of that.
pub(super) async fn with_store<T, F>(location: &Location, work: F) -> Result<T, CommandError>
where
    F: AsyncFnOnce(&SqlStore) -> Result<T, CommandError>,
{
    let store = location.visit().await?;
    let done = work(&store).await;
    store.close().await;
    done
}

/// Does something at the store, and writes down that it was done on this machine.
pub(super) async fn audited<T>(
    store: &SqlStore,
    action: Action,
    subject: &str,
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    audit::audited(store, || store.clock().now(), author(), action, subject, work).await
}

/// Writes down what was done on this machine, once it is done. Where that fails the log has it.
pub(super) async fn note_done(location: &Location, action: Action, subject: &str) {
    let noting = with_store(location, async |store| audited(store, action, subject, async { Ok(()) }).await);
    if let Err(error) = noting.await {
        tracing::warn!(error = &error as &dyn std::error::Error, action = action.as_str(), "not in the audit");
    }
}

/// Whoever the system says has started this command.
fn author() -> Author {
    let uid = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    Author { actor: Actor::CommandLine(named.unwrap_or_else(|| format!("uid {uid}"))), address: None }
}
