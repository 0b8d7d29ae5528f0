//! Tables are read from the folder `vendors` of this crate, and checked whole.
use std::path::{Path, PathBuf};

use super::{Auth, Reply, Route, Table};
use crate::vendor::expression;

impl Table {
    /// Reads a table.
    ///
    /// # Errors
    /// What is wrong, in words, with the table's flag.
    pub fn parse(text: &str) -> Result<Table, String> {
        let table: Table = toml::from_str(text).map_err(|error| error.to_string())?;
        table.check().map_err(|problem| format!("{}: {problem}", table.flag))?;
        Ok(table)
    }

    /// The table of a flag.
    ///
    /// # Errors
    /// What is wrong, in words; that there is none, too.
    pub fn of(flag: &str) -> Result<Table, String> {
        let path = folder().join(format!("{flag}.toml"));
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{flag}: no table of this vendor: {error}"))?;
        let table = Table::parse(&text).map_err(|problem| format!("{flag}: {problem}"))?;
        if table.flag == flag { Ok(table) } else { Err(format!("{flag}: the table says it is {}", table.flag)) }
    }

    /// The flags that have a table, sorted.
    pub fn flags() -> Vec<String> {
        let files = std::fs::read_dir(folder()).expect("the folder of the tables is part of the crate");
        let mut flags: Vec<String> =
            files.filter_map(|file| file.ok()?.file_name().to_str()?.strip_suffix(".toml").map(ToOwned::to_owned)).collect();
        flags.sort_unstable();
        flags
    }

    /// Whether this is one of the vendor's hosts.
    pub(in crate::vendor) fn serves(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| expression::matches(pattern, host))
    }

    fn check(&self) -> Result<(), String> {
        if self.hosts.is_empty() || self.source.trim().is_empty() {
            return Err("hosts and source have to be told".to_owned());
        }
        for reply in self.refuse.values() {
            check_reply(reply)?;
        }
        for source in self.lets.values() {
            expression::check(source)?;
        }
        check_auth(&self.auth)?;
        for route in &self.routes {
            let path = route.paths().next().ok_or("a route needs a method with its path")?.1.to_owned();
            route.check().map_err(|problem| format!("route {path}: {problem}"))?;
        }
        Ok(())
    }
}

impl Route {
    fn check(&self) -> Result<(), String> {
        let optional = [
            &self.when,
            &self.zone,
            &self.name,
            &self.rtype,
            &self.value,
            &self.values,
            &self.ttl,
            &self.id,
            &self.set,
            &self.new_name,
            &self.etag,
            &self.filter,
            &self.like,
            &self.over,
            &self.closes,
            &self.active,
        ];
        for source in optional.into_iter().flatten().chain(self.must.values()) {
            expression::check(source)?;
        }
        if let Some(paging) = &self.paging {
            for source in [&paging.page, &paging.offset, &paging.after, &paging.size].into_iter().flatten() {
                expression::check(source)?;
            }
        }
        if let Some(auth) = &self.auth {
            check_auth(auth)?;
        }
        for reply in self.refuse.values().chain([&self.reply]) {
            check_reply(reply)?;
        }
        self.steps.iter().try_for_each(Route::check)
    }
}

fn check_auth(auth: &Auth) -> Result<(), String> {
    for source in [&auth.that, &auth.session].into_iter().flatten() {
        expression::check(source)?;
    }
    auth.either.iter().try_for_each(check_auth)
}

fn check_reply(reply: &Reply) -> Result<(), String> {
    for shape in [&reply.json, &reply.xmlrpc].into_iter().flatten() {
        check_shape(&shape.0)?;
    }
    reply.text.iter().chain(reply.header.values()).try_for_each(|text| expression::check_template(text))
}

fn check_shape(shape: &serde_json::Value) -> Result<(), String> {
    match shape {
        serde_json::Value::String(text) => expression::check_template(text),
        serde_json::Value::Array(list) => list.iter().try_for_each(check_shape),
        serde_json::Value::Object(fields) => fields.values().try_for_each(check_shape),
        _ => Ok(()),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vendors")
}
