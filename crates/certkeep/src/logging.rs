//! The log: by tracing, to stderr, for people or as JSON.
//!
//! What libraries say below `warn` is never logged, whatever is asked for: they show what they carry, headers and URIs
//! with tokens among it. For the same reason what comes by the `log` crate goes nowhere.
use std::env;
use std::io::{self, IsTerminal};
use std::panic;
use std::str::FromStr;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, ParseError, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;

use crate::config::{Log, LogFormat, LogLevel};

/// The environment variable that says what is logged.
pub const VARIABLE: &str = "CERTKEEP_LOG";

/// What our own crates' targets begin with.
const OURS: &str = "certkeep";

/// Why no log can be kept.
#[derive(Debug, thiserror::Error)]
#[error("{VARIABLE} says {said:?}, which is neither a level nor a list of parts with levels")]
pub struct InvalidFilter {
    said: String,
    #[source]
    source: ParseError,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Trace => LevelFilter::TRACE,
            LogLevel::Warn => LevelFilter::WARN,
        }
    }
}

/// Logs from now on, panics included. What is set first stays.
///
/// # Errors
/// [`VARIABLE`] is set and cannot be understood.
pub fn start(log: Log) -> Result<(), InvalidFilter> {
    let wanted = match env::var(VARIABLE) {
        Ok(said) if !said.is_empty() => Targets::from_str(&said).map_err(|source| InvalidFilter { said, source })?,
        _ => Targets::new().with_default(log.level),
    };
    let discreet = filter_fn(|metadata| metadata.target().starts_with(OURS) || *metadata.level() <= Level::WARN);
    let colours = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colours);
    let layer = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    let registry = tracing_subscriber::registry().with(layer.with_filter(wanted.and(discreet)));
    // Not by `init`, which would take in what comes by the `log` crate as well.
    if tracing::subscriber::set_global_default(registry).is_ok() {
        panic::set_hook(Box::new(log_panic));
    }
    Ok(())
}

fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let said = panic.payload_as_str().unwrap_or("nothing that is text");
    let place = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    tracing::error!(said, place, thread = thread.name(), "a panic");
}
