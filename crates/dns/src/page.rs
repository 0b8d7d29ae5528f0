//! A provider's page: what its parameters are and, for most, how to talk to it. `docs/providers.md` explains the format.
mod call;
mod check;
mod enroll;
mod lint;

use std::collections::BTreeMap;

use certkeep_core::failure::Code;
use certkeep_core::provider::{Descriptor, Parameter};
use serde::Deserialize;

pub use call::{Call, Method, XmlRpc};
pub use enroll::Enroll;
pub use lint::lint;

use crate::sign::{Asserter, Signer};

/// Why a page cannot be used: where it is wrong, and how.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A field whose content cannot work.
    #[error("{flag}:{line}: {field}: {problem}")]
    Field {
        /// The page.
        flag: String,
        /// The line of the field, or of the nearest table around it, from 1.
        line: usize,
        /// The field, as a dotted path.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Not TOML, an unknown field, or a value of the wrong type; the source names the field.
    #[error("{flag}:{line}: the page cannot be read")]
    Format {
        /// The page.
        flag: String,
        /// The line where it is wrong, from 1.
        line: usize,
        /// What the parser says.
        #[source]
        source: Box<toml::de::Error>,
    },
}

/// A page as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The API's `dns_provider`; also the name of the file.
    pub flag: String,
    /// The vendor's name.
    pub name: String,
    /// Where the vendor describes its API.
    pub docs: Option<String>,
    /// When that was read.
    pub read: Option<toml::value::Datetime>,
    /// Set where nobody can use the vendor's API any more: a sentence with what to do instead.
    pub closed: Option<String>,
    /// The parameters, in the order of a form.
    #[serde(default)]
    pub param: Vec<Parameter>,
    /// What has to hold among the parameters besides each one's own rules.
    #[serde(default)]
    pub require: Vec<Requirement>,
    /// Set where Rust code drives the provider instead of a recipe.
    pub driver: Option<Driver>,
    /// What all calls have in common.
    pub http: Option<Http>,
    /// How a session is opened; what is kept is `session` in every other call.
    pub login: Option<Call>,
    /// How the account's zones are found.
    pub zone: Option<Call>,
    /// How a value is put up, where every value is a record of its own.
    pub add: Option<Call>,
    /// How the TXT records of a name are listed.
    pub find: Option<Call>,
    /// How a record is taken down.
    pub remove: Option<Call>,
    /// How a set is read and written, where all values of a name are one object.
    pub set: Option<Set>,
    /// What makes changes effective, where they do not become so by themselves.
    pub commit: Option<Call>,
    /// What is asked after every change until it is done, where changes are jobs.
    pub wait: Option<Call>,
    /// Set where the vendor holds one value only: a second one is refused, since it would take the first one's place.
    pub single: Option<Single>,
    /// An expression over the parameters and the name: the places that the vendor has for values of the name, each of
    /// which holds one. The calls know the one that is meant as `slot`.
    pub slots: Option<String>,
    /// The text that stands at the name after a removal, where the vendor cannot delete: a template. With `value` in it
    /// the value itself stays, and there is no [`Page::remove`].
    pub leaves: Option<String>,
    /// How a name gets an account of its own, where every name has one.
    pub enroll: Option<Enroll>,
    /// The vendor's own codes and what they mean.
    #[serde(default)]
    pub errors: BTreeMap<String, Meaning>,
}

/// A condition on the parameters together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// An expression that has to be true.
    pub that: String,
    /// What to say when it is not.
    pub say: String,
}

/// What a vendor holds one value of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Single {
    /// Every name has one.
    Name,
    /// All names of a zone share one.
    Zone,
}

/// Code in Rust that speaks what is no recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// A program of the operator's.
    Exec,
    /// Dynamic updates (RFC 2136).
    Rfc2136,
}

/// What all calls of a recipe have in common.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The address in front of every path; the session may tell it. No other host is ever called but those of `hosts`.
    pub base: String,
    /// Hosts that calls may name besides: templates over the parameters, `*.` at the beginning for all below.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Fields in the query of every call.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Fields of every body that is a form; a POST, PUT or PATCH without a body becomes one.
    #[serde(default)]
    pub form: BTreeMap<String, String>,
    /// Fields of every body in JSON; a POST, PUT or PATCH without a body gets one.
    #[serde(default)]
    pub json: toml::Table,
    /// Headers of every call; one that comes out empty is not sent.
    #[serde(default)]
    pub header: BTreeMap<String, String>,
    /// The signature of every call.
    pub sign: Option<Sign>,
    /// An expression over the answer that is true on success, for vendors whose status does not tell.
    pub ok: Option<String>,
    /// Where an answer that is an error says so.
    #[serde(default)]
    pub fails: Fails,
    /// What the body of an answer is.
    #[serde(default)]
    pub answer: Body,
    /// The least pause between two calls of an account, in seconds.
    #[serde(default)]
    pub delay: f64,
    /// How many calls the vendor publishes that an account may make.
    pub limit: Option<Limit>,
    /// An expression over every answer: how many seconds the vendor demands before the next call.
    pub pause: Option<String>,
    /// What differs in TLS from what all pages have.
    #[serde(default)]
    pub tls: Tls,
}

