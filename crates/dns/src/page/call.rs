//! One HTTP call of a recipe.
use std::collections::BTreeMap;

use serde::Deserialize;

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
    /// An expression over what is known: the call is only made when it is true.
    pub when: Option<String>,
    /// An expression over the answer: the list of its elements.
    pub each: Option<String>,
    /// Expressions over an element and what they have to equal; an element that differs is none of ours.
    #[serde(default, rename = "where")]
    pub only: BTreeMap<String, String>,
    /// An expression over an element: its text.
    pub value: Option<String>,
    /// Expressions over an element, or over the answer where there are none: what later calls know as `zone` or `record`.
    #[serde(default)]
    pub keep: BTreeMap<String, String>,
    /// An expression over the answer that is true while there is another page; `page` counts from 1.
    pub next: Option<String>,
    /// The vendor keeps a value twice that was put up twice: removal looks for all of them.
    #[serde(default)]
    pub doubles: bool,
    /// No call: the provider does not tell its zones and takes every name.
    #[serde(default)]
    pub unlisted: bool,
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
            ("value", self.value.is_some()),
            ("keep", !self.keep.is_empty()),
            ("next", self.next.is_some()),
            ("doubles", self.doubles),
            ("unlisted", self.unlisted),
        ]
        .into_iter()
        .filter_map(|(field, set)| set.then_some(field))
    }

    /// Every method named, with its path; a page that was checked has exactly one, unless it is `unlisted`.
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
}
