//! TXT contents in the presentation form of RFC 1035 §5.1: quoted strings with escapes.

use hickory_proto::rr::rdata::TXT;

/// Longest character-string on the wire (RFC 1035 §3.3).
const MAX_STRING: usize = 255;

/// Writes the strings of a TXT record as `"one" "two"`.
pub(crate) fn present(txt: &TXT) -> String {
    let strings: Vec<String> = txt.txt_data.iter().map(|part| quote(part)).collect();
    strings.join(" ")
}

/// What the record says when its strings are put together, as applications read it.
pub(crate) fn value(txt: &TXT) -> String {
    String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()
}

/// Reads `"one" "two"`; `None` when a string is not quoted, not closed or longer than 255 bytes.
pub(crate) fn parse(content: &str) -> Option<TXT> {
    let mut strings = Vec::new();
    let mut rest = content.trim().as_bytes();
    while !rest.is_empty() {
        let (string, after) = quoted(rest)?;
        if string.len() > MAX_STRING {
            return None;
        }
        strings.push(string);
        rest = after.trim_ascii_start();
    }
    if strings.is_empty() {
        return None;
    }
    Some(TXT::from_bytes(strings.iter().map(Vec::as_slice).collect()))
}

/// A TXT record that says `value`, cut into as many strings as it needs.
pub(crate) fn from_value(value: &str) -> TXT {
    if value.is_empty() {
        return TXT::from_bytes(vec![b""]);
    }
    TXT::from_bytes(value.as_bytes().chunks(MAX_STRING).collect())
}

fn quote(string: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for &byte in string {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\{byte:03}")),
        }
    }
    quoted.push('"');
    quoted
}

fn quoted(input: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = input.strip_prefix(b"\"")?;
    let mut string = Vec::new();
    loop {
        match rest {
            [b'"', after @ ..] => return Some((string, after)),
            [b'\\', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', after @ ..] => {
                let number = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
                string.push(u8::try_from(number).ok()?);
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                string.push(*escaped);
                rest = after;
            }
            [b'\\'] | [] => return None,
            [byte, after @ ..] => {
                string.push(*byte);
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            strings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=MAX_STRING), 1..4)
        ) {
            let txt = TXT::from_bytes(strings.iter().map(Vec::as_slice).collect());
            prop_assert_eq!(parse(&present(&txt)), Some(txt));
        }

        #[test]
        fn any_content_is_read_or_refused(content in ".*") {
            let _ = parse(&content);
        }
    }

    #[test]
    fn unquoted_and_unclosed_contents_are_refused() {
        for content in ["", "plain", "\"open", "\"a\" b", "\"\\", "\"\\999\""] {
            assert_eq!(parse(content), None, "{content}");
        }
    }
}
