//! Textual encodings of certificates and keys (RFC 7468, and RFC 1421 headers where old tools write them).
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::Refusal;

/// Tools differ in padding; what is encoded is checked by whoever reads the DER.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);
const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One encapsulated block, not decoded yet.
pub(super) struct Block<'a> {
    /// What stands behind BEGIN and END.
    pub(super) label: &'a [u8],
    body: &'a [u8],
}

/// The blocks of a text, in order.
///
/// Text before and between blocks is explanatory (RFC 7468 §2) and skipped. Everything but white space behind the last
/// END line is [`Refusal::TrailingGarbage`], an unfinished block included; a BEGIN that is followed by anything else
/// than its own END is [`Refusal::Unreadable`].
pub(super) fn blocks(text: &[u8]) -> Result<Vec<Block<'_>>, Refusal> {
    let mut rest = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut blocks = Vec::new();
    while let Some((_, after)) = split(rest, BEGIN) {
        let unfinished = if blocks.is_empty() { Refusal::Unreadable } else { Refusal::TrailingGarbage };
        let (label, after) = split(after, DASHES).ok_or_else(|| unfinished.clone())?;
        let (body, after) = split(after, DASHES).ok_or(unfinished)?;
        rest = after
            .strip_prefix(b"END ")
            .and_then(|after| after.strip_prefix(label))
            .and_then(|after| after.strip_prefix(DASHES))
            .ok_or(Refusal::Unreadable)?;
        blocks.push(Block { label, body });
    }
    if !blocks.is_empty() && !is_blank(rest) {
        return Err(Refusal::TrailingGarbage);
    }
    Ok(blocks)
}

impl Block<'_> {
    /// Whether the body is encrypted in the manner of RFC 1421 (`Proc-Type: 4,ENCRYPTED`).
    pub(super) fn is_encrypted(&self) -> bool {
        self.body
            .split(|&octet| octet == b'\n' || octet == b'\r')
            .any(|line| line.strip_prefix(b"Proc-Type:").is_some_and(|value| value.ends_with(b"ENCRYPTED")))
    }

    /// The octets that the body stands for.
    pub(super) fn decode(&self) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let packed: Zeroizing<Vec<u8>> =
            Zeroizing::new(self.body.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect());
        let mut decoded = Zeroizing::new(Vec::with_capacity(packed.len()));
        BASE64.decode_vec(&packed, &mut decoded).map_err(|_| Refusal::Unreadable)?;
        Ok(decoded)
    }
}

/// One block, in lines of 64 characters.
pub(super) fn encode(label: &str, der: &[u8]) -> String {
    pem::encode_config(&pem::Pem::new(label, der), pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

/// Whether there is nothing but white space.
pub(super) fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|octet| octet.is_ascii_whitespace())
}

fn split<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let position = text.windows(at.len()).position(|window| window == at)?;
    let (before, after) = text.split_at_checked(position)?;
    Some((before, after.get(at.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, Vec<u8>)>, Refusal> {
        blocks(text.as_bytes())?
            .iter()
            .map(|block| Ok((String::from_utf8_lossy(block.label).into_owned(), block.decode()?.to_vec())))
            .collect()
    }

    #[test]
    fn forms_that_tools_write() {
        let one = Ok(vec![("X".to_owned(), b"hello".to_vec())]);
        for text in [
            "-----BEGIN X-----\naGVsbG8=\n-----END X-----\n",
            "-----BEGIN X-----\r\naGVs\r\nbG8=\r\n-----END X-----\r\n",
            "-----BEGIN X-----\raGVsbG8=\r-----END X-----\r",
            "-----BEGIN X-----\naGVsbG8\n-----END X-----",
            "\u{feff}-----BEGIN X-----\n aGVs\tbG8= \n-----END X-----  \n\n",
            "Bag Attributes\n  friendlyName: a\n-----BEGIN X-----\naGVsbG8=\n-----END X-----\n",
        ] {
            assert_eq!(read(text), one, "{text:?}");
        }
        let joined = "-----BEGIN X-----\naGVsbG8=\n-----END X----------BEGIN Y-----\naGVsbG8=\n-----END Y-----";
        assert_eq!(read(joined).unwrap().len(), 2);
        let between = "-----BEGIN X-----\n-----END X-----\nsubject=a\n-----BEGIN Y-----\n-----END Y-----";
        assert_eq!(read(between).unwrap().len(), 2);
        assert_eq!(read("no block here"), Ok(vec![]));
    }

    #[test]
    fn damage() {
        let cases = [
            ("-----BEGIN X-----\naGVsbG8=\n", Refusal::Unreadable),
            ("-----BEGIN X", Refusal::Unreadable),
            ("-----BEGIN X-----\naGVsbG8=\n-----END Y-----\n", Refusal::Unreadable),
            ("-----BEGIN X-----\n!\n-----END X-----\n", Refusal::Unreadable),
            ("-----BEGIN X-----\n-----BEGIN X-----\n-----END X-----\n", Refusal::Unreadable),
            ("-----BEGIN X-----\naGVsbG8=\n-----END X-----\nx", Refusal::TrailingGarbage),
            ("-----BEGIN X-----\naGVsbG8=\n-----END X-----\n-----BEGIN X-----\naGVs", Refusal::TrailingGarbage),
            ("-----BEGIN X-----\naGVsbG8=\n-----END X-----\n\0", Refusal::TrailingGarbage),
        ];
        for (text, refusal) in cases {
            assert_eq!(read(text), Err(refusal), "{text:?}");
        }
    }
}
