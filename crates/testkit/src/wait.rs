//! Waiting for what a test can observe; the only place in which tests poll.
use std::fmt::Display;
use std::time::Duration;

use tokio::time::{sleep, timeout};

/// A deadline for what takes milliseconds on an idle machine, with room for a busy one.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long a probe rests before it looks again.
const STEP: Duration = Duration::from_millis(15);

// The probes are not `AsyncFnMut`: what polls one cannot be told to be `Send`, and no test could spawn a task that waits.

/// Polls `probe` until it yields a value; `None` when `deadline` passes first, even in the middle of a probe.
pub async fn within<T, F>(deadline: Duration, mut probe: impl FnMut() -> F) -> Option<T>
where
    F: Future<Output = Option<T>>,
{
    let polling = async {
        loop {
            if let Some(value) = probe().await {
                return value;
            }
            sleep(STEP).await;
        }
    };
    timeout(deadline, polling).await.ok()
}

/// Polls `probe` until it yields a value.
///
/// Panics when `deadline` passes first; `what` says in the panic's text what was waited for.
pub async fn eventually<T, F>(deadline: Duration, what: impl Display, probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    match within(deadline, probe).await {
        Some(value) => value,
        None => panic!("waited {deadline:?} in vain for {what}"),
    }
}
