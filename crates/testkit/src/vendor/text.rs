//! TXT values as zone files write them.

/// A text in presentation format: strings of at most 255 octets, in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    let mut length = 0;
    for c in text.chars() {
        if length + c.len_utf8() > 255 {
            out.push_str("\" \"");
            length = 0;
        }
        length += c.len_utf8();
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// The text of a value in presentation format; what does not begin with a quote is text already.
pub(super) fn unquoted(text: &str) -> String {
    if !text.starts_with('"') {
        return text.to_owned();
    }
    let (mut out, mut within, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            _ if escaped => {
                out.push(c);
                escaped = false;
            }
            '\\' if within => escaped = true,
            '"' => within = !within,
            _ if within => out.push(c),
            _ => (),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_come_and_go() {
        for text in ["", "a \"b\" \\c; d", "x".repeat(600).as_str()] {
            assert_eq!(unquoted(&quoted(text)), text);
        }
        assert_eq!(unquoted("plain"), "plain");
        assert_eq!(unquoted("\"a\" \"b\""), "ab");
    }
}
