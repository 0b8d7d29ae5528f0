//! What is done again when the database turned it away: whatever a transaction in the midst of others is refused for, and
//! whatever was lost with its connection before it was committed.
use std::time::Duration;

use certkeep_core::ports::{ChangeError, CreateError, DeleteError, StoreError};
use tokio::time::timeout;

use crate::line::{ANSWER, Tx};

/// How often something is begun. Of those that get in each other's way one always gets through.
const ATTEMPTS: u32 = 12;
/// The longest pause after the first attempt, doubled with each further one, and where that ends.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

/// How long one attempt may take: a little longer than the longest statement, for a network that swallows everything.
const LONGEST: Duration = ANSWER.saturating_add(Duration::from_secs(3));

/// Refusals that pass (PostgreSQL, Appendix A): a transaction that others overtook, one that waited in a circle, a key that
/// somebody else wrote since it was looked for.
const OVERTAKEN: [&str; 3] = ["40001", "40P01", "23505"];
/// The server ends the connection: because it stops, or because it was told to.
const ENDED: [&str; 3] = ["57P01", "57P02", "57P03"];

/// An error that may have come from the database.
pub(crate) trait Cause {
    /// What the database said.
    fn cause(&self) -> Option<&sqlx::Error>;
}

impl Cause for StoreError {
    fn cause(&self) -> Option<&sqlx::Error> {
        match self {
            StoreError::Unavailable { source, .. } => source.downcast_ref(),
            StoreError::Corrupt { .. } | StoreError::LeaseLost(_) => None,
        }
    }
}

/// Errors of one operation, which hold those of the store.
macro_rules! cause_of_store {
    ($($error:ident),+) => { $(
        impl Cause for $error {
            fn cause(&self) -> Option<&sqlx::Error> {
                if let $error::Store(error) = self { error.cause() } else { None }
            }
        }
    )+ };
}

cause_of_store!(ChangeError, CreateError, DeleteError);

/// Does `work`, and again while the database turns it away; gives it up when it takes too long. `work` is a transaction, or
/// a statement that may be repeated without harm.
pub(crate) async fn repeated<T, E: Cause + From<StoreError>, F>(work: impl Fn() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let late = |_| {
        let source = format!("it was not done within {} s, as far as is known", LONGEST.as_secs()).into();
        Err(StoreError::Unavailable { doing: "do this", source }.into())
    };
    until_through(|| async { timeout(LONGEST, work()).await.unwrap_or_else(late) }).await
}

/// Does `work`, and again while the database turns it away, however long it takes.
pub(crate) async fn until_through<T, E: Cause, F>(work: impl Fn() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut longest = PAUSE;
    for _ in 1..ATTEMPTS {
        match work().await {
            Err(error) if error.cause().is_some_and(passes) => {
                tracing::debug!(error = error.cause().map(tracing::field::display), "the database turned it away: again");
            }
            done => return done,
        }
        tokio::time::sleep(drawn(longest)).await;
        longest = (longest * 2).min(LONGEST_PAUSE);
    }
    work().await
}

/// Commits. When the connection is lost over it nobody knows whether it was done, and it must not be done again.
pub(crate) async fn commit(tx: Tx) -> Result<(), sqlx::Error> {
    tx.commit().await.map_err(|error| match lost(&error) {
        true => sqlx::Error::AnyDriverError(format!("it is not known whether it was committed: {error}").into()),
        false => error,
    })
}

fn passes(error: &sqlx::Error) -> bool {
    lost(error) || has_code(error, &OVERTAKEN)
}

/// Whether the connection is gone.
fn lost(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_)) || has_code(error, &ENDED)
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| codes.contains(&code.as_ref()))
}

/// A pause up to `longest`, so that those who met do not meet again.
fn drawn(longest: Duration) -> Duration {
    let mut octet = [u8::MAX];
    // Without randomness the longest is as good as any.
    let _ = aws_lc_rs::rand::fill(&mut octet);
    longest.mul_f64(f64::from(u8::from_be_bytes(octet)) / f64::from(u8::MAX))
}
