//! `[acme]` and its `[[acme.fallback]]`: the CAs, in the order in which they are asked.
use std::path::PathBuf;

use certkeep_core::material::KeyType;
use certkeep_core::ports::{CertificateAuthority, ExternalAccount};
use certkeep_engine::{Cas, Choice};
use secrecy::SecretString;
use serde::Deserialize;
use toml::Spanned;

use super::values::{self, Contact, Directory};
use super::{Config, ConfigError};

/// `[acme]`: the CA that certificates are applied for at, and those that are asked when it cannot issue.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Acme {
    /// Its directory (RFC 8555 §7.1.1).
    directory: Directory,
    /// Contact URLs (RFC 8555 §7.3).
    contact: Vec<Contact>,
    /// Files with further roots to trust for the directory's own HTTPS, PEM.
    roots: Vec<Spanned<PathBuf>>,
    /// The key identifier of the external account (RFC 8555 §7.3.4).
    eab_kid: Option<Spanned<String>>,
    /// Its HMAC key, base64url.
    #[serde(deserialize_with = "values::secret")]
    eab_hmac_key: Option<Spanned<SecretString>>,
    /// A file that holds the HMAC key instead.
    eab_hmac_key_file: Option<Spanned<PathBuf>>,
    /// The keys of new versions.
    key_type: KeyType,
    /// Asked in this order when those before could not issue for reasons of their own.
    fallback: Vec<Fallback>,
}

/// `[[acme.fallback]]`: a further CA.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fallback {
    /// As in `[acme]`.
    directory: Spanned<Directory>,
    /// As in `[acme]`, whose contact it is if absent.
    contact: Option<Vec<Contact>>,
    /// As in `[acme]`.
    #[serde(default)]
    roots: Vec<Spanned<PathBuf>>,
    /// As in `[acme]`.
    eab_kid: Option<Spanned<String>>,
    /// As in `[acme]`.
    #[serde(default, deserialize_with = "values::secret")]
    eab_hmac_key: Option<Spanned<SecretString>>,
    /// As in `[acme]`.
    eab_hmac_key_file: Option<Spanned<PathBuf>>,
    /// As in `[acme]`, whose key type it is if absent.
    key_type: Option<KeyType>,
}

/// An external account as the file says it.
struct Binding<'a> {
    kid: Option<&'a Spanned<String>>,
    key: Option<&'a Spanned<SecretString>>,
    key_file: Option<&'a Spanned<PathBuf>>,
}

impl Config {
    pub(super) fn cas(&self) -> Result<Cas, ConfigError> {
        let acme = &self.acme;
        let binding =
            Binding { kid: acme.eab_kid.as_ref(), key: acme.eab_hmac_key.as_ref(), key_file: acme.eab_hmac_key_file.as_ref() };
        let first = self.choice(&acme.directory, &acme.contact, &acme.roots, binding, acme.key_type)?;
        let mut cas = Cas::from(first);
        for further in &acme.fallback {
            let binding = Binding {
                kid: further.eab_kid.as_ref(),
                key: further.eab_hmac_key.as_ref(),
                key_file: further.eab_hmac_key_file.as_ref(),
            };
            let directory = further.directory.get_ref();
            if cas.at(&directory.0).is_some() {
                return Err(self.source.problem(further.directory.span(), "this CA is in the list already"));
            }
            let contact = further.contact.as_ref().unwrap_or(&acme.contact);
            let key_type = further.key_type.unwrap_or(acme.key_type);
            cas.further.push(self.choice(directory, contact, &further.roots, binding, key_type)?);
        }
        Ok(cas)
    }

    fn choice(
        &self,
        directory: &Directory,
        contact: &[Contact],
        roots: &[Spanned<PathBuf>],
        binding: Binding<'_>,
        key_type: KeyType,
    ) -> Result<Choice, ConfigError> {
        let ca = CertificateAuthority {
            directory: directory.0.clone(),
            roots: roots.iter().map(|path| self.root(path)).collect::<Result<_, _>>()?,
            contact: contact.iter().map(|contact| contact.0.clone()).collect(),
            external_account: self.external_account(binding)?,
        };
        Ok(Choice { ca, key_type })
    }

    fn external_account(&self, binding: Binding<'_>) -> Result<Option<ExternalAccount>, ConfigError> {
        let key = match (binding.key, binding.key_file) {
            (Some(_), Some(file)) => {
                return Err(self.source.problem(file.span(), "eab_hmac_key says the key already; keep one of the two"));
            }
            (Some(key), None) => Some(Spanned::new(key.span(), key.get_ref().clone())),
            (None, Some(file)) => {
                let key = SecretString::from(self.text_of(file)?.trim());
                Some(Spanned::new(file.span(), key))
            }
            (None, None) => None,
        };
        match (binding.kid, key) {
            (Some(kid), Some(key)) => Ok(Some(ExternalAccount { kid: kid.get_ref().clone(), hmac_key: key.into_inner() })),
            (Some(kid), None) => {
                Err(self.source.problem(kid.span(), "also needs eab_hmac_key or eab_hmac_key_file, which the CA gave with it"))
            }
            (None, Some(key)) => Err(self.source.problem(key.span(), "also needs eab_kid, which the CA gave with it")),
            (None, None) => Ok(None),
        }
    }
}
