//! What the types of a page cannot say: that its parts fit together and its templates only use what there is.
mod leaving;
mod set;

use std::collections::{BTreeMap, HashSet};

use super::{Body, Call, Http, Page, Tls};
use crate::recipe::template;

/// What every call about a record knows besides the parameters.
const RECORD: &[&str] = &["zone", "name", "owner", "sub", "value", "got"];

/// What every call knows.
const ALWAYS: &[&str] = &["now", "now_ms", "nonce", "uuid"];

/// What headers know besides, since they are made last.
const HEADER: &[&str] = &["request"];

/// Which of a call's further fields have a meaning in which stage.
const EXTRAS: &[(&str, &[&str])] = &[
    ("login", &["when", "keep", "lasts", "first", "then", "assertion"]),
    ("enroll", &["keep"]),
    ("known", &["when", "each", "where", "keep"]),
    ("tell", &["when"]),
    ("zone", &["when", "each", "where", "keep", "next", "cursor", "follow", "unlisted", "soa", "first", "then", "detail"]),
    ("add", &["keep", "doubles", "first", "then"]),
    ("find", &["each", "where", "value", "keep", "next", "cursor", "follow", "first", "detail"]),
    ("remove", &["keep", "first", "then"]),
    ("set.read", &["each", "where", "keep", "next", "cursor", "follow", "first", "detail"]),
    ("set.write", &["keep", "first", "then"]),
    ("set.add", &["keep", "first", "then"]),
    ("set.create", &["keep", "first", "then"]),
    ("set.clear", &["keep", "first", "then"]),
    ("commit", &["when", "keep", "first", "then"]),
    ("wait", &["when", "until", "every", "within", "before"]),
    ("step", &["when", "each", "where", "keep", "until", "every", "within"]),
    ("detail", &["where", "detail"]),
];

/// Everything that is wrong with a page that could be read, as field and problem.
pub(super) fn check(flag: &str, page: &Page) -> Vec<(String, String)> {
    let mut parameters: Vec<&str> = page.param.iter().map(|p| p.k.as_str()).collect();
    parameters.extend_from_slice(ALWAYS);
    let (session, account) = (page.login.is_some(), page.enroll.is_some());
    let mut checker = Checker { flag, parameters, session, account, slots: page.slots.is_some(), wrong: Vec::new() };
    checker.page(page);
    checker.wrong
}

struct Checker<'a> {
    flag: &'a str,
    /// The parameters, and what is always known.
    parameters: Vec<&'a str>,
    session: bool,
    account: bool,
    slots: bool,
    wrong: Vec<(String, String)>,
}

