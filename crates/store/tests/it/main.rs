//! The store seen from outside: the contract suite that every implementation of the port has to pass, and what is
//! each database's own.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong here fails the test at once"
)]
mod backups;
mod contract;
mod copies;
mod fixtures;
mod inventories;
mod postgres;
mod rotation;
mod sqlite;

contract::contract!(on_postgres, crate::postgres::opened);
contract::contract!(on_sqlite, crate::sqlite::opened);
