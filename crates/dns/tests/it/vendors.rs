//! The scenario that every page has to pass, against simulated vendors and a real PowerDNS.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "what goes wrong here fails the test at once")]
mod behaviour;
mod bench;
mod every;
mod limits;
mod log;
mod powerdns;
mod scenario;
mod ways;
