//! A request as the tables read it.
use std::collections::BTreeMap;

use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Method, Uri};
use minijinja::Value;
use serde_json::{Map, json};
use url::form_urlencoded;

use super::expression::{self, value};
use super::scope::Scope;
use super::xml;

/// A request that came, its body whole.
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Incoming {
    /// A header as text; several of one name are put together (RFC 9110 §5.3).
    pub(super) fn header(&self, name: &str) -> Option<String> {
        if name == "host" {
            return Some(self.host.clone());
        }
        let values: Vec<&str> = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The query as it came.
    pub(super) fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }

    /// The fields of the query, decoded, in their order.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.query().as_bytes()).into_owned().collect()
    }

    /// Path and query.
    pub(super) fn target(&self) -> String {
        self.uri.path_and_query().map_or_else(String::new, ToString::to_string)
    }

    /// What expressions know of the request.
    pub(super) fn scope(&self) -> Scope {
        let content_type = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let query = fields(self.pairs());
        let form = if content_type.starts_with("application/x-www-form-urlencoded") {
            fields(form_urlencoded::parse(&self.body).into_owned().collect())
        } else {
            multipart(&content_type, &text)
        };
        let mut param = query.clone();
        param.extend(form.clone());
        let body = match serde_json::from_slice::<serde_json::Value>(&self.body) {
            Ok(json) => Some(json),
            Err(_) if text.trim_start().starts_with('<') => xml::read(&text),
            Err(_) => None,
        };
        let header: Map<String, serde_json::Value> =
            self.headers.keys().filter_map(|name| Some((name.to_string(), self.header(name.as_str())?.into()))).collect();
        let cookies = self.header("cookie").unwrap_or_default();
        let cookie = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        let cookie: BTreeMap<String, Value> = cookie.map(|(name, text)| (name.to_owned(), Value::from(text))).collect();
        let mut scope = Scope::from([
            ("method", Value::from(self.method.as_str())),
            ("host", Value::from(self.host.as_str())),
            ("target", Value::from(self.target())),
            ("query", value(&query.into())),
            ("form", value(&form.into())),
            ("param", value(&param.into())),
            ("header", value(&header.into())),
            ("cookie", Value::from(cookie)),
            ("text", Value::from(text.as_str())),
            ("body", body.as_ref().map_or(Value::UNDEFINED, value)),
        ]);
        if let Some(call) = text.contains("<methodCall").then(|| xml::read_call(&text)).flatten() {
            scope.insert("rpc", value(&call));
        }
        scope
    }
}

/// Fields by name; those of one name, and those whose names end with `[]`, are a list.
fn fields(pairs: Vec<(String, String)>) -> Map<String, serde_json::Value> {
    let mut fields = Map::new();
    for (name, text) in pairs {
        match fields.get_mut(&name) {
            None if name.ends_with("[]") => drop(fields.insert(name, json!([text]))),
            None => drop(fields.insert(name, text.into())),
            Some(serde_json::Value::Array(list)) => list.push(text.into()),
            Some(one) => *one = json!([one.take(), text]),
        }
    }
    fields
}

/// The text fields of a multipart form (RFC 7578).
fn multipart(content_type: &str, text: &str) -> Map<String, serde_json::Value> {
    let Some(("multipart/form-data", boundary)) = content_type.split_once("; boundary=") else { return Map::new() };
    let delimiter = format!("--{}", boundary.trim_matches('"'));
    let part = |part: &str| {
        let (head, body) = part.split_once("\r\n\r\n")?;
        let name = head.split_once("name=\"")?.1.split('"').next()?;
        Some((name.to_owned(), body.strip_suffix("\r\n")?.to_owned()))
    };
    fields(text.split(delimiter.as_str()).filter_map(part).collect())
}

/// What a path gives for a pattern's `{names}`, each part decoded; `None` if it is not like the pattern. A name with a
/// star takes the rest of the path.
pub(super) fn path_matches(pattern: &str, path: &str) -> Option<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    let mut parts = path.split('/');
    let mut patterns = pattern.split('/');
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return Some(found),
            (Some(pattern), Some(part)) => {
                if let Some(name) = pattern.strip_prefix('{').and_then(|name| name.strip_suffix("*}")) {
                    let rest: Vec<&str> = std::iter::once(part).chain(parts).collect();
                    found.insert(name.to_owned(), Value::from(decoded(&rest.join("/"))));
                    return Some(found);
                }
                segment(pattern, &decoded(part), &mut found)?;
            }
            _ => return None,
        }
    }
}

fn segment(pattern: &str, part: &str, found: &mut BTreeMap<String, Value>) -> Option<()> {
    let Some((start, rest)) = pattern.split_once('{') else { return (pattern == part).then_some(()) };
    let (name, end) = rest.split_once('}')?;
    let part = part.strip_prefix(start)?;
    let (literal, _) = end.split_once('{').unwrap_or((end, ""));
    let at = if literal.is_empty() { part.len() } else { part.rfind(literal)? };
    let (text, tail) = part.split_at(at);
    if text.is_empty() {
        return None;
    }
    found.insert(name.to_owned(), Value::from(text));
    segment(end, tail, found)
}

/// The names that a table's `let` adds.
pub(super) fn with_lets(mut scope: Scope, lets: &BTreeMap<String, String>) -> Scope {
    for (name, source) in lets {
        let value = expression::eval(source, &scope);
        scope.insert(name.as_str(), value);
    }
    scope
}

/// Percent-decoding of a part of a path. In forms a plus is a blank; in paths it is itself.
fn decoded(text: &str) -> String {
    let form = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(form.as_bytes()).next().map_or_else(String::new, |(key, _)| key.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_parts_of_paths_and_slashes_count() {
        let found = |pattern: &str, path: &str| path_matches(pattern, path).map(|found| Value::from(found).to_string());
        assert_eq!(found("/z/{zone}", "/z/a%2Fb+c").as_deref(), Some("{'zone': 'a/b+c'}"));
        assert_eq!(found("/z/{zone}.json", "/z/a.b.json").as_deref(), Some("{'zone': 'a.b'}"));
        assert_eq!(found("/z/{rest*}", "/z/a/b").as_deref(), Some("{'rest': 'a/b'}"));
        for (pattern, path) in [("/z/{zone}", "/z/"), ("/z", "/z/"), ("/z/{zone}", "/z/a/b"), ("/z/{zone}.json", "/z/a")] {
            assert_eq!(found(pattern, path), None, "{pattern} {path}");
        }
    }
}
