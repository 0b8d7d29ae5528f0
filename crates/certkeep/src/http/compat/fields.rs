//! Members of a JSON body, taken by type. All problems are gathered, so that a client learns of every one at once.
use serde_json::{Map, Value};

use crate::http::envelope::{ErrCode, InvalidParam, Refused};

/// The members of a JSON object, and what was wrong with those taken so far.
///
/// `null` counts as absent; of a member that is given twice the last one counts.
#[derive(Default)]
pub(crate) struct Fields {
    members: Map<String, Value>,
    wrong_type: Vec<InvalidParam>,
    invalid: Vec<InvalidParam>,
    said: Vec<String>,
}

impl Fields {
    /// Reads a body, whatever its `Content-Type` says.
    ///
    /// # Errors
    /// -2 for what is no JSON, with the reason; 40001 for JSON that is no object.
    pub(crate) fn read(body: &[u8]) -> Result<Fields, Refused> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Fields { members, ..Fields::default() }),
            Ok(_) => Err(Refused::syntax(InvalidParam::saying("a JSON object is expected"))),
            // The reader's words name a place and never quote the body.
            Err(error) => Err(Refused::new(ErrCode::InternalServerError).invalid(vec![InvalidParam::saying(error.to_string())])),
        }
    }

    /// Takes a text; an empty one counts as absent.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            _ => self.wrong_type(name, "string"),
        }
    }

    /// Takes an integer; one beyond 64 bits becomes the nearest.
    pub(crate) fn integer(&mut self, name: &str) -> Option<i64> {
        let value = self.take(name)?;
        match value.as_i64().or_else(|| value.as_u64().map(|_| i64::MAX)) {
            Some(integer) => Some(integer),
            None => self.wrong_type(name, "integer"),
        }
    }

    /// Takes a switch, 0 or 1.
    pub(crate) fn switch(&mut self, name: &str) -> Option<bool> {
        match self.integer(name)? {
            0 => Some(false),
            1 => Some(true),
            _ => {
                self.invalid(name, "oneof");
                None
            }
        }
    }

    /// Takes a list.
    pub(crate) fn list(&mut self, name: &str) -> Option<Vec<Value>> {
        match self.take(name)? {
            Value::Array(values) => Some(values),
            _ => self.wrong_type(name, "array"),
        }
    }

    /// Notes a problem with a member's type.
    pub(crate) fn wrong_type<T>(&mut self, name: &str, expected: &'static str) -> Option<T> {
        self.wrong_type.push(InvalidParam::of(name, expected));
        None
    }

    /// Notes a member that cannot be accepted, or that is missing.
    pub(crate) fn invalid(&mut self, name: &str, validation_type: &'static str) {
        self.invalid.push(InvalidParam::of(name, validation_type));
    }

    /// Notes a member that cannot be accepted, and why in a sentence without any secret.
    pub(crate) fn invalid_since(&mut self, name: &str, validation_type: &'static str, why: &str) {
        self.invalid(name, validation_type);
        self.said.push(format!("{name}: {why}"));
    }

    /// `value` if it is there; notes that the member is required otherwise, unless its type was wrong already.
    pub(crate) fn required<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        let known = |rows: &[InvalidParam]| rows.iter().any(|row| row.field.as_deref() == Some(name));
        if value.is_none() && !known(&self.wrong_type) && !known(&self.invalid) {
            self.invalid(name, "required");
        }
        value
    }

    /// Hands over what was made of the members, if nothing was wrong with any.
    ///
    /// # Errors
    /// 40001 with every member of a wrong type, else 40002 with every one that is missing or cannot be accepted.
    pub(crate) fn finish<T>(self, made: Option<T>) -> Result<T, Refused> {
        if !self.wrong_type.is_empty() {
            return Err(Refused::new(ErrCode::ParameterSyntaxError).invalid(self.wrong_type));
        }
        match made {
            Some(made) if self.invalid.is_empty() => Ok(made),
            _ => {
                let refused = Refused::new(ErrCode::ParameterError).invalid(self.invalid);
                Err(if self.said.is_empty() { refused } else { refused.saying(self.said.join("; ")) })
            }
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }
}

impl std::fmt::Debug for Fields {
    /// Names only: any value may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.members.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        Fields::read(json.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_no_json_is_minus_two_and_what_is_no_object_is_40001() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for text in ["", "{", "nonsense", "{\"a\":\"\\ud800\"}", "{} x", "{\"a\":1e999}", &deep] {
            assert_eq!(Fields::read(text.as_bytes()).unwrap_err().code(), ErrCode::InternalServerError, "{text:.20}");
        }
        assert_eq!(Fields::read(b"{\"a\":\"\xff\"}").unwrap_err().code(), ErrCode::InternalServerError);
        for text in ["[]", "\"a\"", "1", "null"] {
            assert_eq!(Fields::read(text.as_bytes()).unwrap_err().code(), ErrCode::ParameterSyntaxError, "{text}");
        }
    }

    #[test]
    fn every_wrong_type_is_named_and_goes_before_what_is_missing() {
        let mut fields = fields(r#"{"a":1,"b":"2","c":null,"d":4.5}"#);
        let (a, b, c, d) = (fields.text("a"), fields.integer("b"), fields.text("c"), fields.integer("d"));
        assert_eq!((a, b, c.clone(), d), (None, None, None, None));
        fields.required("c", c);
        let refused = fields.finish(Some(())).unwrap_err();
        assert_eq!(refused.code(), ErrCode::ParameterSyntaxError);
        let body = String::from_utf8(refused.to_body()).unwrap();
        assert!(body.contains(r#"{"field":"a","validation_type":"string"},{"field":"b","validation_type":"integer"}"#), "{body}");
    }

    #[test]
    fn the_last_of_two_members_counts() {
        assert_eq!(fields(r#"{"a":"x","a":"y"}"#).text("a").as_deref(), Some("y"));
    }

    #[test]
    fn an_integer_beyond_64_bits_becomes_the_nearest() {
        assert_eq!(fields(r#"{"a":18446744073709551615}"#).integer("a"), Some(i64::MAX));
    }
}
