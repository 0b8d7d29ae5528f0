//! Everything of this crate that needs a peer: a simulated vendor, a name server, a router of questions.
mod accounts;
mod exec;
mod list;
mod recipes;
mod resolver;
mod rfc2136;
mod vendors;
