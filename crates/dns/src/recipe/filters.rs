//! What pages can do with values: spelling, encoding, digests, dates, and shapes of answers.
use std::collections::BTreeMap;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use md5::Digest as _;
use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::txt::{quoted, unquoted};
use crate::sign::hexadecimal;

/// Adds every filter that pages know beside minijinja's own.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("absolute", |name: String| format!("{}.", name.trim_end_matches('.')));
    environment.add_filter("quoted", |text: String| quoted(&text));
    environment.add_filter("unquoted", |text: String| unquoted(&text));
    environment.add_filter("xml", |text: String| Value::from_safe_string(xml(&text)));
    environment.add_filter("base64", |text: String| STANDARD.encode(text));
    environment.add_filter("unbase64", unbase64);
    environment.add_filter("base64url", |text: String| URL_SAFE_NO_PAD.encode(text));
    environment.add_filter("json", |value: Value| serde_json::to_string(&value).unwrap_or_default());
    environment.add_filter("parsed", |text: String| {
        let parsed: serde_json::Value = serde_json::from_str(&text).map_err(|_| unfit("this is no JSON"))?;
        Ok::<Value, Error>(Value::from(Serde(parsed)))
    });
    environment.add_filter("md5", |text: String, form: Option<String>| encoded(&md5::Md5::digest(text), form));
    environment.add_filter("sha1", |text: String, form: Option<String>| {
        encoded(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref(), form)
    });
    environment.add_filter("sha256", |text: String, form: Option<String>| {
        encoded(digest::digest(&digest::SHA256, text.as_bytes()).as_ref(), form)
    });
    environment.add_filter("sha512", |text: String, form: Option<String>| {
        encoded(digest::digest(&digest::SHA512, text.as_bytes()).as_ref(), form)
    });
    for (name, algorithm) in [
        ("hmac_sha1", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        ("hmac_sha256", hmac::HMAC_SHA256),
        ("hmac_sha512", hmac::HMAC_SHA512),
    ] {
        environment.add_filter(name, move |text: String, key: String, form: Option<String>| {
            encoded(hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), text.as_bytes()).as_ref(), form)
        });
    }
    environment.add_filter("totp", totp);
    environment.add_filter("date", date);
    environment.add_filter("among", among);
    environment.add_filter("many", many);
    environment.add_filter("values", values);
    environment.add_filter("keyed", |value: Value| {
        let value = serde_json::to_value(value).unwrap_or_default();
        Value::from(Serde(keyed(value)))
    });
    environment.add_filter("pairs", pairs);
    environment.add_filter("host", |url: String| {
        url::Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    });
    environment.add_filter("between", between);
}

/// Refuses a filter that nobody knows, which minijinja would only do when it is used.
pub(super) fn known(environment: &Environment<'_>, source: &str) -> Result<(), Error> {
    for name in named(source) {
        let used = environment.compile_expression(&format!("none|{name}")).and_then(|compiled| compiled.eval(()));
        if let Err(error) = used
            && error.kind() == ErrorKind::UnknownFilter
        {
            return Err(Error::new(ErrorKind::UnknownFilter, format!("there is no filter {name}")));
        }
    }
    Ok(())
}

/// The filters that the tags of a template name.
fn named(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = source;
    while let Some(start) = ["{{", "{%"].iter().filter_map(|tag| rest.find(tag)).min() {
        let mut chars = rest.get(start + 2..).unwrap_or_default().chars();
        // A tag ends where no bracket is open any more.
        let (mut quote, mut open) = (None, 0i32);
        while let Some(c) = chars.next() {
            match quote {
                Some(_) if c == '\\' => drop(chars.next()),
                Some(end) if c == end => quote = None,
                Some(_) => {}
                None => match c {
                    '"' | '\'' => quote = Some(c),
                    '(' | '[' | '{' => open += 1,
                    '}' | '%' if open <= 0 && chars.as_str().starts_with('}') => break,
                    ')' | ']' | '}' => open -= 1,
                    '|' => {
                        let name = chars.as_str().trim_start();
                        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
                        names.extend(name.get(..end).map(str::to_owned));
                    }
                    _ => {}
                },
            }
        }
        rest = chars.as_str();
    }
    names.retain(|name| !name.is_empty());
    names
}

