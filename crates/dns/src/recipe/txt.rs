//! TXT values in presentation format (RFC 1035 §5.1).
use std::iter::Peekable;
use std::str::Chars;

/// The longest character string, in octets (RFC 1035 §3.3).
const LONGEST: usize = 255;

/// The value in quotes, as several strings where it is long.
pub(crate) fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    let mut octets = 0;
    for c in value.chars() {
        if octets + c.len_utf8() > LONGEST {
            out.push_str("\" \"");
            octets = 0;
        }
        octets += c.len_utf8();
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// The value that a provider's text stands for: some answer it in quotes, some without.
pub(crate) fn unquoted(text: &str) -> String {
    let text = text.trim();
    if !text.starts_with('"') {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut inside = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => inside = !inside,
            '\\' => out.extend(escaped(&mut chars)),
            c if inside => out.push(c),
            // What parts the strings of one value.
            _ => {}
        }
    }
    out
}

/// What follows a backslash: three digits for an octet, or the character itself.
fn escaped(chars: &mut Peekable<Chars<'_>>) -> Option<char> {
    let first = chars.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let mut code = first.to_digit(10)?;
    for _ in 0..2 {
        let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) else { break };
        code = code * 10 + digit;
        chars.next();
    }
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_values_become_several_strings() {
        let long = "x".repeat(300);
        assert_eq!(quoted(&long), format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45)));
        assert_eq!(quoted("a\"b\\c"), r#""a\"b\\c""#);
    }

    #[test]
    fn both_ways_of_answering_are_read() {
        assert_eq!(unquoted("plain"), "plain");
        assert_eq!(unquoted(r#""in quotes""#), "in quotes");
        assert_eq!(unquoted(r#""a\034" "b""#), "a\"b");
    }

    proptest! {
        #[test]
        fn quoting_can_be_undone(value in "\\PC*") {
            prop_assert_eq!(unquoted(&quoted(&value)), value);
        }

        #[test]
        fn any_text_can_be_read(text in ".*") {
            unquoted(&text);
        }
    }
}
