//! What a DNS provider is to its users: a flag, a name, and parameters that say what they want.
use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::application::{AuthEntry, AuthValue};

/// The kind of a parameter's value: the API's `iv`, `sv` and `bv`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterKind {
    /// `bv`.
    Boolean,
    /// `iv`; digits in `sv` are accepted as well.
    Integer,
    /// `sv`.
    #[default]
    String,
}

/// One parameter of a provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The key as the API spells it; matched without regard to case.
    pub k: String,
    /// The kind of its value.
    #[serde(default)]
    pub kind: ParameterKind,
    /// Whether an application without it is refused.
    #[serde(default)]
    pub required: bool,
    /// Whether people who may not read secrets see its value.
    #[serde(default)]
    pub secret: bool,
    /// Whether its value names a file on this machine; such a parameter is refused over the API.
    #[serde(default)]
    pub file: bool,
    /// The value where none is given, as text.
    #[serde(default)]
    pub default: Option<DefaultValue>,
    /// Other spellings under which clients send it.
    #[serde(default)]
    pub also: Vec<String>,
    /// One line of help for a form.
    #[serde(default)]
    pub help: String,
}

/// A default value as a page writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum DefaultValue {
    /// A boolean.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A text.
    String(String),
}

/// A provider as its users see it.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// The API's `dns_provider`.
    pub flag: String,
    /// The vendor's name.
    pub name: String,
    /// The vendor's page on its API, where one is known.
    pub docs: Option<String>,
    /// Its parameters, in the order of a form.
    pub parameters: Vec<Parameter>,
    /// Whether certkeep can drive it; if not, why, in one plain sentence.
    pub served: Result<(), String>,
}

/// What is wrong with one given parameter; the API's `validation_type` is [`ParameterProblem::validation_type`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterProblem {
    /// A file on this machine may not be named over the API.
    File(String),
    /// Twice the same key, perhaps in two spellings.
    Duplicate(String),
    /// A value of the wrong kind.
    Kind(String, ParameterKind),
    /// A required key is missing or empty.
    Missing(String),
    /// The provider has no such key.
    Unknown(String),
}

impl ParameterProblem {
    /// The key it is about, in the descriptor's spelling where it is known.
    pub fn key(&self) -> &str {
        match self {
            Self::File(k) | Self::Duplicate(k) | Self::Kind(k, _) | Self::Missing(k) | Self::Unknown(k) => k,
        }
    }

