//! Real servers as child processes, each on free loopback ports and in a temporary folder of its own.
//!
//! A handle owns its peer: when it is dropped the child is killed, waited for and its folder removed, so a handle
//! must not be kept in a `static`, which is never dropped. Every `start` waits until the peer answers, and panics
//! with the peer's own log when it does not.
//!
//! The usual arrangement: authorities first ([`PowerDns`], [`Bind`], [`Knot`]), then a [`DnsRouter`] with a route to
//! each, then a [`Pebble`] that validates through the router. Whatever is under test asks the same router.
mod ask;
mod bind;
mod caddy;
mod exchange;
mod http;
mod knot;
mod pebble;
mod port;
mod postgres;
mod powerdns;
mod process;
mod proxy;
mod router;
mod tsig;
mod zone;

pub use ask::{ask, txt};
pub use bind::Bind;
pub use caddy::Caddy;
pub use exchange::Transport;
pub use hickory_proto::op::ResponseCode;
pub use hickory_proto::rr::RecordType;
pub use http::http_client;
pub use knot::Knot;
pub use pebble::{ExternalAccount, Pebble, PebbleOptions};
pub use port::free_port;
pub use postgres::{PostgresDatabase, PostgresServer};
pub use powerdns::PowerDns;
pub use proxy::TcpProxy;
pub use router::{Asked, DnsRouter, Fault};
pub use tsig::Tsig;
