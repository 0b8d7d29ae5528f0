//! The sandbox as its clients see it: a real ACME client, one that misbehaves, DNS questions and
//! the DNS API.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in what tests share"
)]

mod acme;
mod acme_client;
mod api;
mod certificates;
mod dns;
mod faults;
mod instant;
mod lego;
mod lifetime;
mod moved;
mod problems;
