//! The sandbox's own time: the wall clock, in whole seconds, as ACME and X.509 count it.

use jiff::Timestamp;

/// Now, without its fraction.
#[expect(clippy::disallowed_methods, reason = "the sandbox stands outside certkeep, where a CA lives by the wall clock")]
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
