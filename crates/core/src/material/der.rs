//! As much of DER (X.690 §10) as it takes to tell files and keys apart, and to build a container around a key.
//!
//! Certificates are read by x509-parser; this only looks at the outer elements, never recursing by itself.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT`, where ContentInfo, SafeBag and ECPrivateKey keep their second half.
pub(super) const CONTEXT_0: u8 = 0xA0;

/// The contents octets of one element.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

/// Reads elements one after the other.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Reader(input)
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next element of low tag number and definite length; `None` at the end and where the input is damaged.
    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            if octets.is_empty() || octets.len() > 4 {
                return None;
            }
            (octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet)), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Element { tag, content })
    }

    /// The contents of the next element, if it has this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|element| element.tag == tag).map(|element| element.content)
    }

    /// A reader of the next element's contents, if it has this tag.
    pub(super) fn enter(&mut self, tag: u8) -> Option<Reader<'a>> {
        self.expect(tag).map(Reader)
    }

    /// The next element as a number, if it is a non-negative INTEGER that fits.
    pub(super) fn number(&mut self) -> Option<u64> {
        let content = self.expect(INTEGER)?;
        if content.is_empty() || content.len() > 8 || content.first().is_some_and(|octet| octet & 0x80 != 0) {
            return None;
        }
        Some(content.iter().fold(0, |number, &octet| number << 8 | u64::from(octet)))
    }
}

/// One element around these contents.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let octets = length.to_be_bytes();
        let significant = octets.iter().position(|&octet| octet != 0).unwrap_or(0);
        out.push(0x80 | (octets.len() - significant) as u8);
        out.extend(octets.iter().skip(significant));
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_form_lengths() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let written = element(OCTET_STRING, &[&vec![7; length]]);
            let mut reader = Reader::new(&written);
            assert_eq!(reader.expect(OCTET_STRING).map(<[u8]>::len), Some(length));
            assert!(reader.rest().is_empty());
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(input: Vec<u8>) {
            let mut reader = Reader::new(&input);
            while reader.next().is_some() {}
            let _ = Reader::new(&input).number();
        }
    }
}
