//! An account at a provider, as the command line describes it.
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use certkeep_core::application::{AuthEntry, AuthValue};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::ports::{DnsProvider, DnsProviders, Propagation, Resolver};
use certkeep_core::provider::{Descriptor, ParameterKind, ParameterProblem, Parameters};
use certkeep_dns::registry::{Registry, RegistryOptions};
use certkeep_dns::resolver::{Authoritative, DnsResolver, ResolverOptions};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use crate::cli::CommandError;
use crate::config::Config;

/// Where DNS servers answer when no port is named.
const DNS_PORT: u16 = 53;
/// How long to wait for a record where neither the command line nor the provider's page says.
pub(super) const USUAL_WAIT: Propagation = Propagation { timeout: Duration::from_secs(120), interval: Duration::from_secs(2) };

/// Which provider, and how to get in.
#[derive(Args, Debug)]
pub(in crate::cli) struct Account {
    /// The provider, as `certkeep dns providers` lists it
    pub(super) flag: String,
    /// A parameter of the provider, more than once if need be; other users of this machine can see it while this runs
    #[arg(long, value_name = "KEY=VALUE", value_parser = secret)]
    auth: Vec<SecretString>,
    /// A file with a parameter as KEY=VALUE on each line; empty lines and those that begin with # are passed over
    #[arg(long, value_name = "FILE")]
    auth_file: Option<PathBuf>,
    /// A recursive resolver to ask, more than once if need be; those of the system if left out
    #[arg(long = "resolver", value_name = "IP:PORT", value_parser = server)]
    resolvers: Vec<SocketAddr>,
    /// Asked instead of the name servers of the zone, more than once if need be: for laboratories and split views
    #[arg(long, value_name = "IP:PORT", value_parser = server)]
    authoritative: Vec<SocketAddr>,
    /// A folder with pages that are added to those that certkeep brings, or take their place
    #[arg(long, value_name = "DIR")]
    pages: Option<PathBuf>,
    /// Do not wait until the name servers show the value
    #[arg(long)]
    pub(super) no_wait: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// The configuration that is named, for what it says of providers: programs, servers, roots.
    #[arg(skip)]
    pub(super) config: Option<PathBuf>,
}

/// All providers, and whom to ask about names.
pub(super) struct House {
    pub(super) registry: Registry,
    /// `None` where nobody is named, neither here nor by the system.
    pub(super) resolver: Option<Arc<dyn Resolver>>,
}

impl House {
    /// How many requests were made to the provider; `None` where its driver does not count them.
    pub(super) fn requests(&self, flag: &str) -> Option<u64> {
        self.registry.page(flag).filter(|page| page.driver.is_none()).map(|_| self.registry.requests())
    }
}

impl Account {
    pub(super) fn house(&self) -> Result<House, CommandError> {
        self.house_by(ResolverOptions::default())
    }

    /// The same, asking those of the options where the command line names nobody.
    pub(super) fn house_by(&self, mut options: ResolverOptions) -> Result<House, CommandError> {
        let configured = match &self.config {
            Some(path) => Config::read(path)?.provider_options()?,
            None => RegistryOptions::default(),
        };
        if !self.resolvers.is_empty() {
            options.servers.clone_from(&self.resolvers);
        }
        if !self.authoritative.is_empty() {
            options.authoritative = Authoritative::Fixed(self.authoritative.clone());
        }
        let resolver = match DnsResolver::new(options) {
            Ok(resolver) => Some(Arc::new(resolver) as Arc<dyn Resolver>),
            Err(error) => {
                tracing::debug!(%error, "nobody is asked about names");
                None
            }
        };
        let (pages_folder, resolves) = (self.pages.clone(), resolver.clone());
        let registry = Registry::new(RegistryOptions { pages_folder, resolver: resolves, ..configured });
        Ok(House { registry, resolver })
    }

    /// The parameters, checked.
    pub(super) fn parameters(&self, house: &House) -> Result<Parameters, CommandError> {
        Ok(self.checked(house)?.1)
    }