/// A text as it may stand in XML, in an element or an attribute.
pub(super) fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn unfit(problem: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem)
}

fn encoded(octets: &[u8], form: Option<String>) -> Result<String, Error> {
    match form.as_deref() {
        None | Some("hex") => Ok(hexadecimal(octets)),
        Some("base64") => Ok(STANDARD.encode(octets)),
        Some("base64url") => Ok(URL_SAFE_NO_PAD.encode(octets)),
        Some(_) => Err(unfit("a digest is hex, base64 or base64url")),
    }
}

/// The text of octets in base64, which need not be text; undefined where it is none.
fn unbase64(text: Value) -> Value {
    let octets = text.as_str().and_then(|text| STANDARD.decode(text.trim()).ok());
    octets.map_or(Value::UNDEFINED, |octets| Value::from(String::from_utf8_lossy(&octets).into_owned()))
}

/// The one-time password of a secret in base32 (RFC 6238: SHA-1, six digits, half a minute), at an instant in seconds.
fn totp(secret: String, now: i64) -> Result<String, Error> {
    let mut octets = Vec::new();
    let (mut bits, mut held) = (0u32, 0u32);
    for c in secret.chars().filter(|c| !c.is_whitespace() && *c != '=') {
        let c = c.to_ascii_uppercase();
        let digit = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).ok_or_else(|| unfit("the secret is not in base32"))?;
        bits = (bits << 5 | u32::try_from(digit).unwrap_or_default()) & 0xfff;
        held += 5;
        if held >= 8 {
            held -= 8;
            octets.push(u8::try_from(bits >> held & 0xff).unwrap_or_default());
        }
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &octets);
    let tag = hmac::sign(&key, &now.div_euclid(30).to_be_bytes());
    let at = usize::from(tag.as_ref().last().copied().unwrap_or_default() & 0xf);
    let code = tag.as_ref().iter().skip(at).take(4).fold(0u32, |code, octet| code << 8 | u32::from(*octet));
    Ok(format!("{:06}", (code & 0x7fff_ffff) % 1_000_000))
}

/// An instant in seconds in a format of strftime, in UTC or in the zone that is named.
fn date(now: i64, format: String, zone: Option<String>) -> Result<String, Error> {
    let zone = zone.map_or(Ok(TimeZone::UTC), |name| TimeZone::get(&name)).map_err(|_| unfit("there is no such time zone"))?;
    let instant = Timestamp::from_second(now).map_err(|_| unfit("this is no instant"))?;
    jiff::fmt::strtime::format(format, &instant.to_zoned_datetime(zone)).map_err(|_| unfit("this is no format of a date"))
}

/// The smallest of the allowed numbers that is not below this one; the largest where all are.
fn among(number: Option<i64>, allowed: Vec<i64>) -> Option<i64> {
    let above = allowed.iter().copied().filter(|allowed| number.is_none_or(|number| *allowed >= number)).min();
    above.or_else(|| allowed.into_iter().max())
}

/// A list of it: a list as it is, nothing as an empty one, anything else as its only element.
fn many(value: Value) -> Value {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Value::from(Vec::<Value>::new()),
        ValueKind::Seq | ValueKind::Iterable => value,
        ValueKind::String if value.as_str().is_some_and(|text| text.trim().is_empty()) => Value::from(Vec::<Value>::new()),
        _ => Value::from(vec![value]),
    }
}

/// The values of an object as a list; what is none as `many` has it.
fn values(value: Value) -> Result<Value, Error> {
    if value.kind() != ValueKind::Map {
        return Ok(many(value));
    }
    let keys = value.try_iter()?;
    Ok(Value::from(keys.map(|key| value.get_item(&key)).collect::<Result<Vec<Value>, Error>>()?))
}

/// Lists of `key` and `value` as objects, however deep, as SOAP servers write maps.
fn keyed(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    let of_pair = |pair: &Json| Some((pair.get("key")?.as_str()?.to_owned(), pair.get("value").cloned().unwrap_or_default()));
    match value {
        Json::Object(object) if object.len() == 1 && object.contains_key("item") => {
            let items = match object.into_iter().next() {
                Some((_, Json::Array(items))) => items,
                Some((_, item)) => vec![item],
                None => Vec::new(),
            };
            let pairs: Option<Vec<(String, Json)>> = items.iter().map(of_pair).collect();
            match pairs {
                Some(pairs) => Json::Object(pairs.into_iter().map(|(key, value)| (key, keyed(value))).collect()),
                None => Json::Array(items.into_iter().map(keyed).collect()),
            }
        }
        Json::Object(object) => Json::Object(object.into_iter().map(|(key, value)| (key, keyed(value))).collect()),
        Json::Array(list) => Json::Array(list.into_iter().map(keyed).collect()),
        other => other,
    }
}

