//! Who writes below the targets of delegations, with the parameters that they need.
use std::ops::Range;

use certkeep_core::application::{self, AuthEntry, AuthValue};
use certkeep_core::ports::DnsProviders;
use certkeep_core::provider::{Descriptor, ParameterProblem};
use certkeep_engine::Invalid;
use secrecy::{ExposeSecret, SecretString};

use super::{Config, ConfigError, Delegation};

impl Config {
    /// The delegations, with the parameters of their files.
    ///
    /// # Errors
    /// A file that is named cannot be read or is not what it should be.
    pub(super) fn delegations(&self) -> Result<Vec<application::Delegation>, ConfigError> {
        let delegation = |delegation: &Delegation| {
            Ok(application::Delegation {
                suffix: delegation.suffix.0.clone(),
                dns_provider: delegation.dns_provider.get_ref().clone(),
                auth: self.auth(delegation)?.into_iter().map(|(entry, _)| entry).collect(),
            })
        };
        self.delegation.iter().map(delegation).collect()
    }

    /// Checks that there is such a provider for each delegation, and that it takes the parameters.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn check_delegations(&self, providers: &dyn DnsProviders) -> Result<(), ConfigError> {
        for delegation in &self.delegation {
            let flag = &delegation.dns_provider;
            let wrong = |message: String| self.source.problem(flag.span(), message);
            let descriptor = providers.descriptor(flag.get_ref());
            let descriptor = descriptor.ok_or_else(|| wrong("certkeep dns providers does not list this".to_owned()))?;
            descriptor.served.as_ref().map_err(|why| wrong(why.clone()))?;
            let given = self.auth(delegation)?;
            let entries: Vec<AuthEntry> = given.iter().map(|(entry, _)| entry.clone()).collect();
            let problems = descriptor.parameters(&entries).err().unwrap_or_default();
            if let Some(problem) = problems.first() {
                let is = |entry: &AuthEntry| {
                    descriptor.parameter(&entry.k).map_or(entry.k.as_str(), |known| &known.k) == problem.key()
                };
                let at = given.iter().find(|(entry, _)| is(entry)).map_or(flag.span(), |(_, span)| span.clone());
                return Err(self.source.problem(at, told(descriptor, problem)));
            }
        }
        Ok(())
    }

    /// What is given in the configuration itself and in the file, each with its place. Nothing that is wrong is repeated:
    /// without its equals sign, a secret looks like a key.
    fn auth(&self, delegation: &Delegation) -> Result<Vec<(AuthEntry, Range<usize>)>, ConfigError> {
        let given = delegation.auth.iter();
        let given = given.map(|(k, value)| (AuthEntry { k: k.clone(), value: value.get_ref().0.clone() }, value.span()));
        let mut all: Vec<_> = given.collect();
        if let Some(file) = &delegation.auth_file {
            let text = SecretString::from(self.text_of(file)?);
            for (line, number) in text.expose_secret().lines().zip(1..) {
                if line.trim().is_empty() || line.starts_with('#') {
                    continue;
                }
                let wrong = || self.source.problem(file.span(), format!("line {number} of the file is not KEY=VALUE"));
                let (k, value) = line.split_once('=').ok_or_else(wrong)?;
                let value = match value.trim() {
                    "true" => AuthValue::Boolean(true),
                    "false" => AuthValue::Boolean(false),
                    _ => AuthValue::Text(value.into()),
                };
                all.push((AuthEntry { k: k.trim().to_owned(), value }, file.span()));
            }
        }
        Ok(all)
    }
}

/// What is wrong with a parameter. A key that is not known is not repeated: it may be a secret that lacks its key.
fn told(descriptor: &Descriptor, problem: &ParameterProblem) -> String {
    match problem {
        ParameterProblem::Unknown(_) => {
            let keys: Vec<&str> = descriptor.parameters.iter().map(|parameter| parameter.k.as_str()).collect();
            format!("{} has no such parameter; it has {}", descriptor.flag, keys.join(", "))
        }
        ParameterProblem::File(key) => format!("{key} names a file; give what is in it by the parameter made for that"),
        problem => format!("{} {}", problem.key(), Invalid::from(problem).message),
    }
}