    /// What was given, and the parameters that it makes.
    pub(super) fn checked(&self, house: &House) -> Result<(Vec<AuthEntry>, Parameters), CommandError> {
        let no_provider = || CommandError::NoProvider(self.flag.clone());
        let descriptor = house.registry.descriptor(&self.flag).ok_or_else(no_provider)?;
        let wrong = |facts: Vec<String>| {
            let failure = Failure::new(Code::ProviderParameter, "read parameters").about(self.flag.as_str());
            CommandError::from(facts.into_iter().fold(failure, Failure::fact))
        };
        let mut entries = Vec::new();
        let mut facts = Vec::new();
        for (place, line) in self.lines()? {
            match entry(descriptor, line.expose_secret()) {
                Ok(entry) => entries.push(entry),
                Err(problem) => facts.push(format!("{place}: {problem}")),
            }
        }
        if !facts.is_empty() {
            return Err(wrong(facts));
        }
        let parameters = descriptor.parameters(&entries).map_err(|problems| wrong(problems.iter().map(told).collect()))?;
        Ok((entries, parameters))
    }

    /// The provider, ready to be called.
    pub(super) fn connect(&self, house: &House, parameters: &Parameters) -> Result<Arc<dyn DnsProvider>, Failure> {
        house.registry.connect(&self.flag, parameters)
    }

    /// What was given, each with its place: what it says is never repeated, since it may be a secret.
    fn lines(&self) -> Result<Vec<(String, SecretString)>, CommandError> {
        let given = self.auth.iter().zip(1..).map(|(text, number)| (format!("--auth number {number}"), text.clone()));
        let mut lines: Vec<(String, SecretString)> = given.collect();
        if let Some(path) = &self.auth_file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| CommandError::Unreadable { path: path.clone(), source })
                .map(SecretString::from)?;
            for (line, number) in text.expose_secret().lines().zip(1..) {
                if !line.trim().is_empty() && !line.starts_with('#') {
                    lines.push((format!("{}:{number}", path.display()), line.into()));
                }
            }
        }
        Ok(lines)
    }
}

/// How long and how often to look for a record.
pub(super) fn propagation(parameters: &Parameters) -> Propagation {
    Propagation {
        timeout: parameters.seconds("PropagationTimeout").unwrap_or(USUAL_WAIT.timeout),
        interval: parameters.seconds("PollingInterval").unwrap_or(USUAL_WAIT.interval),
    }
}

/// One parameter. What is wrong never repeats what was given: without its equals sign, a secret looks like a key.
fn entry(descriptor: &Descriptor, line: &str) -> Result<AuthEntry, String> {
    let (key, value) = line.split_once('=').ok_or("this is not KEY=VALUE")?;
    let Some(parameter) = descriptor.parameter(key.trim()) else {
        let keys: Vec<&str> = descriptor.parameters.iter().map(|parameter| parameter.k.as_str()).collect();
        return Err(format!("{} has no such parameter; it has {}", descriptor.flag, keys.join(", ")));
    };
    let value = match (parameter.kind, value.trim()) {
        (ParameterKind::Boolean, "true") => AuthValue::Boolean(true),
        (ParameterKind::Boolean, "false") => AuthValue::Boolean(false),
        _ => AuthValue::Text(value.into()),
    };
    Ok(AuthEntry { k: parameter.k.clone(), value })
}

fn told(problem: &ParameterProblem) -> String {
    let key = problem.key();
    match problem {
        ParameterProblem::Duplicate(_) => format!("{key} is given twice"),
        ParameterProblem::File(_) => format!("{key} names a file; give what is in it by the parameter made for that"),
        ParameterProblem::Kind(_, ParameterKind::Boolean) => format!("{key} has to be true or false"),
        ParameterProblem::Kind(_, ParameterKind::Integer) => format!("{key} has to be a whole number"),
        ParameterProblem::Kind(_, ParameterKind::String) => format!("{key} has to be a text"),
        ParameterProblem::Missing(_) => format!("{key} is missing"),
        ParameterProblem::Unknown(_) => "there is no such parameter".to_owned(),
    }
}

fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}

fn server(text: &str) -> Result<SocketAddr, String> {
    let address = || text.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT)).ok();
    let server = text.parse().ok().or_else(address);
    server.ok_or_else(|| "neither 192.0.2.53 nor 192.0.2.53:53, nor the like of IPv6".to_owned())
}