/// A text of pairs as an object: parted by lines or `between`, key and value by `=` or `inside`.
fn pairs(text: String, between: Option<String>, inside: Option<String>) -> BTreeMap<String, String> {
    let (between, inside) = (between.unwrap_or_else(|| "\n".into()), inside.unwrap_or_else(|| "=".into()));
    let parted = text.split(between.as_str()).filter_map(|pair| pair.split_once(inside.as_str()));
    parted.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

/// What stands between two texts, the first time; undefined where they are not there.
fn between(text: String, left: String, right: String) -> Value {
    let found = text.split_once(left.as_str()).and_then(|(_, rest)| rest.split_once(right.as_str()));
    found.map_or(Value::UNDEFINED, |(inner, _)| Value::from(inner))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::template::{self, Scope};
    use super::*;

    fn shown(expression: &str) -> serde_json::Value {
        template::expression(expression, &Scope::default().with("text", "a b&c").with("now", 1_700_000_000)).unwrap().into()
    }

    #[test]
    fn digests_dates_and_codes() {
        for (expression, expected) in [
            ("''|md5", "d41d8cd98f00b204e9800998ecf8427e"),
            ("'abc'|sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("'abc'|sha256('base64')", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
            // RFC 2202 §3 and RFC 4231 §4.3.
            ("'what do ya want for nothing?'|hmac_sha1('Jefe')", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (
                "'what do ya want for nothing?'|hmac_sha256('Jefe')",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            ("now|date('%Y%m%dT%H%M%SZ')", "20231114T221320Z"),
            ("text|xml", "a b&amp;c"),
            ("'w7w='|unbase64", "ü"),
            ("['YQ==', 'Yg==']|map('unbase64')|join", "ab"),
            ("'?>?>'|base64url", "Pz4_Pg"),
        ] {
            assert_eq!(shown(expression), json!(expected), "{expression}");
        }
        // RFC 6238, appendix B, the last six digits.
        assert_eq!(totp("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".into(), 59).unwrap(), "287082");
        assert_eq!(totp("gezd gnbv gy3t qojq gezd gnbv gy3t qojq".into(), 1_111_111_109).unwrap(), "081804");
        assert!(totp("1".into(), 0).is_err());
    }

    #[test]
    fn shapes() {
        for (expression, expected) in [
            ("61|among([60, 120, 300])", json!(120)),
            ("900|among([60, 300])", json!(300)),
            ("none|many", json!([])),
            ("[missing|unbase64, '?'|unbase64] | map('default', 'none')", json!(["none", "none"])),
            ("'a'|many", json!(["a"])),
            ("{'a': 1, 'b': 2}|values", json!([1, 2])),
            ("('a=1\\nb = 2'|pairs).b", json!("2")),
            ("('x:1,y:2'|pairs(',', ':')).y", json!("2")),
            ("'<id>7</id>'|between('<id>', '</id>')", json!("7")),
            ("('{\"a\": [1]}'|parsed).a[0]", json!(1)),
            ("{'item': [{'key': 'k', 'value': {'item': {'key': 'z', 'value': 'w'}}}]}|keyed", json!({"k": {"z": "w"}})),
        ] {
            assert_eq!(shown(expression), expected, "{expression}");
        }
    }

    #[test]
    fn a_filter_that_nobody_knows_is_told_when_the_page_is_read() {
        assert!(template::wanted("{{ a | base64 | nonsense }}").is_err());
        assert!(template::wanted("{{ a | replace('|nonsense', '') }} | {% if a|length %}x{% endif %}").is_ok());
        assert!(template::wanted_by_expression("a | nonsense(1)").is_err());
        assert!(template::wanted("{{ {'a': {'b': c}} | nonsense }}").is_err());
        assert!(template::wanted("{{ {'a': {'b': c}} | json }} | nonsense {{ d }}").is_ok());
    }
}