    /// The contract's word for it (§2, row 40002).
    pub fn validation_type(&self) -> &'static str {
        match self {
            Self::File(_) => "forbidden",
            Self::Duplicate(_) => "duplicate",
            Self::Kind(_, ParameterKind::Boolean) => "boolean",
            Self::Kind(_, ParameterKind::Integer) => "integer",
            Self::Kind(_, ParameterKind::String) => "string",
            Self::Missing(_) => "required",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// The checked parameters of a provider, defaults filled in, keyed by the descriptor's spelling.
///
/// `Debug` shows keys only.
#[derive(Clone, Default)]
pub struct Parameters(BTreeMap<String, AuthValue>);

impl Parameters {
    /// The value of a key in the descriptor's spelling.
    pub fn value(&self, key: &str) -> Option<&AuthValue> {
        self.0.get(key)
    }

    /// A text value.
    pub fn text(&self, key: &str) -> Option<&SecretString> {
        match self.0.get(key) {
            Some(AuthValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// An integer value.
    pub fn integer(&self, key: &str) -> Option<i64> {
        match self.0.get(key) {
            Some(AuthValue::Integer(n)) => Some(*n),
            _ => None,
        }
    }

    /// An integer value taken as seconds; negative ones count as none.
    pub fn seconds(&self, key: &str) -> Option<Duration> {
        self.integer(key).and_then(|n| u64::try_from(n).ok()).map(Duration::from_secs)
    }

    /// All keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AuthValue)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v))
    }
}

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Descriptor {
    /// The parameter that a client means by `key`: its name or another spelling, in any case.
    pub fn parameter(&self, key: &str) -> Option<&Parameter> {
        let is = |other: &str| other.eq_ignore_ascii_case(key);
        self.parameters.iter().find(|p| is(&p.k)).or_else(|| self.parameters.iter().find(|p| p.also.iter().any(|a| is(a))))
    }

    /// Checks what a client gave and fills in defaults (contract §4.6).
    ///
    /// # Errors
    /// Every problem there is, in the order given, missing ones last.
    pub fn parameters(&self, given: &[AuthEntry]) -> Result<Parameters, Vec<ParameterProblem>> {
        let mut problems = Vec::new();
        let mut values = BTreeMap::new();
        for entry in given {
            let Some(parameter) = self.parameter(&entry.k) else {
                problems.push(ParameterProblem::Unknown(entry.k.clone()));
                continue;
            };
            if parameter.file {
                problems.push(ParameterProblem::File(parameter.k.clone()));
                continue;
            }
            let Some(value) = converted(parameter.kind, &entry.value) else {
                problems.push(ParameterProblem::Kind(parameter.k.clone(), parameter.kind));
                continue;
            };
            if values.insert(parameter.k.clone(), value).is_some() {
                problems.push(ParameterProblem::Duplicate(parameter.k.clone()));
            }
        }
        for parameter in &self.parameters {
            let empty = match values.get(&parameter.k) {
                None => true,
                Some(AuthValue::Text(text)) => text.expose_secret().is_empty(),
                Some(_) => false,
            };
            if !empty {
                continue;
            }
            if let Some(default) = &parameter.default {
                values.insert(parameter.k.clone(), AuthValue::from(default));
            } else if parameter.required && !problems.iter().any(|p| p.key() == parameter.k) {
                problems.push(ParameterProblem::Missing(parameter.k.clone()));
            }
        }
        if problems.is_empty() { Ok(Parameters(values)) } else { Err(problems) }
    }
}

/// The value in the kind asked for, or `None` where it is of another.
fn converted(kind: ParameterKind, value: &AuthValue) -> Option<AuthValue> {
    match (kind, value) {
        (ParameterKind::Boolean, AuthValue::Boolean(_))
        | (ParameterKind::Integer, AuthValue::Integer(_))
        | (ParameterKind::String, AuthValue::Text(_)) => Some(value.clone()),
        (ParameterKind::Integer, AuthValue::Text(text)) => text.expose_secret().trim().parse().ok().map(AuthValue::Integer),
        _ => None,
    }
}

impl From<&DefaultValue> for AuthValue {
    fn from(default: &DefaultValue) -> Self {
        match default {
            DefaultValue::Boolean(b) => AuthValue::Boolean(*b),
            DefaultValue::Integer(n) => AuthValue::Integer(*n),
            DefaultValue::String(s) => AuthValue::Text(s.clone().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alidns() -> Descriptor {
        let parameter = |k: &str, kind, required, default, also: &[&str]| Parameter {
            k: k.into(),
            kind,
            required,
            secret: false,
            file: k == "File",
            default,
            also: also.iter().map(|s| (*s).to_owned()).collect(),
            help: String::new(),
        };
        Descriptor {
            flag: "alidns".into(),
            name: "Alibaba Cloud DNS".into(),
            docs: None,
            parameters: vec![
                parameter("AccessKeyId", ParameterKind::String, true, None, &["APIKey"]),
                parameter("TTL", ParameterKind::Integer, false, Some(DefaultValue::Integer(600)), &[]),
                parameter("Flag", ParameterKind::Boolean, false, None, &[]),
                parameter("File", ParameterKind::String, false, None, &[]),
            ],
            served: Ok(()),
        }
    }

    fn entry(k: &str, value: AuthValue) -> AuthEntry {
        AuthEntry { k: k.into(), value }
    }

    #[test]
    fn keys_match_in_any_case_and_by_alias_and_defaults_fill_in() {
        for key in ["AccessKeyId", "accesskeyid", "apikey"] {
            let got = alidns().parameters(&[entry(key, AuthValue::Text("id".into()))]).unwrap();
            assert_eq!(got.text("AccessKeyId").unwrap().expose_secret(), "id");
            assert_eq!(got.integer("TTL"), Some(600));
        }
    }

    #[test]
    fn digits_in_a_string_are_an_integer() {
        let given = [entry("APIKey", AuthValue::Text("id".into())), entry("ttl", AuthValue::Text("60".into()))];
        assert_eq!(alidns().parameters(&given).unwrap().integer("TTL"), Some(60));
    }

    #[test]
    fn every_problem_is_named() {
        let given = [
            entry("TTL", AuthValue::Boolean(true)),
            entry("Nonsense", AuthValue::Integer(1)),
            entry("File", AuthValue::Text("x".into())),
            entry("Flag", AuthValue::Boolean(true)),
            entry("flag", AuthValue::Boolean(true)),
        ];
        assert_eq!(
            alidns().parameters(&given).unwrap_err(),
            vec![
                ParameterProblem::Kind("TTL".into(), ParameterKind::Integer),
                ParameterProblem::Unknown("Nonsense".into()),
                ParameterProblem::File("File".into()),
                ParameterProblem::Duplicate("Flag".into()),
                ParameterProblem::Missing("AccessKeyId".into()),
            ]
        );
    }

    #[test]
    fn debug_shows_no_value() {
        let got = alidns().parameters(&[entry("APIKey", AuthValue::Text("s3cret".into()))]).unwrap();
        assert!(!format!("{got:?}").contains("s3cret"));
    }
}