/// Certificates of the user's own, all over the parameters; what comes out empty does not differ.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// A template: the certificate that the client shows, in PEM.
    pub cert: Option<String>,
    /// A template: its key, in PEM.
    pub key: Option<String>,
    /// A template: the authorities that are trusted in the place of the usual ones, in PEM.
    pub roots: Option<String>,
    /// An expression that is true where any certificate is taken. Whoever is in between then reads and changes all.
    pub danger_unverified: Option<String>,
}

/// A published limit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// So many calls.
    pub calls: u32,
    /// Within so many seconds.
    pub within: f64,
}

/// A signature and its key.
#[derive(Debug, Deserialize)]
pub struct Sign {
    /// How.
    pub by: Signer,
    /// The parts of the key by the names that the signer has for them, templates.
    #[serde(flatten)]
    pub with: BTreeMap<String, String>,
}

/// What is shown in a login in the place of a password.
#[derive(Debug, Deserialize)]
pub struct Assert {
    /// How it is made.
    pub by: Asserter,
    /// What it is made of, by the names that the maker has for it, templates.
    #[serde(flatten)]
    pub with: BTreeMap<String, String>,
}

/// Expressions over an answer that is an error.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fails {
    /// True for an answer that is an error although its status says otherwise.
    pub when: Option<String>,
    /// The vendor's code.
    pub code: Option<String>,
    /// The vendor's message.
    pub message: Option<String>,
}

/// What the body of an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// Nothing that matters.
    Any,
    /// A web page, as text: the vendor's if `ok` is true of it or `[errors]` knows its words.
    Html,
    /// JSON, or nothing at all.
    #[default]
    Json,
    /// Plain text.
    Text,
    /// XML: an element is an object of its children and attributes, or a text.
    Xml,
    /// The answer of XML-RPC, as plain values.
    Xmlrpc,
}

/// All values of a name as one object: it is read, changed and written back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Reads the set; no element, or an answer that nothing is there, is an empty set.
    pub read: Call,
    /// An expression over the set: the list of its entries. Where it is left out they are what `read` lists, all pages
    /// together.
    pub entries: Option<String>,
    /// Expressions over an entry and what they have to equal, where the set holds entries of other names and types, as
    /// a whole zone does.
    #[serde(default)]
    pub mine: BTreeMap<String, String>,
    /// A new entry.
    pub entry: toml::Value,
    /// An expression over an entry: its text.
    pub value: String,
    /// An expression over the set: its TTL, which is kept.
    pub ttl: Option<String>,
    /// Writes the set, with `entries`, `before`, `added`, `removed`, `ttl`, and what `read` kept as `set`.
    pub write: Call,
    /// Puts the new entry into the set, where that is another call.
    pub add: Option<Call>,
    /// Writes a set that is not there yet, where that is another call.
    pub create: Option<Call>,
    /// Deletes the set when no entry is left, where that is another call.
    pub clear: Option<Call>,
    /// Whether a value is put up by `create` without reading the set first: the vendor refuses to make one that is there.
    #[serde(default)]
    pub unread: bool,
}

/// What a vendor's code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Meaning {
    /// What was asked for is not there.
    Absent,
    /// Somebody else changed the set since it was read.
    Conflict,
    /// The session is over: log in again.
    Expired,
    /// An entry of the failure catalogue.
    Failure(Code),
    /// What was to be added is there already.
    Present,
}

impl TryFrom<String> for Meaning {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match word.as_str() {
            "absent" => Ok(Meaning::Absent),
            "conflict" => Ok(Meaning::Conflict),
            "expired" => Ok(Meaning::Expired),
            "present" => Ok(Meaning::Present),
            name => Code::from_name(name)
                .map(Meaning::Failure)
                .ok_or_else(|| format!("{name:?} is neither absent, conflict, expired, present nor the name of a failure")),
        }
    }
}

impl Page {
    /// Reads a page and checks it whole: fields, parameters, templates.
    ///
    /// # Errors
    /// The first thing that is wrong; [`lint`] tells all of them.
    pub fn parse(flag: &str, text: &str) -> Result<Page, PageError> {
        let (page, mut errors) = lint::read(flag, text)?;
        if errors.is_empty() { Ok(page) } else { Err(errors.swap_remove(0)) }
    }

    /// The provider as its users see it.
    pub fn descriptor(&self) -> Descriptor {
        let served = match (&self.closed, &self.http, self.driver) {
            (Some(closed), ..) => Err(closed.clone()),
            (None, None, None) => Err(format!("certkeep has the parameters of {} but cannot drive it.", self.name)),
            _ => Ok(()),
        };
        Descriptor {
            flag: self.flag.clone(),
            name: self.name.clone(),
            docs: self.docs.clone(),
            parameters: self.param.clone(),
            served,
        }
    }
}
