//! Expressions and templates of the tables (minijinja): what is missing is nothing, however deep.
use std::collections::BTreeMap;
use std::sync::LazyLock;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, State, UndefinedBehavior, Value};

use super::scope::Scope;
use super::text::{quoted, unquoted};

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_auto_escape_callback(|name| if name == "xml" { AutoEscape::Html } else { AutoEscape::None });
    environment.add_filter("absolute", |name: String| format!("{}.", name.trim_end_matches('.')));
    environment.add_filter("undotted", on_text(|text| text.trim_end_matches('.').to_owned()));
    environment.add_filter("quoted", on_text(quoted));
    environment.add_filter("unquoted", on_text(unquoted));
    environment.add_filter("base64", |text: String| STANDARD.encode(text));
    environment
        .add_filter("unbase64", on_text(|text| String::from_utf8(STANDARD.decode(text).unwrap_or_default()).unwrap_or_default()));
    environment.add_filter("from_json", |text: Value| match text.as_str().map(serde_json::from_str::<serde_json::Value>) {
        Some(Ok(json)) => value(&json),
        _ => Value::UNDEFINED,
    });
    environment.add_filter("after", |text: Value, start: String| {
        match text.as_str().and_then(|text| text.strip_prefix(start.as_str())) {
            Some(rest) => Value::from(rest),
            None => Value::UNDEFINED,
        }
    });
    environment.add_filter("before", |text: Value, end: String| {
        match text.as_str().and_then(|text| text.strip_suffix(end.as_str())) {
            Some(rest) => Value::from(rest),
            None => text,
        }
    });
    environment.add_filter("as_list", |item: Value| match item.kind() {
        minijinja::value::ValueKind::Seq | minijinja::value::ValueKind::Undefined => item,
        _ => Value::from(vec![item]),
    });
    environment.add_filter("owner", owner);
    environment.add_filter("rows", rows);
    environment.add_filter("md5", |text: String| hexadecimal(&Md5::digest(text.as_bytes())));
    environment.add_filter("sha1", |text: String| hashed(&digest::SHA1_FOR_LEGACY_USE_ONLY, &text));
    environment.add_filter("sha256", |text: String| hashed(&digest::SHA256, &text));
    environment.add_filter("sha512", |text: String| hashed(&digest::SHA512, &text));
    environment.add_filter("hmac", |text: String, algorithm: String, key: String| hexadecimal(&mac(&algorithm, &key, &text)));
    environment
        .add_filter("hmac64", |text: String, algorithm: String, key: String| STANDARD.encode(mac(&algorithm, &key, &text)));
    environment
});

fn on_text(change: impl Fn(&str) -> String + Send + Sync + 'static) -> impl Fn(Value) -> Value + Send + Sync + 'static {
    move |given| given.as_str().map(&change).map_or(given, Value::from)
}

/// The account's longest zone that a name is in.
fn owner(state: &State<'_, '_>, name: Value) -> Value {
    let Some(given) = name.as_str() else { return name };
    let given = given.trim_end_matches('.').to_ascii_lowercase();
    let zones = state.lookup("account").unwrap_or_default();
    let zones = zones.try_iter().into_iter().flatten().filter_map(|zone| zone.as_str().map(ToOwned::to_owned));
    let holds = |zone: &String| given == *zone || given.strip_suffix(zone.as_str()).is_some_and(|rest| rest.ends_with('.'));
    let nowhere = || Value::from("nowhere");
    zones.filter(holds).max_by_key(String::len).map_or_else(nowhere, Value::from)
}

/// Fields with numbers at their ends (`name1`, `value1`, `name2` …) as a list of objects without them.
fn rows(fields: Value) -> Value {
    let mut rows: BTreeMap<u64, BTreeMap<String, Value>> = BTreeMap::new();
    for key in fields.try_iter().into_iter().flatten() {
        let Some(name) = key.as_str() else { continue };
        let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if let (false, Ok(number), Ok(field)) = (bare.is_empty(), name[bare.len()..].parse(), fields.get_item(&key)) {
            rows.entry(number).or_default().insert(bare.to_owned(), field);
        }
    }
    Value::from(rows.into_values().map(Value::from).collect::<Vec<_>>())
}

fn hashed(algorithm: &'static digest::Algorithm, text: &str) -> String {
    hexadecimal(digest::digest(algorithm, text.as_bytes()).as_ref())
}

fn mac(algorithm: &str, key: &str, text: &str) -> Vec<u8> {
    let algorithm = match algorithm {
        "sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => hmac::HMAC_SHA256,
        "sha512" => hmac::HMAC_SHA512,
        other => panic!("a table names the unknown algorithm {other}"),
    };
    hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), text.as_bytes()).as_ref().to_vec()
}

/// Octets in hexadecimal digits.
pub(super) fn hexadecimal(octets: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect()
}

/// JSON as a value of expressions.
pub(super) fn value(json: &serde_json::Value) -> Value {
    Value::from(Serde(json))
}

/// What an expression gives; panics where it fails, since that is a fault of the table.
pub(super) fn eval(source: &str, scope: &Scope) -> Value {
    let environment: &Environment<'_> = &ENVIRONMENT;
    let result = environment.compile_expression(source).and_then(|compiled| compiled.eval(scope.value()));
    result.unwrap_or_else(|error| {
        // A value of a type that a filter does not take is the client's doing.
        tracing_line(source, &error);
        Value::UNDEFINED
    })
}

fn tracing_line(source: &str, error: &minijinja::Error) {
    if std::env::var_os("VENDOR_TRACE").is_some() {
        eprintln!("vendor table: {source}: {error}");
    }
}

/// What an expression gives as text; nothing and null are `None`.
pub(super) fn text(source: &str, scope: &Scope) -> Option<String> {
    as_text(&eval(source, scope))
}

/// A value as text; nothing and null are `None`.
pub(super) fn as_text(value: &Value) -> Option<String> {
    (!value.is_undefined() && !value.is_none()).then(|| value.to_string())
}

/// Renders a text; what is put into XML is escaped.
pub(super) fn render(source: &str, scope: &Scope) -> String {
    let name = if source.trim_start().starts_with('<') { "xml" } else { "text" };
    let rendered = ENVIRONMENT.render_named_str(name, source, scope.value());
    rendered.unwrap_or_else(|error| panic!("a table's template cannot be rendered: {error}: {source}"))
}

/// The expression inside a text that is one `{{ … }}` and nothing else.
pub(super) fn lone(source: &str) -> Option<&str> {
    let inner = source.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}") && !inner.contains("{%")).then(|| inner.trim())
}

/// Whether this is an expression.
pub(super) fn check(source: &str) -> Result<(), String> {
    let environment: &Environment<'_> = &ENVIRONMENT;
    environment.compile_expression(source).map(drop).map_err(|error| format!("{error}: {source}"))
}

/// Whether this is a template.
pub(super) fn check_template(source: &str) -> Result<(), String> {
    ENVIRONMENT.template_from_str(source).map(drop).map_err(|error| format!("{error}: {source}"))
}

/// Whether `text` is like `pattern`, in which `*` stands for any run of characters.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|tail| (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| matches(rest, tail)))),
    }
}
