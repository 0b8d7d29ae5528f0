//! Simulated accounts of DNS vendors behind real HTTPS on loopback.
//!
//! Each vendor's file is written from that vendor's own documentation, which its head names, and knows nothing of
//! certkeep's pages. Credentials are checked and signatures computed anew. A test looks at the account's records
//! before and after, at the requests that came, and asks for faults at a request of its choice.
mod account;
mod alidns;
mod cloudflare;
mod digitalocean;
mod httpreq;
mod server;
mod tls;

pub use account::{Account, Record};
pub use server::{Fault, Seen, Service, Vendor};
