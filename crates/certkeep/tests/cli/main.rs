//! The real program as a process: what its user types, reads and sees.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this crate is test code: what goes wrong here fails the test at once"
)]
mod acme;
mod backup;
mod client;
mod config;
mod demo;
mod discretion;
mod dns;
mod help;
mod keys;
mod nodes;
mod people;
mod process;
mod serve;
