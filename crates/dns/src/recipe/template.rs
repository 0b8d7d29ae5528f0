//! Templates and expressions of a page. They see values only: no file, no other template, and their work is bounded.
use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior, Value, escape_formatter};
use serde::Serialize;

use super::answer::Answer;
use super::filters;
use crate::sign::percent_encoded;

/// The work one template may do; the longest of any page needs a hundredth of it.
const FUEL: u64 = 20_000;

/// The name under which a template is rendered whose values are percent-encoded.
const PATH: &str = "path";

/// The name under which a template is rendered whose values are escaped for XML.
const XML: &str = "xml";

/// What is missing in a template is an error.
static STRICT: LazyLock<Environment<'static>> = LazyLock::new(|| environment(UndefinedBehavior::Strict));

/// What is missing in an answer is undefined, however deep.
static LENIENT: LazyLock<Environment<'static>> = LazyLock::new(|| environment(UndefinedBehavior::Chainable));

fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(undefined);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|name| match name {
        PATH | XML => AutoEscape::Custom(name.to_owned().into()),
        _ => AutoEscape::None,
    });
    environment.set_formatter(formatter);
    filters::add(&mut environment);
    environment
}

fn formatter(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    if value.is_safe() || value.is_undefined() {
        return escape_formatter(out, state, value);
    }
    let AutoEscape::Custom(how) = state.auto_escape() else { return escape_formatter(out, state, value) };
    let value = value.to_string();
    if how == XML {
        out.write_str(&filters::xml(&value)).map_err(minijinja::Error::from)
    } else {
        if matches!(value.as_str(), "." | "..") {
            // A URL's path would be shortened by it, however it is encoded.
            return Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, "a path may not hold dots alone"));
        }
        out.write_str(&percent_encoded(&value)).map_err(minijinja::Error::from)
    }
}

/// What a template or expression can see, by name. It holds secrets and so has no `Debug`.
#[derive(Clone, Default)]
pub(crate) struct Scope(BTreeMap<String, Value>);

impl Scope {
    /// The scope with one thing more.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Scope {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The scope with one thing more.
    pub(crate) fn with_json(self, name: &str, value: &impl Serialize) -> Scope {
        self.with(name, Value::from(Serde(value)))
    }

    /// The scope with one thing under a second name as well.
    pub(crate) fn aliased(self, name: &str, also: &str) -> Scope {
        match self.0.get(name).cloned() {
            Some(value) => self.with(also, value),
            None => self,
        }
    }

    /// Whether there is something of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The scope that an answer or an element opens: its fields by name, the whole as `answer` and `element`, status
    /// and headers as `reply`, and what certkeep knows as `our`.
    pub(crate) fn opened(answer: &Answer, our: &Scope) -> Scope {
        let fields = answer.body.as_object().into_iter().flatten();
        let fields = fields.map(|(key, value)| (key.clone(), Value::from(Serde(value)))).collect();
        Scope(fields)
            .with_json("answer", &answer.body)
            .with_json("element", &answer.body)
            .with_json("reply", answer.reply.as_ref())
            .with("our", our.value())
            .taking(our, "page")
            .taking(our, "seen")
    }

