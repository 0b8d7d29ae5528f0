//! certkeep's domain: what a certificate, an application, an issuance and a failure are, and the ports through which the
//! rest of the house is reached.
//!
//! What may not enter: anything that does I/O or knows a transport. This crate never sees tokio, axum, sqlx, reqwest,
//! hickory or instant-acme; time comes in through [`time::Clock`].
//!
//! Start reading at [`certificate`] (the inventory), then [`application`] and [`issuance`] (how a certificate comes to
//! be), [`authority`], [`fallback`] and [`ledger`] (at which CA), [`renewal`], [`renewal_info`] and [`schedule`] (when it is
//! replaced), [`trace`] (what was seen), [`outline`] (what people look at), [`caa`] (who may issue), [`failure`] (what can go
//! wrong, in numbers), [`people`] and [`audit`] (who may do what, and who did), and [`ports`] (what the engine asks of its
//! adapters).
pub mod application;
pub mod audit;
pub mod authority;
pub mod caa;
pub mod certificate;
pub mod client;
pub mod failure;
pub mod fallback;
pub mod issuance;
pub mod ledger;
pub mod material;
pub mod name;
pub mod outline;
pub mod people;
pub mod ports;
pub mod provider;
pub mod renewal;
pub mod renewal_info;
pub mod schedule;
pub mod time;
pub mod trace;
