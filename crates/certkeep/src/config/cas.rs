//! `[acme]`, its `[[acme.fallback]]` and `[[acme.for]]`: the CAs, in the order in which they are asked, and for which names.
use std::ops::Range;
use std::path::PathBuf;

use certkeep_core::authority::{self, Authority};
use certkeep_core::material::KeyType;
use certkeep_core::ports::{CertificateAuthority, ExternalAccount};
use certkeep_engine::{Cas, Choice, Rule};
use secrecy::SecretString;
use serde::Deserialize;
use toml::Spanned;

use super::values::{self, Contact, Directory, Domain};
use super::{Config, ConfigError};

/// `[acme]`: the CA that certificates are applied for at, and those that are asked when it cannot issue.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Acme {
    /// What it is called elsewhere in this file and by `--ca`.
    name: Option<Spanned<String>>,
    /// Its directory (RFC 8555 §7.1.1).
    directory: Spanned<Directory>,
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
    /// The profile to ask for; the CA's own choice if absent.
    profile: Option<String>,
    /// The common name of the root that the chain should lead to, where the CA offers several chains.
    preferred_chain: Option<String>,
    /// Asked in this order when those before could not issue for reasons of their own.
    fallback: Vec<Fallback>,
    /// What is so for some names only.
    r#for: Vec<For>,
}

impl Default for Acme {
    fn default() -> Self {
        Acme {
            name: None,
            directory: Spanned::new(0..0, Directory::default()),
            contact: Vec::new(),
            roots: Vec::new(),
            eab_kid: None,
            eab_hmac_key: None,
            eab_hmac_key_file: None,
            key_type: KeyType::default(),
            profile: None,
            preferred_chain: None,
            fallback: Vec::new(),
            r#for: Vec::new(),
        }
    }
}

/// `[[acme.for]]`: which of the CAs are asked for names below a suffix.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct For {
    /// What all names of a certificate are, or lie below.
    suffix: Spanned<Domain>,
    /// The CAs by name, in the order in which they are asked.
    cas: Vec<Spanned<String>>,
}

/// `[[acme.fallback]]`: a further CA.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fallback {
    /// As in `[acme]`.
    name: Option<Spanned<String>>,
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
    /// As in `[acme]`.
    profile: Option<String>,
    /// As in `[acme]`.
    preferred_chain: Option<String>,
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
        let first = self.ca(acme.directory.get_ref(), acme.directory.span(), &acme.contact, &acme.roots, binding)?;
        let (profile, preferred_chain) = (acme.profile.clone(), acme.preferred_chain.clone());
        let name = acme.name.as_ref().map(|name| name.get_ref().clone());
        let mut cas = Cas::from(Choice { name, ca: first, key_type: acme.key_type, profile, preferred_chain });
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
            let ca = self.ca(directory, further.directory.span(), contact, &further.roots, binding)?;
            let key_type = further.key_type.unwrap_or(acme.key_type);
            let (profile, preferred_chain) = (further.profile.clone(), further.preferred_chain.clone());
            let name = self.free_name(&cas, further.name.as_ref())?;
            cas.further.push(Choice { name, ca, key_type, profile, preferred_chain });
        }
        for rule in &acme.r#for {
            let rule = self.rule(&cas, rule)?;
            cas.rules.push(rule);
        }
        Ok(cas)
    }

    /// A name that is no other CA's.
    fn free_name(&self, cas: &Cas, name: Option<&Spanned<String>>) -> Result<Option<String>, ConfigError> {
        let Some(name) = name else { return Ok(None) };
        if cas.called(name.get_ref()).is_some() {
            return Err(self.source.problem(name.span(), "another CA is called so"));
        }
        Ok(Some(name.get_ref().clone()))
    }

    fn rule(&self, cas: &Cas, For { suffix, cas: asked }: &For) -> Result<Rule, ConfigError> {
        let mut directories = Vec::with_capacity(asked.len());
        for name in asked {
            let Some(choice) = cas.called(name.get_ref()) else {
                let all: Vec<&str> = cas.iter().map(Choice::called).collect();
                return Err(self.source.problem(name.span(), format!("no CA is called so; there is {}", all.join(", "))));
            };
            if directories.contains(&choice.ca.directory) {
                return Err(self.source.problem(name.span(), "this CA is in the list already"));
            }
            directories.push(choice.ca.directory.clone());
        }
        if directories.is_empty() {
            return Err(self.source.problem(suffix.span(), "needs at least one CA in cas"));
        }
        Ok(Rule { suffix: suffix.get_ref().0.clone(), directories })
    }

    fn ca(
        &self,
        directory: &Directory,
        span: Range<usize>,
        contact: &[Contact],
        roots: &[Spanned<PathBuf>],
        binding: Binding<'_>,
    ) -> Result<CertificateAuthority, ConfigError> {
        let external_account = self.external_account(binding)?;
        if external_account.is_none()
            && let Some(known) = Authority::by_directory(&directory.0)
            && known.binding == authority::Binding::Required
        {
            let wants = format!("{} also needs eab_kid and eab_hmac_key, which it gives to its customers", known.name);
            return Err(self.source.problem(span, wants));
        }
        Ok(CertificateAuthority {
            directory: directory.0.clone(),
            roots: roots.iter().map(|path| self.root(path)).collect::<Result<_, _>>()?,
            contact: contact.iter().map(|contact| contact.0.clone()).collect(),
            external_account,
        })
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
