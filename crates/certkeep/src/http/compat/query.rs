//! The query string, read where it stands: no copy is made of what is not encoded.
use std::borrow::Cow;

use crate::http::envelope::{InvalidParam, Refused};

/// A query string; it has no `Debug`, since it holds the token.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Query(text)
    }

    /// The decoded value of a parameter; an empty one counts as absent.
    ///
    /// # Errors
    /// 40001 for a value that cannot be decoded, or for two different values: which of them is meant, nobody knows.
    pub(crate) fn value(self, name: &str) -> Result<Option<Cow<'a, str>>, Refused> {
        let mut found: Option<Cow<'a, str>> = None;
        for (key, value) in self.pairs() {
            if decoded(key).is_none_or(|key| key != name) {
                continue;
            }
            let value = decoded(value).ok_or_else(|| Refused::syntax(InvalidParam::of(name, "encoding")))?;
            if found.as_ref().is_some_and(|first| *first != value) {
                return Err(Refused::syntax(InvalidParam::of(name, "duplicate")));
            }
            found = Some(value);
        }
        Ok(found.filter(|value| !value.is_empty()))
    }

    /// Checks that all of the query can be decoded, parameters that nobody asks for included.
    ///
    /// # Errors
    /// 40001.
    pub(crate) fn check(self) -> Result<(), Refused> {
        let plain = !self.0.bytes().any(|b| b == b'%');
        if plain || self.pairs().all(|(key, value)| decoded(key).is_some() && decoded(value).is_some()) {
            Ok(())
        } else {
            Err(Refused::syntax(InvalidParam::saying("the query is not percent-encoded UTF-8")))
        }
    }

    fn pairs(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }
}

/// Undoes `application/x-www-form-urlencoded`; `None` for broken escapes and for what is no UTF-8.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|b| b == b'%' || b == b'+') {
        return Some(Cow::Borrowed(text));
    }
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => nibble(rest.next()?)? << 4 | nibble(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(octets).ok().map(Cow::Owned)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::envelope::ErrCode;

    #[test]
    fn values_are_decoded_wherever_they_stand() {
        let query = Query::new("a=1&access%5Ftoken=x%2Fy+z&b&c=");
        assert_eq!(query.value("access_token").unwrap().as_deref(), Some("x/y z"));
        assert_eq!(query.value("a").unwrap().as_deref(), Some("1"));
        assert_eq!(query.value("b").unwrap(), None);
        assert_eq!(query.value("c").unwrap(), None);
        assert_eq!(query.value("d").unwrap(), None);
    }

    #[test]
    fn twice_the_same_is_once_and_two_values_are_none() {
        assert_eq!(Query::new("a=1&a=1").value("a").unwrap().as_deref(), Some("1"));
        assert_eq!(Query::new("a=1&a=2").value("a").unwrap_err().code(), ErrCode::ParameterSyntaxError);
    }

    #[test]
    fn broken_escapes_and_broken_utf8_are_refused() {
        for query in ["a=%", "a=%f", "a=%zz", "a=%ff", "%ff=a", "a=%ed%a0%80"] {
            assert!(Query::new(query).check().is_err(), "{query}");
        }
        for query in ["", "&&", "a=%20", "a=ü", "=", "a==b"] {
            assert!(Query::new(query).check().is_ok(), "{query}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*", name in "[a-z_%&=+]{0,12}") {
            let query = Query::new(&text);
            let readable = query.check().is_ok();
            let value = query.value(&name);
            prop_assert!(!readable || value.is_ok() || text.matches('&').count() > 0);
        }

        #[test]
        fn what_was_encoded_comes_back(value in ".{1,40}", other in "[a-z]{0,8}") {
            let encoded: String = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("x", &other).append_pair("key", &value).finish();
            let query = Query::new(&encoded);
            prop_assert!(query.check().is_ok());
            let read = query.value("key").unwrap();
            prop_assert_eq!(read.as_deref(), Some(value.as_str()));
        }
    }
}
