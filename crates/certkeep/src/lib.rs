//! certkeep: the binary's rooms. Only here does everybody know everybody.
//!
//! - [`cli`]: the command line.
//! - [`config`]: the configuration file.
//! - [`demo`]: the whole story in a minute, on the sandbox.
//! - [`http`]: the vendor's API over HTTPS.
//! - [`logging`]: what is logged, and what never is.
//! - [`serve`]: the service: wiring, start and end.
//! - `ui`: the web page.
//!
//! What may not enter: a rule of the domain (that is the engine's), and anything a second program would want. Start
//! reading at [`serve::Service::start`].
pub mod cli;
pub mod config;
pub mod demo;
pub mod http;
pub mod logging;
pub mod serve;
mod ui;
