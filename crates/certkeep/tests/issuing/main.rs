//! Issuances from the command to the certificate: the engine on its real adapters, against the sandbox's CA and DNS.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this crate is test code: what goes wrong here fails the test at once"
)]
mod accounts;
mod again;
mod cluster;
mod delegated;
mod disk;
mod exam;
mod failing;
mod fallback;
mod faulty;
mod halting;
mod house;
mod issued;
mod killed;
mod kills;
mod peers;
mod preflight;
mod process;
mod programs;
mod renewals;
mod renewing;
mod revoked;
mod rotated;
mod spreading;
