//! Distinguished names as text (RFC 4514).
use std::fmt::Write;

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::oid_registry::OID_X509_COMMON_NAME;
use x509_parser::x509::X509Name;

/// The short names of RFC 4514 §3, and `emailAddress`, which old subjects carry.
const SHORT: [(&str, &str); 10] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// The first common name that is not empty.
pub(super) fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_by_oid(&OID_X509_COMMON_NAME).find_map(|attribute| text(attribute.attr_value()).filter(|text| !text.is_empty()))
}

/// The whole name, most specific part first (RFC 4514 §2.1).
pub(super) fn rfc4514(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|part| {
            let attributes: Vec<String> = part
                .iter()
                .map(|attribute| {
                    let kind = attribute.attr_type().to_id_string();
                    let short = SHORT.iter().find(|(oid, _)| *oid == kind).map(|(_, short)| *short);
                    match (short, text(attribute.attr_value())) {
                        (Some(short), Some(text)) => format!("{short}={}", escape(&text)),
                        (Some(short), None) => format!("{short}={}", hexadecimal(attribute.attr_value())),
                        (None, _) => format!("{kind}={}", hexadecimal(attribute.attr_value())),
                    }
                })
                .collect();
            attributes.join("+")
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

/// The value as text, where its type is one of text.
fn text(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::BmpString => {
            let units = value.data.chunks(2).map(|pair| match pair {
                [high, low] => u16::from_be_bytes([*high, *low]),
                _ => u16::from(b'?'),
            });
            Some(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
        }
        Tag::Ia5String | Tag::NumericString | Tag::PrintableString | Tag::Utf8String | Tag::VisibleString => {
            Some(String::from_utf8_lossy(value.data).into_owned())
        }
        // T.61 is in practice written as Latin-1.
        Tag::TeletexString => Some(value.data.iter().map(|&octet| char::from(octet)).collect()),
        _ => None,
    }
}

/// RFC 4514 §2.4.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (position, character) in text.chars().enumerate() {
        let at_edge = (position == 0 && matches!(character, ' ' | '#')) || (position == last && character == ' ');
        if character.is_control() {
            let mut octets = [0; 4];
            for octet in character.encode_utf8(&mut octets).bytes() {
                let _ = write!(out, "\\{octet:02X}");
            }
        } else {
            if at_edge || matches!(character, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
                out.push('\\');
            }
            out.push(character);
        }
    }
    out
}

/// The DER of a value behind `#` (RFC 4514 §2.4).
fn hexadecimal(value: &Any<'_>) -> String {
    let octets = super::der::element(value.tag().0 as u8, &[value.data]);
    octets.iter().fold("#".to_owned(), |mut out, octet| {
        let _ = write!(out, "{octet:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    fn with_name<T>(entries: Vec<(DnType, DnValue)>, look: impl FnOnce(&X509Name<'_>) -> T) -> T {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in entries {
            params.distinguished_name.push(kind, value);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        look(X509Certificate::from_der(certificate.der()).unwrap().1.subject())
    }

    #[test]
    fn names_as_text() {
        let utf8 = |text: &str| DnValue::Utf8String(text.to_owned());
        let cases: Vec<(Vec<(DnType, DnValue)>, &str)> = vec![
            (
                vec![(DnType::CountryName, utf8("DE")), (DnType::OrganizationName, utf8("Müller, Söhne"))],
                "O=Müller\\, Söhne,C=DE",
            ),
            (vec![(DnType::OrganizationName, utf8(" #a\u{7} "))], "O=\\ #a\\07\\ "),
            (vec![(DnType::OrganizationName, utf8("#a"))], "O=\\#a"),
            (vec![(DnType::CustomDnType(vec![1, 2, 3]), utf8("x"))], "1.2.3=#0c0178"),
            (vec![(DnType::CommonName, DnValue::BmpString("Grüße".try_into().unwrap()))], "CN=Grüße"),
            (vec![(DnType::CommonName, DnValue::TeletexString("plain".try_into().unwrap()))], "CN=plain"),
            (vec![], ""),
        ];
        for (entries, expected) in cases {
            assert_eq!(with_name(entries, rfc4514), expected);
        }
    }

    #[test]
    fn the_first_common_name_that_says_something() {
        let cn = |text: &str| (DnType::CommonName, DnValue::Utf8String(text.to_owned()));
        assert_eq!(with_name(vec![cn("pbx")], common_name).as_deref(), Some("pbx"));
        assert_eq!(with_name(vec![cn("")], common_name), None);
    }
}
