//! What the tests of every room share, and nothing that ships.
//!
//! - [`peers`]: real servers as child processes on free loopback ports (Pebble, PowerDNS, BIND, Knot, PostgreSQL) and a DNS router
//!   that sends each question to the authority of its zone. A child dies with its handle; a missing program is a
//!   panic that names the Debian package.
//! - [`vendor`]: simulated accounts of DNS vendors behind real HTTPS, which check credentials and signatures and let
//!   a test compare the account's records before and after.
//! - [`clock`]: a clock that a test moves.
//! - [`wait`]: polling for what a test can observe, with a deadline; tests poll nowhere else.
//!
//! No production code may depend on this crate. Start reading at `peers`.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this crate is test code: what goes wrong here fails the test at once"
)]
pub mod clock;
pub mod peers;
pub mod vendor;
pub mod wait;
