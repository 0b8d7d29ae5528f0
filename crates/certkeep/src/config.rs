//! The configuration file: TOML, read once at the start.
//!
//! Every key has a default, so that no file at all is a configuration too. A key that is not known, a value of the
//! wrong kind or a file that cannot be read is an error that names file, line and key. `docs/certkeep.sample.toml`
//! shows every key; a test holds the two together. Start reading at [`Config`].
mod cas;
mod delegation;
mod place;
mod resolve;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use certkeep_core::schedule::Pace;
use secrecy::SecretString;
use serde::Deserialize;
use toml::Spanned;

pub use cas::Acme;
pub use place::ConfigError;
pub(crate) use values::is_secure as is_directory;

use place::Source;
use values::{Doh, Domain, Endpoint, Parameter, Server};

/// The name of the file in the data folder that is read when no other is named.
pub const FILE_NAME: &str = "certkeep.toml";

/// Let's Encrypt's directory.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// What the operator decided.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to apply.
    pub acme: Acme,
    /// The API.
    pub api: Api,
    /// Who writes below the targets of delegations.
    delegation: Vec<Delegation>,
    /// Whom to ask about names.
    pub dns: Dns,
    /// How much is allowed.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: Log,
    /// Where everything is kept.
    pub store: Store,
    /// Where to listen.
    pub tls: Tls,
    #[serde(skip)]
    source: Source,
}

/// `[api]`: the OpenAPI.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Answers 70123 to every call when `false` (contract §2).
    pub enabled: bool,
}

/// `[[delegation]]`: who writes the challenge records of names that lead below a suffix by a CNAME.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delegation {
    /// What the targets are, or lie below.
    suffix: Domain,
    /// The provider's flag.
    dns_provider: Spanned<String>,
    /// Its parameters.
    #[serde(default)]
    auth: BTreeMap<String, Spanned<Parameter>>,
    /// A file with further parameters as KEY=VALUE on each line.
    auth_file: Option<Spanned<PathBuf>>,
}

/// `[dns]`: how certkeep sees whether a record is visible.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// Recursive resolvers; those of the system if empty.
    resolvers: Vec<Server>,
    /// Asked instead of the name servers of the zone.
    authoritative: Vec<Server>,
    /// Servers that stand in for the providers' own, by flag.
    endpoints: BTreeMap<String, Endpoint>,
    /// Resolvers by HTTPS, asked where port 53 does not lead to the name servers.
    doh: Vec<Doh>,
    /// Files with further roots to trust for the providers' HTTPS, and for that of `doh`, PEM.
    roots: Vec<Spanned<PathBuf>>,
    /// The programs that the provider `exec` may run, by the name that an application gives.
    exec: BTreeMap<String, Allowed>,
    /// Seconds, where the application says nothing.
    propagation_timeout: NonZeroU32,
    /// Seconds, where the application says nothing.
    polling_interval: NonZeroU32,
}

/// A program that may be run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Allowed {
    /// Where it is.
    path: Spanned<PathBuf>,
    /// The longest that one call may take, in seconds; a minute if absent.
    timeout: Option<NonZeroU32>,
}

/// `[limits]`: how much is allowed.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Most server certificates; unlimited if absent.
    server: Option<u32>,
    /// Most trusted certificates; unlimited if absent.
    trusted: Option<u32>,
    /// Issuances under way at once.
    concurrency: NonZeroU32,
    /// Renewals in good time that begin within a minute.
    renewals_per_minute: NonZeroU32,
}

/// `[log]`: what is logged, and how.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// How much.
    pub level: LogLevel,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

/// From which weight on a line is logged.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What helps to find a fault.
    Debug,
    /// What failed.
    Error,
    /// What was done.
    #[default]
    Info,
    /// Everything.
    Trace,
    /// What should be looked at.
    Warn,
}

/// `[store]`: where everything is kept, and the keys that seal its secrets.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// A PostgreSQL database, in place of the one in the data folder.
    #[serde(deserialize_with = "values::secret")]
    url: Option<Spanned<SecretString>>,
    /// A file that holds its address instead.
    url_file: Option<Spanned<PathBuf>>,
    key_file: Option<PathBuf>,
}

/// `[tls]`: where certkeep listens.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// For HTTPS; port 0 is any free one.
    #[serde(deserialize_with = "values::address")]
    pub listen: SocketAddr,
    /// For plain HTTP; nowhere if absent.
    #[serde(deserialize_with = "values::some_address")]
    pub http: Option<SocketAddr>,
}

impl Default for Api {
    fn default() -> Self {
        Api { enabled: true }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Dns {
            resolvers: Vec::new(),
            authoritative: Vec::new(),
            endpoints: BTreeMap::new(),
            doh: Vec::new(),
            roots: Vec::new(),
            exec: BTreeMap::new(),
            propagation_timeout: NonZeroU32::MIN.saturating_add(119),
            polling_interval: NonZeroU32::MIN.saturating_add(1),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            server: None,
            trusted: None,
            concurrency: NonZeroU32::MIN.saturating_add(15),
            renewals_per_minute: Pace::default().per_minute,
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Tls { listen: SocketAddr::from(([0, 0, 0, 0], 8088)), http: None }
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, or not understood.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Config::parse(Source::new(path.to_owned(), text))
    }

    fn parse(source: Source) -> Result<Config, ConfigError> {
        match toml::from_str::<Config>(source.text()) {
            Ok(config) => Ok(Config { source, ..config }),
            Err(error) => Err(source.problem(error.span().unwrap_or_default(), error.message())),
        }
    }
}

#[cfg(test)]
mod tests;
