//! What the types of a page cannot say: that its parts fit together and its templates only use what there is.
use std::collections::{BTreeMap, HashSet};

use super::{Call, Http, Page, PageError, Set};
use crate::recipe::template;

/// What every call about a record knows besides the parameters.
const RECORD: &[&str] = &["zone", "name", "owner", "value"];

/// Which of a call's further fields have a meaning in which stage.
const EXTRAS: &[(&str, &[&str])] = &[
    ("zone", &["each", "where", "keep", "next", "unlisted"]),
    ("add", &["keep", "doubles"]),
    ("find", &["each", "where", "value", "keep", "next"]),
    ("remove", &[]),
    ("set.read", &["each", "where", "next"]),
    ("set.write", &[]),
    ("commit", &["when"]),
];

/// Checks a page that could be read.
pub(super) fn check(flag: &str, page: &Page) -> Result<(), PageError> {
    let checker = Checker { flag, parameters: page.param.iter().map(|p| p.k.as_str()).collect() };
    checker.page(page)
}

struct Checker<'a> {
    flag: &'a str,
    parameters: Vec<&'a str>,
}

impl Checker<'_> {
    fn page(&self, page: &Page) -> Result<(), PageError> {
        if page.flag != self.flag {
            return self.wrong("flag", format!("the file is named after {:?}", self.flag));
        }
        self.parameters_differ(page)?;
        for requirement in &page.require {
            self.expression("require.that", &requirement.that, &[])?;
        }
        match (&page.http, page.driver) {
            (Some(_), Some(_)) => self.wrong("driver", "a page has a recipe or a driver, not both"),
            (Some(http), None) => {
                self.http(http)?;
                self.recipe(page)
            }
            (None, _) => self.no_recipe(page),
        }
    }

    fn parameters_differ(&self, page: &Page) -> Result<(), PageError> {
        let mut seen = HashSet::new();
        for parameter in &page.param {
            for key in std::iter::once(&parameter.k).chain(&parameter.also) {
                if !seen.insert(key.to_ascii_lowercase()) {
                    return self.wrong("param", format!("{key} is there twice"));
                }
            }
        }
        Ok(())
    }

    fn http(&self, http: &Http) -> Result<(), PageError> {
        self.template("http.base", &http.base, &[])?;
        self.templates("http.header", &http.header, &[])?;
        if let Some(sign) = &http.sign {
            self.templates("http.sign", &sign.with, &[])?;
        }
        let answers = [("ok", &http.ok), ("fails.code", &http.fails.code), ("fails.message", &http.fails.message)];
        answers.into_iter().try_for_each(|(field, source)| self.answered(&format!("http.{field}"), source.as_deref()))
    }

    fn recipe(&self, page: &Page) -> Result<(), PageError> {
        match &page.zone {
            None => return self.wrong("zone", "a recipe has to say how zones are found"),
            Some(zone) if zone.unlisted => {}
            Some(zone) => {
                self.call("zone", zone, &["candidate", "page"])?;
                self.wants("zone.each", zone.each.as_ref())?;
                self.wants("zone.keep.name", zone.keep.get("name"))?;
            }
        }
        match (&page.add, &page.remove, &page.set) {
            (Some(add), Some(remove), None) => {
                self.call("add", add, RECORD)?;
                self.call("remove", remove, &[RECORD, &["record"]].concat())?;
                if add.doubles && page.find.is_none() {
                    return self.wrong("add.doubles", "without [find] nothing can be looked for");
                }
            }
            (None, None, Some(set)) => self.set(set)?,
            _ => return self.wrong("add", "a recipe has [add] and [remove], or [set]"),
        }
        if let Some(find) = &page.find {
            self.call("find", find, &[RECORD, &["page"]].concat())?;
            self.wants("find.each", find.each.as_ref())?;
            self.wants("find.value", find.value.as_ref())?;
        }
        page.commit.as_ref().map_or(Ok(()), |commit| self.call("commit", commit, RECORD))
    }

    fn set(&self, set: &Set) -> Result<(), PageError> {
        self.call("set.read", &set.read, &[RECORD, &["page"]].concat())?;
        self.wants("set.read.each", set.read.each.as_ref())?;
        self.answered("set.entries", Some(&set.entries))?;
        self.answered("set.value", Some(&set.value))?;
        self.answered("set.ttl", Some(&set.ttl))?;
        self.body("set.entry", &set.entry, RECORD)?;
        self.call("set.write", &set.write, &[RECORD, &["entries", "ttl"]].concat())
    }

    fn no_recipe(&self, page: &Page) -> Result<(), PageError> {
        let calls = [&page.zone, &page.add, &page.find, &page.remove, &page.commit];
        if calls.into_iter().any(Option::is_some) || page.set.is_some() || !page.errors.is_empty() {
            return self.wrong("http", "a recipe needs it");
        }
        Ok(())
    }

    fn call(&self, field: &str, call: &Call, known: &[&str]) -> Result<(), PageError> {
        let heeded = EXTRAS.iter().find(|(stage, _)| *stage == field).map_or(&[][..], |(_, extras)| extras);
        if let Some(extra) = call.extras().find(|extra| !heeded.contains(extra)) {
            return self.wrong(field, format!("{extra} has no meaning here"));
        }
        let mut methods = call.methods();
        let (Some((_, path)), None) = (methods.next(), methods.next()) else {
            return self.wrong(field, "exactly one of get, post, put, patch, delete is needed");
        };
        if !path.starts_with('/') {
            return self.wrong(field, format!("the path {path:?} does not begin with /"));
        }
        if call.json.is_some() && call.form.is_some() {
            return self.wrong(field, "a body is json or form, not both");
        }
        self.template(field, path, known)?;
        self.templates(&format!("{field}.query"), &call.query, known)?;
        self.templates(&format!("{field}.header"), &call.header, known)?;
        self.templates(&format!("{field}.where"), &call.only, known)?;
        if let Some(form) = &call.form {
            self.templates(&format!("{field}.form"), form, known)?;
        }
        if let Some(json) = &call.json {
            self.body(&format!("{field}.json"), json, known)?;
        }
        if let Some(when) = &call.when {
            self.expression(&format!("{field}.when"), when, known)?;
        }
        for (part, source) in [("each", &call.each), ("value", &call.value), ("next", &call.next)] {
            self.answered(&format!("{field}.{part}"), source.as_deref())?;
        }
        let elements = call.keep.values().chain(call.only.keys());
        elements.into_iter().try_for_each(|source| self.answered(&format!("{field}.keep"), Some(source)))
    }

    fn body(&self, field: &str, body: &toml::Value, known: &[&str]) -> Result<(), PageError> {
        match body {
            toml::Value::Array(list) => list.iter().try_for_each(|item| self.body(field, item, known)),
            toml::Value::String(source) => self.template(field, source, known),
            toml::Value::Table(table) => {
                table.iter().try_for_each(|(key, value)| self.body(&format!("{field}.{key}"), value, known))
            }
            _ => Ok(()),
        }
    }

    fn templates(&self, field: &str, sources: &BTreeMap<String, String>, known: &[&str]) -> Result<(), PageError> {
        sources.iter().try_for_each(|(key, source)| self.template(&format!("{field}.{key}"), source, known))
    }

    fn template(&self, field: &str, source: &str, known: &[&str]) -> Result<(), PageError> {
        self.variables(field, template::wanted(source), known)
    }

    /// An expression over what certkeep knows.
    fn expression(&self, field: &str, source: &str, known: &[&str]) -> Result<(), PageError> {
        self.variables(field, template::wanted_by_expression(source), known)
    }

    /// An expression over what the vendor answers: its names are the vendor's.
    fn answered(&self, field: &str, source: Option<&str>) -> Result<(), PageError> {
        match source.map(template::wanted_by_expression) {
            Some(Err(error)) => self.wrong(field, error.to_string()),
            _ => Ok(()),
        }
    }

    fn variables(&self, field: &str, wanted: Result<HashSet<String>, minijinja::Error>, known: &[&str]) -> Result<(), PageError> {
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(error) => return self.wrong(field, error.to_string()),
        };
        let there = |name: &str| known.contains(&name) || self.parameters.contains(&name);
        match wanted.iter().find(|name| !there(name)) {
            Some(name) => self.wrong(field, format!("{name} is neither a parameter nor known here")),
            None => Ok(()),
        }
    }

    fn wants<T>(&self, field: &str, value: Option<T>) -> Result<(), PageError> {
        if value.is_some() { Ok(()) } else { self.wrong(field, "is missing") }
    }

    fn wrong(&self, field: &str, problem: impl Into<String>) -> Result<(), PageError> {
        Err(PageError::Field { flag: self.flag.to_owned(), field: field.to_owned(), problem: problem.into() })
    }
}