    fn taking(self, other: &Scope, name: &str) -> Scope {
        match other.0.get(name).cloned() {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The texts among the fields of something.
    pub(crate) fn texts_of(&self, name: &str) -> Vec<String> {
        let fields = self.0.get(name).and_then(|value| serde_json::to_value(value).ok());
        let fields = fields.as_ref().and_then(|fields| fields.as_object()).into_iter().flatten();
        fields.filter_map(|(_, value)| value.as_str().map(str::to_owned)).collect()
    }

    /// The zone's name.
    pub(crate) fn zone(&self) -> Option<String> {
        self.0.get("zone")?.get_attr("name").ok()?.as_str().map(str::to_owned)
    }

    fn value(&self) -> Value {
        Value::from(self.0.clone())
    }
}

/// Renders a text.
pub(crate) fn text(source: &str, scope: &Scope) -> Result<String, minijinja::Error> {
    STRICT.render_named_str("text", source, scope.value())
}

/// Renders a path or query; what is put in is percent-encoded.
pub(crate) fn path(source: &str, scope: &Scope) -> Result<String, minijinja::Error> {
    STRICT.render_named_str(PATH, source, scope.value())
}

/// Renders XML; what is put in is escaped.
pub(crate) fn xml(source: &str, scope: &Scope) -> Result<String, minijinja::Error> {
    STRICT.render_named_str(XML, source, scope.value())
}

/// Renders a field of a form or query; one that is a single `{{ … }}` without a value is `None`.
pub(crate) fn field(source: &str, scope: &Scope) -> Result<Option<String>, minijinja::Error> {
    match lone_expression(source) {
        Some(expression) if strictly(expression, scope)?.is_none() => Ok(None),
        _ => text(source, scope).map(Some),
    }
}

/// Renders every text in a body; one that is a single `{{ … }}` keeps the type of its value.
pub(crate) fn json(source: &toml::Value, scope: &Scope) -> Result<serde_json::Value, minijinja::Error> {
    Ok(match source {
        toml::Value::Array(list) => list.iter().map(|item| json(item, scope)).collect::<Result<_, _>>()?,
        toml::Value::Boolean(b) => (*b).into(),
        toml::Value::Datetime(when) => when.to_string().into(),
        toml::Value::Float(x) => (*x).into(),
        toml::Value::Integer(n) => (*n).into(),
        toml::Value::String(source) => match lone_expression(source) {
            Some(expression) => serde_json::to_value(strictly(expression, scope)?).unwrap_or_default(),
            None => text(source, scope)?.into(),
        },
        toml::Value::Table(table) => {
            let mut object = serde_json::Map::new();
            for (key, source) in table {
                let value = json(source, scope)?;
                // TOML has no null: it comes from something that is not there, and then the field is not there either.
                if !value.is_null() {
                    object.insert(key.clone(), value);
                }
            }
            object.into()
        }
    })
}

fn strictly(source: &str, scope: &Scope) -> Result<Value, minijinja::Error> {
    let strict: &Environment<'_> = &STRICT;
    let value = strict.compile_expression(source)?.eval(scope.value())?;
    if value.is_undefined() { Err(minijinja::ErrorKind::UndefinedError.into()) } else { Ok(value) }
}

/// Evaluates an expression; `None` where what it names is not there.
pub(crate) fn expression(source: &str, scope: &Scope) -> Result<Option<serde_json::Value>, minijinja::Error> {
    let lenient: &Environment<'_> = &LENIENT;
    let value = lenient.compile_expression(source)?.eval(scope.value())?;
    if value.is_undefined() || value.is_none() {
        return Ok(None);
    }
    Ok(serde_json::to_value(value).ok())
}

/// Whether an expression is true; what is not there is not.
pub(crate) fn is_true(source: &str, scope: &Scope) -> Result<bool, minijinja::Error> {
    let lenient: &Environment<'_> = &LENIENT;
    Ok(lenient.compile_expression(source)?.eval(scope.value())?.is_true())
}

/// The variables that a template wants, or why it is none.
pub(crate) fn wanted(source: &str) -> Result<HashSet<String>, minijinja::Error> {
    filters::known(&STRICT, source)?;
    Ok(STRICT.template_from_str(source)?.undeclared_variables(false))
}

/// The variables that a template wants, with the fields of theirs that it names: `got.job`.
pub(crate) fn wanted_whole(source: &str) -> Result<HashSet<String>, minijinja::Error> {
    Ok(STRICT.template_from_str(source)?.undeclared_variables(true))
}

/// The variables that an expression wants, or why it is none.
pub(crate) fn wanted_by_expression(source: &str) -> Result<HashSet<String>, minijinja::Error> {
    let lenient: &Environment<'_> = &LENIENT;
    filters::known(lenient, &format!("{{{{ {source} }}}}"))?;
    Ok(lenient.compile_expression(source)?.undeclared_variables(false))
}

/// The expression inside a text that is one `{{ … }}` and nothing else.
fn lone_expression(source: &str) -> Option<&str> {
    let inner = source.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    // Objects in objects end with `}}` as well: what is one expression is told by reading it.
    let plain = !inner.contains("{{") && !inner.contains("}}") && !inner.contains("{%");
    let strict: &Environment<'_> = &STRICT;
    (plain || strict.compile_expression(inner).is_ok()).then_some(inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    fn scope() -> Scope {
        Scope::default().with("name", "a/b?c=ü").with("ttl", 60).with("empty", "")
    }

    #[test]
    fn values_in_a_path_are_percent_encoded_and_the_rest_is_not() {
        assert_eq!(path("/x?name={{ name }}", &scope()).unwrap(), "/x?name=a%2Fb%3Fc%3D%C3%BC");
        assert_eq!(text("/x?name={{ name }}", &scope()).unwrap(), "/x?name=a/b?c=ü");
    }

    #[test]
    fn a_lone_expression_keeps_its_type() {
        let body: toml::Value = toml::from_str("ttl = '{{ ttl }}'\ntext = '{{ ttl }}s'\nlist = [1, true]").unwrap();
        assert_eq!(json(&body, &scope()).unwrap(), value!({"ttl": 60, "text": "60s", "list": [1, true]}));
        for (source, expected) in [
            ("{{ {'a': {'b': ttl}}}}", value!({"a": {"b": 60}})),
            ("{{ {'a': {'b': {'c': ttl}}} }}", value!({"a": {"b": {"c": 60}}})),
            ("{{ '}} {{' }}", value!("}} {{")),
            ("{{ ttl }}-{{ ttl }}", value!("60-60")),
            ("{{ '}}' }}{{ ttl }}", value!("}}60")),
        ] {
            assert_eq!(json(&source.into(), &scope()).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn what_is_missing_is_an_error_in_a_template_and_nothing_in_an_answer() {
        assert!(text("{{ missing }}", &scope()).is_err());
        assert!(json(&toml::Value::from("{{ missing }}"), &scope()).is_err());
        let answer = value!({"result": {"id": 7}, "errors": []});
        let scope = Scope::opened(&Answer::of(answer), &Scope::default().with("page", 1));
        assert_eq!(expression("result.id", &scope).unwrap(), Some(value!(7)));
        assert_eq!(expression("errors[0].code", &scope).unwrap(), None);
        assert!(!is_true("page < info.pages", &scope).unwrap());
    }

    #[test]
    fn work_is_bounded() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(text(endless, &scope()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn an_encoded_value_stays_in_its_segment(text in "\\PC*|[./%\\\\]{0,4}") {
            let rendered = path("/a/{{ name }}/b", &Scope::default().with("name", text.as_str()));
            let Ok(rendered) = rendered else {
                proptest::prop_assert!(matches!(text.as_str(), "." | ".."));
                return Ok(());
            };
            let url = url::Url::parse(&format!("https://host.example{rendered}")).unwrap();
            proptest::prop_assert_eq!(url.path(), format!("/a/{}/b", percent_encoded(&text)));
            proptest::prop_assert!(url.query().is_none() && url.fragment().is_none());
        }
    }
}
