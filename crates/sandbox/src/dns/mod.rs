//! The authoritative DNS server and the HTTP API that changes it.

mod api;
mod server;
mod text;
mod zone;

pub(crate) use api::router;
pub(crate) use server::DnsServer;
pub use zone::RecordError;
pub(crate) use zone::{Content, Records, TTL, parse_name};
