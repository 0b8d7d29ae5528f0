//! One certificate in words for people.
use std::fmt::Write;

use aws_lc_rs::digest;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::certificate::Certificate;
use super::{Chain, Facts, subject};

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Whom it is for: the first DNS name, else the common name, else the whole subject.
    pub subject: String,
    /// Who signed it: the common name, or the whole name where there is none.
    pub issuer: String,
    /// Whether subject and issuer are the same name: a root, or a certificate of nobody's.
    pub is_self_issued: bool,
    /// Whether it says that it is a CA's.
    pub is_ca: bool,
    /// The serial number, in hexadecimal.
    pub serial: String,
    /// Algorithm and size of its key: `RSA 2048`, `ECDSA P-256`.
    pub key: String,
    /// SHA-256 of the certificate, in hexadecimal with colons.
    pub fingerprint: String,
    /// Names and validity.
    pub facts: Facts,
}

/// The certificates of a chain; those that cannot be read are left out.
pub fn described(chain: &Chain) -> Vec<Described> {
    chain.certificates().iter().filter_map(|der| Described::of(der)).collect()
}

impl Described {
    /// Reads a certificate in DER; `None` where it is none.
    pub fn of(der: &[u8]) -> Option<Described> {
        let certificate = Certificate::read(der).ok()?;
        let (_, x509) = X509Certificate::from_der(der).ok()?;
        let name = |name| subject::common_name(name).unwrap_or_else(|| subject::rfc4514(name));
        let serial = hexadecimal(x509.raw_serial(), "");
        Some(Described {
            subject: certificate.facts().held.issue_to,
            issuer: name(x509.issuer()),
            is_self_issued: x509.subject().as_raw() == x509.issuer().as_raw(),
            is_ca: certificate.is_ca,
            serial: serial.strip_prefix("00").map(str::to_owned).unwrap_or(serial),
            key: key_words(&x509),
            fingerprint: hexadecimal(digest::digest(&digest::SHA256, der).as_ref(), ":"),
            facts: certificate.facts(),
        })
    }
}

fn key_words(x509: &X509Certificate<'_>) -> String {
    let oid = x509.public_key().algorithm.algorithm.to_id_string();
    match x509.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => match point.key_size() {
            256 => "ECDSA P-256".to_owned(),
            384 => "ECDSA P-384".to_owned(),
            // 521 bits in whole octets.
            521 | 528 => "ECDSA P-521".to_owned(),
            bits => format!("ECDSA {bits}"),
        },
        _ if oid == "1.3.101.112" => "Ed25519".to_owned(),
        _ => oid,
    }
}

fn hexadecimal(octets: &[u8], between: &str) -> String {
    octets.iter().enumerate().fold(String::with_capacity(octets.len() * 3), |mut out, (position, octet)| {
        let _ = write!(out, "{}{octet:02x}", if position == 0 { "" } else { between });
        out
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::material::self_signed;

    #[test]
    fn a_self_signed_certificate_in_words() {
        let (chain, _) = self_signed("pbx.example.com", Timestamp::from_second(1_900_000_000).unwrap()).unwrap();
        let all = described(&chain);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].subject.as_str(), all[0].issuer.as_str()), ("pbx.example.com", "pbx.example.com"));
        assert!(all[0].is_self_issued);
        assert!(all[0].key.starts_with("RSA ") || all[0].key.starts_with("ECDSA P-"), "{}", all[0].key);
        assert_eq!(all[0].fingerprint.len(), 32 * 3 - 1);
    }

    #[test]
    fn what_is_no_certificate_is_not_described() {
        assert_eq!(Described::of(b"no certificate"), None);
    }
}
