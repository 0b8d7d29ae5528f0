//! certkeep's ports to DNS: providers that write records, and the resolver that sees what the world sees.
//!
//! - [`registry`]: every provider's page (`providers/*.toml`, compiled in) as a descriptor, and a driver for those that
//!   have one.
//! - [`page`] and `recipe`: a page's format, and the engine that speaks a page's conversation over HTTP.
//! - [`sign`]: requests that must be signed.
//! - [`rfc2136`]: dynamic updates with TSIG.
//! - [`exec`]: programs that the operator has allowed.
//! - [`resolver`]: CNAME delegation, SOA walk, and the propagation check at every authoritative server.
//!
//! What may not enter: rules about certificates or applications, storage, the API. Only [`certkeep_core`] is known
//! here. Start reading at [`registry`].
pub mod exec;
pub mod page;
mod recipe;
pub mod registry;
pub mod resolver;
pub mod rfc2136;
pub mod sign;
