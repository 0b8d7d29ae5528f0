//! The port `Issuer` against a scripted CA (`stub`), the sandbox, and Pebble with real DNS.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "what goes wrong in a test fails it at once")]
#[cfg(feature = "newer-peers")]
mod caddy;
mod keys;
mod pebble;
mod renewing;
mod sandbox;
mod scripted;
mod stub;
