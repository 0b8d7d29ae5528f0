//! What core promises to those who hand it files, seen from outside.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "fixtures stand outside the test functions that clippy recognises"
)]
mod catalogue;
mod fixture;
mod forms;
mod hostile;
mod leases;
mod ledger;
mod model_ca;
mod openssl;
mod order;
mod refusals;
mod request;
mod two_years;
mod upload;
