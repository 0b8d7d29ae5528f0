//! Every text of the page, by key, in every language.
//!
//! A language is a file of `texts/`: tables of keys, compiled in. What a file lacks is shown in English, and the tests
//! see to it that none lacks anything.
use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::LazyLock;

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// The languages, the first being that of everybody who wants none of the others.
const LANGUAGES: [(&str, &str); 3] =
    [("en", include_str!("texts/en.toml")), ("de", include_str!("texts/de.toml")), ("zh", include_str!("texts/zh.toml"))];

static ALL: LazyLock<Vec<Texts>> = LazyLock::new(|| LANGUAGES.iter().map(|(code, file)| Texts::read(code, file)).collect());
static NONE: LazyLock<Texts> = LazyLock::new(|| Texts { code: "en", by_key: HashMap::new() });

/// The texts of one language.
#[derive(Debug)]
pub(crate) struct Texts {
    /// Its code (BCP 47).
    pub(crate) code: &'static str,
    by_key: HashMap<String, String>,
}

impl Texts {
    fn read(code: &'static str, file: &str) -> Texts {
        let mut by_key = HashMap::new();
        if let Ok(table) = file.parse::<toml::Table>() {
            flatten("", &table, &mut by_key);
        }
        Texts { code, by_key }
    }

    /// English.
    pub(crate) fn english() -> &'static Texts {
        ALL.first().unwrap_or(&NONE)
    }

    /// Those that a browser asks for (RFC 9110 §12.5.4); the order of the header is taken for that of its weights.
    pub(crate) fn wanted(headers: &HeaderMap) -> &'static Texts {
        let header = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let codes = header.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
        let primary = codes.map(|range| range.split('-').next().unwrap_or_default().to_ascii_lowercase());
        primary.filter_map(|code| ALL.iter().find(|texts| texts.code == code)).next().unwrap_or_else(|| Texts::english())
    }

    /// The text of a key; the key itself where there is none, which a test forbids.
    pub(crate) fn t<'a>(&'a self, key: &'a str) -> &'a str {
        self.find(key).unwrap_or(key)
    }

    /// The text of a key that need not be there.
    pub(crate) fn find(&self, key: &str) -> Option<&str> {
        let own = self.by_key.get(key);
        own.or_else(|| Texts::english().by_key.get(key)).map(String::as_str)
    }

    /// The text of a key, `{name}` in it replaced by the value of that name.
    pub(crate) fn fill(&self, key: &str, values: &[(&str, &str)]) -> String {
        let mut rest = self.t(key);
        let mut out = String::with_capacity(rest.len() + 32);
        // What is put in is not looked at again: a value may hold braces.
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((name, behind)) = after.split_once('}') else {
                out.push('{');
                rest = after;
                continue;
            };
            out.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
            rest = behind;
        }
        out.push_str(rest);
        out
    }

    /// The same with one value.
    pub(crate) fn with(&self, key: &str, name: &str, value: &str) -> String {
        self.fill(key, &[(name, value)])
    }

    /// The text for a number: `key.one` for 1, else `key.many`, with `{n}` in it.
    pub(crate) fn count(&self, key: &str, n: impl Borrow<u64>) -> String {
        let n = *n.borrow();
        let form = if n == 1 { "one" } else { "many" };
        self.fill(&format!("{key}.{form}"), &[("n", &n.to_string())])
    }
}

fn flatten(prefix: &str, table: &toml::Table, into: &mut HashMap<String, String>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::String(text) => {
                into.insert(key, text.clone());
            }
            toml::Value::Table(inner) => flatten(&key, inner, into),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use certkeep_core::failure::CATALOGUE;
    use http::HeaderValue;

    use super::*;

    /// All keys but those of the catalogue of failures, which is English in itself.
    fn keys(texts: &Texts) -> BTreeSet<&str> {
        texts.by_key.keys().map(String::as_str).filter(|key| !key.starts_with("failure.")).collect()
    }

    #[test]
    fn every_failure_is_told_in_every_other_language() {
        for texts in ALL.iter().skip(1) {
            let own = texts.by_key.keys().filter(|key| key.starts_with("failure.")).count();
            assert_eq!(own, CATALOGUE.len() * 2, "{}", texts.code);
            for (_, entry) in CATALOGUE {
                for part in ["what", "next"] {
                    assert!(
                        texts.by_key.contains_key(&format!("failure.{}.{part}", entry.name)),
                        "{}: {}",
                        texts.code,
                        entry.name
                    );
                }
            }
        }
    }

    /// The names between braces.
    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn all_languages_have_the_same_keys_with_the_same_places() {
        let english = Texts::english();
        assert!(english.by_key.len() > 100);
        for texts in ALL.iter() {
            let (own, wanted) = (keys(texts), keys(english));
            let (missing, surplus): (Vec<_>, Vec<_>) = (wanted.difference(&own).collect(), own.difference(&wanted).collect());
            assert!(missing.is_empty() && surplus.is_empty(), "{}: missing {missing:?}, surplus {surplus:?}", texts.code);
            for (key, text) in texts.by_key.iter().filter(|(key, _)| !key.starts_with("failure.")) {
                assert!(!text.trim().is_empty(), "{}: {key}", texts.code);
                assert_eq!(places(text), places(&english.by_key[key]), "{}: {key}", texts.code);
            }
        }
    }

    /// Every file below a folder of this crate.
    fn files(folder: &str) -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut found = Vec::new();
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(text) = fs::read_to_string(&path) {
                    found.push(text);
                }
            }
        }
        found
    }

    #[test]
    fn every_key_that_a_page_uses_is_there() {
        let english = Texts::english();
        let mut used = 0;
        for file in files("ui/templates").into_iter().chain(files("src/ui")) {
            for (call, suffixes) in
                [(".t(\"", &[""][..]), (".fill(\"", &[""]), (".with(\"", &[""]), (".count(\"", &[".one", ".many"])]
            {
                for rest in file.split(call).skip(1) {
                    let Some((key, _)) = rest.split_once('"') else { continue };
                    for suffix in suffixes {
                        used += 1;
                        let key = format!("{key}{suffix}");
                        assert!(english.by_key.contains_key(&key), "no text for {key}");
                    }
                }
            }
        }
        assert!(used > 50, "{used}");
    }

    #[test]
    fn the_first_language_that_there_is() {
        for (header, code) in
            [("de-AT,de;q=0.9,en;q=0.8", "de"), ("fr,zh-CN;q=0.9", "zh"), ("fr", "en"), ("", "en"), ("EN-us", "en")]
        {
            let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(header))]);
            assert_eq!(Texts::wanted(&headers).code, code, "{header}");
        }
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        let key = "a";
        let by_key = HashMap::from([(key.to_owned(), "{x} and {y} of {".to_owned())]);
        let texts = Texts { code: "xx", by_key };
        assert_eq!(texts.fill(key, &[("x", "{y}"), ("y", "1")]), "{y} and 1 of {");
    }
}
