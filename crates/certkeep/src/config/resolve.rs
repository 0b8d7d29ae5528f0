//! From what the file says to what the engine and its ports are told; reads the files that it names.
use std::path::{Path, PathBuf};
use std::time::Duration;

use certkeep_core::ports::Propagation;
use certkeep_core::renewal::Policy;
use certkeep_core::schedule::Pace;
use certkeep_dns::exec::Program;
use certkeep_dns::registry::RegistryOptions;
use certkeep_dns::resolver::{Authoritative, ResolverOptions};
use certkeep_engine::Settings;
use certkeep_store::{Location, Options, ServerUrl};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use secrecy::SecretString;
use toml::Spanned;

use super::values::Server;
use super::{Allowed, Config, ConfigError};

/// The longest that one call of a program may take, where the file does not say.
const USUAL_CALL: Duration = Duration::from_secs(60);

impl Config {
    /// What the engine is told.
    ///
    /// # Errors
    /// A file that is named cannot be read or is not what it should be; keys that need each other.
    pub fn engine_settings(&self) -> Result<Settings, ConfigError> {
        let seconds = |seconds: std::num::NonZeroU32| Duration::from_secs(u64::from(seconds.get()));
        Ok(Settings {
            cas: self.cas()?,
            renewal: Policy::default(),
            max_server: self.limits.server,
            max_trusted: self.limits.trusted,
            propagation: Propagation {
                timeout: seconds(self.dns.propagation_timeout),
                interval: seconds(self.dns.polling_interval),
            },
            delegations: self.delegations()?,
            concurrency: self.limits.concurrency.get(),
            pace: Pace { per_minute: self.limits.renewals_per_minute },
        })
    }

    /// What the DNS providers are told.
    ///
    /// # Errors
    /// A file that is named cannot be read or is not what it should be.
    pub fn provider_options(&self) -> Result<RegistryOptions, ConfigError> {
        let endpoints = self.dns.endpoints.iter().map(|(flag, endpoint)| (flag.clone(), endpoint.0.clone()));
        Ok(RegistryOptions {
            extra_roots: self.dns.roots.iter().map(|path| self.root(path)).collect::<Result<_, _>>()?,
            endpoints: endpoints.collect(),
            programs: self.dns.exec.iter().map(|(name, allowed)| self.program(name, allowed)).collect::<Result<_, _>>()?,
            ..RegistryOptions::default()
        })
    }

    /// What the resolver is told.
    ///
    /// # Errors
    /// A file that is named cannot be read or is not what it should be.
    pub fn resolver_options(&self) -> Result<ResolverOptions, ConfigError> {
        let addresses = |servers: &[Server]| servers.iter().map(|server| server.0).collect::<Vec<_>>();
        Ok(ResolverOptions {
            servers: addresses(&self.dns.resolvers),
            authoritative: match addresses(&self.dns.authoritative) {
                none if none.is_empty() => Authoritative::Discovered,
                fixed => Authoritative::Fixed(fixed),
            },
            https: self.dns.doh.iter().map(|server| server.0.clone()).collect(),
            extra_roots: self.dns.roots.iter().map(|path| self.root(path)).collect::<Result<_, _>>()?,
            ..ResolverOptions::default()
        })
    }

    /// Where the store is: in this data folder, or in a database with its keys there.
    ///
    /// # Errors
    /// The address of the database is none, or the file with it cannot be read.
    pub fn location(&self, folder: &Path) -> Result<Location, ConfigError> {
        let key_file = self.store.key_file.as_deref().map(|path| self.source.beside(path));
        let address = match (&self.store.url, &self.store.url_file) {
            (Some(_), Some(file)) => {
                return Err(self.source.problem(file.span(), "url says the address already; keep one of the two"));
            }
            (Some(url), None) => Some((url.span(), url.get_ref().clone())),
            (None, Some(file)) => Some((file.span(), SecretString::from(self.text_of(file)?.trim()))),
            (None, None) => None,
        };
        let server = address.map(|(span, url)| ServerUrl::new(&url).map_err(|e| self.source.problem(span, e.to_string())));
        Ok(Location { options: Options { folder: folder.to_owned(), key_file }, server: server.transpose()? })
    }

    fn program(&self, name: &str, Allowed { path, timeout }: &Allowed) -> Result<(String, Program), ConfigError> {
        let file = self.source.beside(path.get_ref());
        let file = std::path::absolute(&file).unwrap_or(file);
        if !file.is_file() {
            return Err(self.source.problem(path.span(), format!("there is no program at {}", file.display())));
        }
        let timeout = timeout.map_or(USUAL_CALL, |seconds| Duration::from_secs(u64::from(seconds.get())));
        Ok((name.to_owned(), Program::new(file, timeout)))
    }

    pub(super) fn root(&self, path: &Spanned<PathBuf>) -> Result<String, ConfigError> {
        let text = self.text_of(path)?;
        let mut certificates = CertificateDer::pem_slice_iter(text.as_bytes());
        match certificates.next() {
            Some(Ok(_)) if certificates.all(|certificate| certificate.is_ok()) => Ok(text),
            _ => Err(self.source.problem(path.span(), "the file holds no certificates in PEM")),
        }
    }

    pub(super) fn text_of(&self, path: &Spanned<PathBuf>) -> Result<String, ConfigError> {
        let file = self.source.beside(path.get_ref());
        std::fs::read_to_string(&file)
            .map_err(|error| self.source.problem(path.span(), format!("{} cannot be read: {error}", file.display())))
    }
}
