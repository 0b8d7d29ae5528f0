//! Answers, made from a reply's template and what the operation found.
use minijinja::Value;
use serde_json::{Map, json};

use super::expression;
use super::scope::Scope;
use super::table::Reply;
use super::xml;

/// An answer as it goes out.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) content_type: Option<String>,
}

/// Fills a reply in.
pub(super) fn answer(reply: &Reply, scope: &Scope) -> Answer {
    let (body, content_type) = if let Some(shape) = &reply.json {
        (fill(&shape.0, scope).unwrap_or_default().to_string(), Some("application/json"))
    } else if let Some(shape) = &reply.xmlrpc {
        (xml::write_answer(&fill(&shape.0, scope).unwrap_or_default()), Some("text/xml"))
    } else if let Some(text) = &reply.text {
        let kind = if text.trim_start().starts_with('<') { "text/xml" } else { "text/plain" };
        (expression::render(text, scope), Some(kind))
    } else {
        (String::new(), None)
    };
    Answer {
        status: reply.status.unwrap_or(200),
        headers: reply.header.iter().map(|(name, value)| (name.clone(), expression::render(value, scope))).collect(),
        body,
        content_type: reply.content_type.clone().or(content_type.map(ToOwned::to_owned)),
    }
}

/// A JSON template filled in; `None` where a lone expression gives nothing.
fn fill(shape: &serde_json::Value, scope: &Scope) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    Some(match shape {
        Json::String(source) => match expression::lone(source) {
            Some(source) => {
                let value = expression::eval(source, scope);
                if value.is_undefined() {
                    return None;
                }
                serde_json::to_value(value).unwrap_or_default()
            }
            None if source.contains("{{") || source.contains("{%") => expression::render(source, scope).into(),
            None => source.as_str().into(),
        },
        Json::Array(list) => match each(list.first(), scope) {
            Some((name, items)) => {
                let shape = list.get(1).unwrap_or(&Json::Null);
                items.into_iter().map(|item| fill(shape, &with(scope, &name, item)).unwrap_or_default()).collect()
            }
            None => list.iter().map(|item| fill(item, scope).unwrap_or_default()).collect(),
        },
        Json::Object(fields) => object(fields, scope),
        other => other.clone(),
    })
}

/// An object; a key that ends with `?` is left out where its value is null or nothing, and one that begins with
/// `$each` stands for as many as there are items.
fn object(fields: &Map<String, serde_json::Value>, scope: &Scope) -> serde_json::Value {
    let mut out = Map::new();
    for (key, shape) in fields {
        if let Some((name, items)) = each(Some(&json!(key)), scope) {
            let inner = shape.as_object().expect("what stands beside $each in an object is an object");
            for item in items {
                let scope = with(scope, &name, item);
                for (key, shape) in inner {
                    out.insert(expression::render(key, &scope), fill(shape, &scope).unwrap_or_default());
                }
            }
            continue;
        }
        let filled = fill(shape, scope);
        match key.strip_suffix('?') {
            Some(key) => {
                if let Some(value) = filled.filter(|value| !value.is_null()) {
                    out.insert(key.to_owned(), value);
                }
            }
            None => drop(out.insert(key.clone(), filled.unwrap_or_default())),
        }
    }
    out.into()
}

/// The items that `$each LIST` or `$each LIST as NAME` goes over.
fn each(first: Option<&serde_json::Value>, scope: &Scope) -> Option<(String, Vec<Value>)> {
    let source = first?.as_str()?.strip_prefix("$each ")?;
    let (source, name) = source.split_once(" as ").unwrap_or_else(|| {
        let name = match source.trim() {
            "zones" => "z",
            "sets" => "s",
            text if text == "records" || text.ends_with(".records") => "r",
            _ => "it",
        };
        (source, name)
    });
    let list = expression::eval(source.trim(), scope);
    Some((name.trim().to_owned(), list.try_iter().map(Iterator::collect).unwrap_or_default()))
}

fn with(scope: &Scope, name: &str, value: Value) -> Scope {
    let mut scope = scope.clone();
    scope.insert(name, value);
    scope
}
