//! What to ask for: names, and the DNS provider that proves control of them.
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::name::{DnsName, InvalidName};

/// Most names in one application: what public CAs allow in one certificate.
pub const MAX_NAMES: usize = 100;

/// The value of an authentication parameter: exactly one of the API's `iv`, `sv`, `bv`.
///
/// Every text is treated as a secret; `Debug` shows none.
#[derive(Clone, Debug)]
pub enum AuthValue {
    /// `bv`.
    Boolean(bool),
    /// `iv`.
    Integer(i64),
    /// `sv`.
    Text(SecretString),
}

/// One row of `auth_info_list`, as given.
#[derive(Clone, Debug)]
pub struct AuthEntry {
    /// The key, in the client's spelling.
    pub k: String,
    /// Its value.
    pub value: AuthValue,
}

impl PartialEq for AuthValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a.expose_secret() == b.expose_secret(),
            _ => false,
        }
    }
}

impl PartialEq for AuthEntry {
    fn eq(&self, other: &Self) -> bool {
        self.k == other.k && self.value == other.value
    }
}

/// What to ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    /// The names of the certificate, the first being its `issue_to`; at least one, no two alike.
    pub names: Names,
    /// The provider's flag.
    pub dns_provider: String,
    /// Its parameters, in the order and spelling given.
    pub auth: Vec<AuthEntry>,
}

/// Who writes the records of challenge names that are delegated below a suffix, whatever the application says.
#[derive(Clone, Debug, PartialEq)]
pub struct Delegation {
    /// The name that the delegations' targets are, or lie below.
    pub suffix: DnsName,
    /// The provider's flag.
    pub dns_provider: String,
    /// Its parameters.
    pub auth: Vec<AuthEntry>,
}

impl Delegation {
    /// The one for a target: of several the one with the longest suffix.
    pub fn of<'a>(all: &'a [Delegation], target: &DnsName) -> Option<&'a Delegation> {
        let fitting = all.iter().filter(|delegation| target.is_within(delegation.suffix.as_str()));
        fitting.max_by_key(|delegation| delegation.suffix.as_str().len())
    }
}

/// One or more different names, in the order given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Names(Vec<DnsName>);

/// Why a list of names is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNames {
    /// One of them is no domain name.
    #[error("{0:?} is no domain name: {1}")]
    Name(String, InvalidName),
    /// More than [`MAX_NAMES`].
    #[error("more than {MAX_NAMES} names")]
    TooMany,
}

impl Names {
    /// Reads names separated by commas (contract §4.6, `issue_to`); a repeated name counts once.
    ///
    /// # Errors
    /// The first text that is no domain name, or too many of them.
    pub fn parse(text: &str) -> Result<Names, InvalidNames> {
        let mut names: Vec<DnsName> = Vec::new();
        for part in text.split(',') {
            let name: DnsName = part.parse().map_err(|e| InvalidNames::Name(part.trim().to_owned(), e))?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.len() > MAX_NAMES { Err(InvalidNames::TooMany) } else { Ok(Names(names)) }
    }

    /// The first name: the API's `issue_to`.
    pub fn first(&self) -> &str {
        self.0.first().map_or("", DnsName::as_str)
    }

    /// All names.
    pub fn as_slice(&self) -> &[DnsName] {
        &self.0
    }

    /// The file name of a certificate for them: `<first>.pem`, a wildcard's `*` written as `_` (contract §4.1).
    pub fn file_name(&self) -> String {
        format!("{}.pem", self.first().replacen('*', "_", 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_suffix_decides_about_a_delegation() {
        let delegation =
            |suffix: &str| Delegation { suffix: suffix.parse().unwrap(), dns_provider: suffix.to_owned(), auth: Vec::new() };
        let all = ["example.net", "acme.example.net", "example.org"].map(delegation);
        let of = |target: &str| Delegation::of(&all, &target.parse().unwrap()).map(|found| found.dns_provider.as_str());
        assert_eq!(of("pbx.acme.example.net"), Some("acme.example.net"));
        assert_eq!(of("acme.example.net"), Some("acme.example.net"));
        assert_eq!(of("notacme.example.net"), Some("example.net"));
        assert_eq!(of("pbx.example.com"), None);
    }

    #[test]
    fn several_names_wildcards_and_repeats() {
        let names = Names::parse("*.Example.com, example.com,example.com.").unwrap();
        assert_eq!(names.first(), "*.example.com");
        assert_eq!(names.as_slice().len(), 2);
        assert_eq!(names.file_name(), "_.example.com.pem");
        assert!(matches!(Names::parse("a.example.com,"), Err(InvalidNames::Name(..))));
        assert!(Names::parse("").is_err());
        let many = (0..=MAX_NAMES).map(|i| format!("a{i}.example.com")).collect::<Vec<_>>().join(",");
        assert_eq!(Names::parse(&many), Err(InvalidNames::TooMany));
    }
}
