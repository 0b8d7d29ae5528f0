//! Short visits of commands to the store, beside a service or without one.
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