impl Checker<'_> {
    fn page(&mut self, page: &Page) {
        if page.flag != self.flag {
            self.wrong("flag", format!("the file is named after {:?}", self.flag));
        }
        self.parameters_differ(page);
        for requirement in &page.require {
            self.expression("require.that", &requirement.that, &[]);
        }
        match (&page.http, page.driver) {
            (Some(_), Some(_)) => self.wrong("driver", "a page has a recipe or a driver, not both"),
            (Some(http), None) => {
                self.http(http, page.login.as_ref());
                self.recipe(page);
            }
            (None, _) => self.no_recipe(page),
        }
    }

    fn parameters_differ(&mut self, page: &Page) {
        let mut seen = HashSet::new();
        for parameter in &page.param {
            for key in std::iter::once(&parameter.k).chain(&parameter.also) {
                if !seen.insert(key.to_ascii_lowercase()) {
                    self.wrong("param", format!("{key} is there twice"));
                }
            }
        }
    }

    fn http(&mut self, http: &Http, login: Option<&Call>) {
        let session: &[&str] = if self.session { &["session"] } else { &[] };
        self.template("http.base", &http.base, session);
        let told = template::wanted(&http.base).is_ok_and(|wanted| wanted.contains("session"));
        if told && login.is_some_and(|login| login.base.is_none()) {
            self.wrong("http.base", "the session can tell it only where [login] has a base of its own");
        }
        self.tls(&http.tls);
        for host in &http.hosts {
            self.template("http.hosts", host, &[]);
        }
        self.templates("http.header", &http.header, &[session, HEADER].concat());
        self.templates("http.query", &http.query, session);
        self.templates("http.form", &http.form, session);
        for (key, value) in &http.json {
            self.body(&format!("http.json.{key}"), value, session);
        }
        if !http.form.is_empty() && !http.json.is_empty() {
            self.wrong("http.form", "a body is json or form, not both");
        }
        if let Some(sign) = &http.sign {
            self.key("http.sign", sign.by.parameters(), &sign.with, session);
        }
        if http.answer == Body::Html && http.ok.is_none() {
            self.wrong("http.ok", "is missing: of a web page it has to be told whose it is");
        }
        if !(0.0..=60.0).contains(&http.delay) {
            self.wrong("http.delay", "is a number of seconds up to 60");
        }
        if http.limit.is_some_and(|limit| limit.calls == 0 || !(1.0..=86_400.0).contains(&limit.within)) {
            self.wrong("http.limit", "is a number of calls, within seconds from 1 to 86400");
        }
        let fails = &http.fails;
        for (field, source) in [
            ("ok", &http.ok),
            ("pause", &http.pause),
            ("fails.when", &fails.when),
            ("fails.code", &fails.code),
            ("fails.message", &fails.message),
        ] {
            self.answered(&format!("http.{field}"), source.as_deref());
        }
    }

    fn tls(&mut self, tls: &Tls) {
        for (field, source) in [("cert", &tls.cert), ("key", &tls.key), ("roots", &tls.roots)] {
            if let Some(source) = source {
                self.template(&format!("http.tls.{field}"), source, &[]);
            }
        }
        if tls.cert.is_some() != tls.key.is_some() {
            self.wrong("http.tls", "a certificate needs its key, and a key its certificate");
        }
        if let Some(source) = &tls.danger_unverified {
            self.expression("http.tls.danger_unverified", source, &[]);
        }
    }

    fn recipe(&mut self, page: &Page) {
        if let Some(login) = &page.login {
            self.call("login", "login", login, &["got", "session", "assertion"]);
        }
        self.enroll(page);
        match &page.zone {
            None => self.wrong("zone", "a recipe has to say how zones are found"),
            Some(zone) if zone.unlisted => {
                if zone.methods().next().is_some() {
                    self.wrong("zone", "unlisted stands instead of a call");
                }
                if let Some(when) = &zone.when {
                    self.expression("zone.when", when, &["name"]);
                }
                self.steps("zone.then", &zone.then, &["zone", "got"]);
            }
            Some(zone) if zone.soa && zone.methods().next().is_none() => {
                for extra in zone.extras().filter(|extra| !matches!(*extra, "soa" | "then")) {
                    self.wrong("zone", format!("{extra} has no meaning without a call"));
                }
                self.steps("zone.then", &zone.then, &["zone", "got"]);
            }
            Some(zone) => {
                self.call("zone", "zone", zone, &["candidate", "name", "page", "cursor", "got", "element", "zone"]);
                if zone.when.is_some() {
                    self.wrong("zone.when", "stands beside unlisted only");
                }
                self.wants("zone.each", zone.each.as_ref());
                self.wants("zone.keep.name", zone.keep.get("name"));
            }
        }
        match (&page.add, &page.remove, &page.set) {
            (Some(add), Some(remove), None) => {
                self.call("add", "add", add, RECORD);
                self.call("remove", "remove", remove, &[RECORD, &["record"]].concat());
                if add.doubles && page.find.is_none() {
                    self.wrong("add.doubles", "without [find] nothing can be looked for");
                }
            }
            (Some(add), None, None) if page.leaves.as_deref().is_some_and(leaving::the_value) => {
                self.call("add", "add", add, RECORD);
            }
            (None, None, Some(set)) => self.set(set),
            _ => self.wrong("add", "a recipe has [add] and [remove], or [set]"),
        }
        self.leaves(page);
        self.slots(page);
        if let Some(find) = &page.find {
            self.call("find", "find", find, &[RECORD, &["page", "cursor", "element"]].concat());
            self.wants("find.each", find.each.as_ref());
            self.wants("find.value", find.value.as_ref());
        }
        if let Some(commit) = &page.commit {
            self.call("commit", "commit", commit, RECORD);
        }
        if let Some(wait) = &page.wait {
            self.call("wait", "wait", wait, RECORD);
            self.wants("wait.until", wait.until.as_ref());
            let uses_got = |source: &str| template::wanted(source).is_ok_and(|wanted| wanted.contains("got"));
            if wait.before && wait.sources().into_iter().any(uses_got) {
                self.wrong("wait.before", "the call may not use got: what the change kept is not known by then");
            }
        }
    }

    fn no_recipe(&mut self, page: &Page) {
        let calls = [&page.login, &page.zone, &page.add, &page.find, &page.remove, &page.commit, &page.wait];
        if calls.into_iter().any(Option::is_some) || page.set.is_some() || !page.errors.is_empty() {
            self.wrong("http", "a recipe needs it");
        }
    }

    fn steps(&mut self, field: &str, steps: &[Call], known: &[&str]) {
        for (at, step) in steps.iter().enumerate() {
            self.call("step", &format!("{field}.{at}"), step, known);
        }
    }

    fn call(&mut self, stage: &str, field: &str, call: &Call, known: &[&str]) {
        let heeded = EXTRAS.iter().find(|(name, _)| *name == stage).map_or(&[][..], |(_, extras)| extras);
        for extra in call.extras().filter(|extra| !heeded.contains(extra)) {
            self.wrong(field, format!("{extra} has no meaning here"));
        }
        let mut known = known.to_vec();
        if self.session && stage != "login" {
            known.push("session");
        }
        if self.account && !matches!(stage, "login" | "enroll" | "known" | "zone") {
            known.push("account");
        }
        if self.slots && matches!(stage, "add" | "remove") {
            known.push("slot");
        }
        self.request(field, call, &known);
        if let Some(when) = &call.when {
            // A login is made or not for an account, whatever it is for.
            let known = if stage == "login" { &[][..] } else { &known };
            self.expression(&format!("{field}.when"), when, known);
        }
        self.templates(&format!("{field}.where"), &call.only, &known);
        for (part, source) in [
            ("ok", &call.ok),
            ("each", &call.each),
            ("value", &call.value),
            ("next", &call.next),
            ("cursor", &call.cursor),
            ("follow", &call.follow),
            ("until", &call.until),
            ("lasts", &call.lasts),
        ] {
            self.answered(&format!("{field}.{part}"), source.as_deref());
        }
        for (key, source) in &call.keep {
            self.answered(&format!("{field}.keep.{key}"), Some(source));
        }
        for source in call.only.keys() {
            self.answered(&format!("{field}.where"), Some(source));
        }
        for (part, seconds) in [("every", call.every), ("within", call.within)] {
            if seconds.is_some_and(|seconds| !(0.0..=600.0).contains(&seconds)) {
                self.wrong(&format!("{field}.{part}"), "is a number of seconds up to 600");
            }
        }
        if call.answer == Some(Body::Html) && call.ok.is_none() {
            self.wrong(&format!("{field}.ok"), "is missing: of a web page it has to be told whose it is");
        }
        self.steps(&format!("{field}.first"), &call.first, &known);
        self.steps(&format!("{field}.then"), &call.then, &known);
        if let Some(detail) = &call.detail {
            self.call("detail", &format!("{field}.detail"), detail, &known);
        }
    }

    /// What a key is made of: all that is needed, and nothing that the signer does not know.
    fn key(
        &mut self,
        field: &str,
        (needed, possible): (&'static [&'static str], &'static [&'static str]),
        with: &BTreeMap<String, String>,
        known: &[&str],
    ) {
        for name in needed.iter().filter(|name| !with.contains_key(**name)) {
            self.wrong(&format!("{field}.{name}"), "is missing");
        }
        for name in with.keys().filter(|name| !needed.contains(&name.as_str()) && !possible.contains(&name.as_str())) {
            self.wrong(&format!("{field}.{name}"), "the signer does not know it");
        }
        self.templates(field, with, known);
    }

    /// Method, path, headers and body of a call.
    fn request(&mut self, field: &str, call: &Call, known: &[&str]) {
        let mut methods = call.methods();
        let (Some((_, path)), None) = (methods.next(), methods.next()) else {
            return self.wrong(field, "exactly one of get, post, put, patch, delete is needed");
        };
        // What follows the base has to stay a path; a base may be the whole address.
        if !(path.is_empty() || path.starts_with('/') || path.starts_with('?')) {
            self.wrong(field, format!("the path {path:?} does not begin with /"));
        }
        if call.bodies().count() > 1 {
            self.wrong(field, "a body is one of json, form, xml, xmlrpc, text");
        }
        self.template(field, path, known);
        for (part, source) in [("base", &call.base), ("xml", &call.xml), ("text", &call.text)] {
            if let Some(source) = source {
                self.template(&format!("{field}.{part}"), source, known);
            }
        }
        self.templates(&format!("{field}.query"), &call.query, known);
        self.templates(&format!("{field}.header"), &call.header, &[known, HEADER].concat());
        if let Some(form) = &call.form {
            self.templates(&format!("{field}.form"), form, known);
        }
        if let Some(json) = &call.json {
            self.body(&format!("{field}.json"), json, known);
        }
        if let Some(sign) = &call.sign {
            self.key(&format!("{field}.sign"), sign.by.parameters(), &sign.with, known);
        }
        if let Some(assertion) = &call.assertion {
            self.key(&format!("{field}.assertion"), assertion.by.parameters(), &assertion.with, &[]);
        }
        for param in call.xmlrpc.iter().flat_map(|rpc| &rpc.params) {
            self.body(&format!("{field}.xmlrpc"), param, known);
        }
    }

    fn body(&mut self, field: &str, body: &toml::Value, known: &[&str]) {
        match body {
            toml::Value::Array(list) => list.iter().for_each(|item| self.body(field, item, known)),
            toml::Value::String(source) => self.template(field, source, known),
            toml::Value::Table(table) => {
                table.iter().for_each(|(key, value)| self.body(&format!("{field}.{key}"), value, known));
            }
            _ => {}
        }
    }

    fn templates(&mut self, field: &str, sources: &BTreeMap<String, String>, known: &[&str]) {
        for (key, source) in sources {
            self.template(&format!("{field}.{key}"), source, known);
        }
    }

    fn template(&mut self, field: &str, source: &str, known: &[&str]) {
        self.variables(field, template::wanted(source), known);
    }

    /// An expression over what certkeep knows.
    fn expression(&mut self, field: &str, source: &str, known: &[&str]) {
        self.variables(field, template::wanted_by_expression(source), known);
    }

    /// An expression over what the vendor answers: its names are the vendor's.
    fn answered(&mut self, field: &str, source: Option<&str>) {
        if let Some(Err(error)) = source.map(template::wanted_by_expression) {
            self.wrong(field, error.to_string());
        }
    }

    fn variables(&mut self, field: &str, wanted: Result<HashSet<String>, minijinja::Error>, known: &[&str]) {
        match wanted {
            Err(error) => self.wrong(field, error.to_string()),
            Ok(wanted) => {
                let there = |name: &str| known.contains(&name) || self.parameters.contains(&name);
                let mut strangers: Vec<String> = wanted.into_iter().filter(|name| !there(name)).collect();
                strangers.sort_unstable();
                for name in strangers {
                    self.wrong(field, format!("{name} is neither a parameter nor known here"));
                }
            }
        }
    }

    fn wants<T>(&mut self, field: &str, value: Option<T>) {
        if value.is_none() {
            self.wrong(field, "is missing");
        }
    }

    fn wrong(&mut self, field: &str, problem: impl Into<String>) {
        self.wrong.push((field.to_owned(), problem.into()));
    }
}
