//! One HTTP call of a recipe.
use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Assert, Body, Meaning, Sign};

/// A call: one of the methods with a path, what is sent, and what is read from the answer. Which of the fields have a
/// meaning depends on the stage.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Path below the base, perhaps with a query; what is put into it is percent-encoded.
    pub get: Option<String>,
    /// As `get`.
    pub post: Option<String>,
    /// As `get`.
    pub put: Option<String>,
    /// As `get`.
    pub patch: Option<String>,
    /// As `get`.
    pub delete: Option<String>,
    /// The address in front of the path, in the place of the page's; its host has to be among `http.hosts`.
    pub base: Option<String>,
    /// More of the query.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Headers besides those of `[http]`, and in their place.
    #[serde(default)]
    pub header: BTreeMap<String, String>,
    /// A body in JSON; a text that is one `{{ … }}` keeps the type of its value.
    pub json: Option<toml::Value>,
    /// A body as a form.
    pub form: Option<BTreeMap<String, String>>,
    /// A body in XML; what is put into it is escaped.
    pub xml: Option<String>,
    /// A call of XML-RPC.
    pub xmlrpc: Option<XmlRpc>,
    /// A body in plain text.
    pub text: Option<String>,
    /// The signature of this call, in the place of the page's.
    pub sign: Option<Sign>,
    /// What a login shows in the place of a password, as `assertion`.
    pub assertion: Option<Assert>,
    /// What the body of this answer is, where it differs from the page's others.
    pub answer: Option<Body>,
    /// As `http.ok`, and in its place.
    pub ok: Option<String>,
    /// As the page's `[errors]`, and looked into before it.
    #[serde(default)]
    pub errors: BTreeMap<String, Meaning>,
    /// An expression over what is known: the call is only made when it is true.
    pub when: Option<String>,
    /// An expression over the answer: the list of its elements.
    pub each: Option<String>,
    /// Expressions over an element and what they have to equal; an element that differs is none of ours.
    #[serde(default, rename = "where")]
    pub only: BTreeMap<String, String>,
    /// A call made for every element; its answer stands in the element's place if it is like the call's own `where`.
    pub detail: Option<Box<Call>>,
    /// An expression over an element: its text.
    pub value: Option<String>,
    /// Expressions over an element, or over the answer where there are none: what later calls know as `zone`, `record`,
    /// `session`, `set` or `got`.
    #[serde(default)]
    pub keep: BTreeMap<String, String>,
    /// An expression over the answer that is true while there is another page; `page` counts from 1.
    pub next: Option<String>,
    /// An expression over the answer: what the next page is asked for with, as `cursor`; empty at the first and after
    /// the last.
    pub cursor: Option<String>,
    /// An expression over the answer: the address of the next page; empty after the last.
    pub follow: Option<String>,
    /// Calls made before this one, in order; what they keep is `got`.
    #[serde(default)]
    pub first: Vec<Call>,
    /// Calls made after this one, in order; what this one and they keep is `got`.
    #[serde(default)]
    pub then: Vec<Call>,
    /// An expression over the answer: the call is repeated until it is true.
    pub until: Option<String>,
    /// The pause between two of these, in seconds.
    pub every: Option<f64>,
    /// The longest that they may take together, in seconds.
    pub within: Option<f64>,
    /// Whether a change is waited for before the next one to its zone, and not at once.
    #[serde(default)]
    pub before: bool,
    /// An expression over the answer: for how many seconds the session is good.
    pub lasts: Option<String>,
    /// The vendor keeps a value twice that was put up twice: removal looks for all of them.
    #[serde(default)]
    pub doubles: bool,
    /// No call: the provider does not tell its zones and takes every name.
    #[serde(default)]
    pub unlisted: bool,
    /// The provider takes names of zones and needs nothing else of them: the DNS is asked where the zone begins, and the
    /// call, if there is one, is made only where it does not tell.
    #[serde(default)]
    pub soa: bool,
}

/// A call of XML-RPC.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XmlRpc {
    /// The method's name.
    pub method: String,
    /// Its arguments, as `json` has them.
    #[serde(default)]
    pub params: Vec<toml::Value>,
}

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `DELETE`.
    Delete,
    /// `GET`.
    Get,
    /// `PATCH`.
    Patch,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
}

impl Call {
    /// The fields besides method, path, headers, query and body that are set.
    pub fn extras(&self) -> impl Iterator<Item = &'static str> {
        [
            ("when", self.when.is_some()),
            ("each", self.each.is_some()),
            ("where", !self.only.is_empty()),
            ("detail", self.detail.is_some()),
            ("value", self.value.is_some()),
            ("keep", !self.keep.is_empty()),
            ("next", self.next.is_some()),
            ("cursor", self.cursor.is_some()),
            ("follow", self.follow.is_some()),
            ("first", !self.first.is_empty()),
            ("then", !self.then.is_empty()),
            ("until", self.until.is_some()),
            ("every", self.every.is_some()),
            ("within", self.within.is_some()),
            ("before", self.before),
            ("lasts", self.lasts.is_some()),
            ("assertion", self.assertion.is_some()),
            ("doubles", self.doubles),
            ("unlisted", self.unlisted),
            ("soa", self.soa),
        ]
        .into_iter()
        .filter_map(|(field, set)| set.then_some(field))
    }

    /// The kinds of body that are named; a page that was checked has at most one.
    pub fn bodies(&self) -> impl Iterator<Item = &'static str> {
        [
            ("json", self.json.is_some()),
            ("form", self.form.is_some()),
            ("xml", self.xml.is_some()),
            ("xmlrpc", self.xmlrpc.is_some()),
            ("text", self.text.is_some()),
        ]
        .into_iter()
        .filter_map(|(field, set)| set.then_some(field))
    }

    /// Every method named, with its path; a page that was checked has exactly one, unless no call is made.
    pub fn methods(&self) -> impl Iterator<Item = (Method, &str)> {
        [
            (Method::Delete, &self.delete),
            (Method::Get, &self.get),
            (Method::Patch, &self.patch),
            (Method::Post, &self.post),
            (Method::Put, &self.put),
        ]
        .into_iter()
        .filter_map(|(method, path)| Some((method, path.as_deref()?)))
    }

    /// Every template of the request itself.
    pub fn sources(&self) -> Vec<&str> {
        let mut sources: Vec<&str> = self.methods().map(|(_, path)| path).collect();
        sources.extend([&self.base, &self.xml, &self.text].into_iter().flatten().map(String::as_str));
        sources.extend(self.query.values().chain(self.header.values()).map(String::as_str));
        sources.extend(self.form.iter().flat_map(BTreeMap::values).map(String::as_str));
        if let Some(json) = &self.json {
            texts(json, &mut sources);
        }
        if let Some(rpc) = &self.xmlrpc {
            rpc.params.iter().for_each(|param| texts(param, &mut sources));
        }
        sources
    }
}

/// Every text in a body.
fn texts<'a>(body: &'a toml::Value, found: &mut Vec<&'a str>) {
    match body {
        toml::Value::Array(list) => list.iter().for_each(|item| texts(item, found)),
        toml::Value::String(text) => found.push(text),
        toml::Value::Table(table) => table.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}
