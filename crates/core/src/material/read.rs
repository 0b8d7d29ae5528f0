//! From an uploaded file to something that can be served, or a refusal.
use jiff::Timestamp;
use secrecy::SecretString;

use super::certificate::Certificate;
use super::der::{self, Reader};
use super::key::RawKey;
use super::path::{Family, MAX_CERTIFICATES};
use super::{Chain, Facts, PrivateKey, Refusal, container, pem};

/// A server certificate that can be served.
#[derive(Clone, Debug)]
pub struct ServerMaterial {
    /// Leaf first.
    pub chain: Chain,
    /// The leaf's key.
    pub key: PrivateKey,
    /// Of the leaf.
    pub facts: Facts,
}

/// A CA certificate that can be trusted.
#[derive(Clone, Debug)]
pub struct TrustedMaterial {
    /// The CA certificate, and further ones of the same file that lead up from it.
    pub chain: Chain,
    /// Of the first.
    pub facts: Facts,
}

/// Reads a server certificate with key and chain, in any order.
///
/// The leaf is the certificate that the key belongs to, the one valid longest if there are several; every other one has
/// to stand above it, or be another certificate for the subject and key of one that does. A certificate that is not
/// valid yet is accepted: it may have been bought ahead, or the clock may be wrong.
///
/// # Errors
/// Why it cannot be served (contract §4.6).
pub fn server(content: &[u8], password: Option<&SecretString>, now: Timestamp) -> Result<ServerMaterial, Refusal> {
    let Contents { certificates, keys } = open(content, password)?;
    if certificates.is_empty() {
        // What is wrong with the key is told first, as in a file with both.
        if let [key] = keys.as_slice() {
            key.open(password)?;
        }
        return Err(Refusal::NoCertificate);
    }
    let key = match keys.as_slice() {
        // A CA's certificate alone is the likelier mistake to tell of.
        [] if certificates.iter().all(|certificate| certificate.is_ca) => return Err(Refusal::CaAsServer),
        [] => return Err(Refusal::NoKey),
        [key] => key.open(password)?,
        _ => return Err(Refusal::TooMany),
    };
    let public_key = key.public_key().ok_or(Refusal::UnsupportedKey)?;
    let leaf = certificates
        .iter()
        .filter(|certificate| certificate.public_key == public_key)
        .max_by_key(|certificate| (!certificate.is_ca, certificate.validity.not_after, certificate.der.as_slice()))
        .ok_or(Refusal::KeyMismatch)?;
    if leaf.is_ca {
        return Err(Refusal::CaAsServer);
    }
    if leaf.is_expired(now) {
        return Err(Refusal::Expired);
    }
    let above = Family::new(&certificates)?.upwards(leaf)?;
    Ok(ServerMaterial { chain: Chain::of(&above), key, facts: leaf.facts() })
}

/// Reads a CA certificate, perhaps with those of the CAs above it.
///
/// A private key has no place in such a file ([`Refusal::TooMany`]), and a CA that has expired vouches for nobody.
///
/// # Errors
/// Why it cannot be trusted (contract §4.6).
pub fn trusted(content: &[u8], password: Option<&SecretString>, now: Timestamp) -> Result<TrustedMaterial, Refusal> {
    let Contents { certificates, keys } = open(content, password)?;
    if certificates.is_empty() {
        return Err(Refusal::NoCertificate);
    }
    if certificates.iter().any(|certificate| !certificate.may_issue) {
        return Err(Refusal::LeafAsTrusted);
    }
    if !keys.is_empty() {
        return Err(Refusal::TooMany);
    }
    // The lowest one is that from which all others are reached. Cross-signed roots may reach each other.
    let family = Family::new(&certificates)?;
    let (lowest, above) = certificates
        .iter()
        .filter_map(|certificate| Some((certificate, family.upwards(certificate).ok()?)))
        .max_by_key(|(certificate, above)| (above.len(), certificate.validity.not_after, certificate.der.as_slice()))
        .ok_or(Refusal::BrokenChain)?;
    if lowest.is_expired(now) {
        return Err(Refusal::Expired);
    }
    Ok(TrustedMaterial { chain: Chain::of(&above), facts: lowest.facts() })
}

/// What a file holds, keys still closed.
pub(super) struct Contents {
    /// Without duplicates.
    pub(super) certificates: Vec<Certificate>,
    pub(super) keys: Vec<RawKey>,
}

pub(super) fn open(content: &[u8], password: Option<&SecretString>) -> Result<Contents, Refusal> {
    match File::of(content) {
        File::Certificate => Ok(Contents { certificates: vec![Certificate::read(content)?], keys: vec![] }),
        File::Container => {
            let held = container::open(content, password)?;
            let certificates = held.certificates.iter().map(|der| Certificate::read(der)).collect::<Result<_, _>>()?;
            let keys = held.keys.into_iter().map(RawKey::Plain).collect();
            Ok(Contents { certificates: distinct(certificates), keys })
        }
        File::Damaged => Err(Refusal::Unreadable),
        File::Key => Err(Refusal::NoCertificate),
        File::Text => open_text(content),
        File::Trailing => Err(Refusal::TrailingGarbage),
    }
}

fn open_text(content: &[u8]) -> Result<Contents, Refusal> {
    let blocks = pem::blocks(content)?;
    // Counted before anything is decoded.
    if blocks.iter().filter(|block| is_certificate(block.label)).count() > MAX_CERTIFICATES {
        return Err(Refusal::TooMany);
    }
    let mut certificates = Vec::new();
    let mut keys = Vec::new();
    for block in &blocks {
        if is_certificate(block.label) {
            certificates.push(Certificate::read(&block.decode()?)?);
        } else if let Some(key) = RawKey::from_pem(block)? {
            keys.push(key);
        } else if !matches!(block.label, b"EC PARAMETERS" | b"DH PARAMETERS") {
            return Err(Refusal::TrailingGarbage);
        }
    }
    Ok(Contents { certificates: distinct(certificates), keys })
}

fn is_certificate(label: &[u8]) -> bool {
    matches!(label, b"CERTIFICATE" | b"X509 CERTIFICATE")
}

fn distinct(certificates: Vec<Certificate>) -> Vec<Certificate> {
    let mut distinct: Vec<Certificate> = Vec::with_capacity(certificates.len());
    for certificate in certificates {
        if distinct.iter().all(|known| known.der != certificate.der) {
            distinct.push(certificate);
        }
    }
    distinct
}

/// What kind of file it is, by its first octets.
enum File {
    /// One certificate in DER.
    Certificate,
    /// A PKCS#12 container.
    Container,
    /// It begins like DER.
    Damaged,
    /// A private key in DER, which leaves no room for a certificate.
    Key,
    /// Anything else, PEM hopefully.
    Text,
    /// DER with something behind it.
    Trailing,
}

impl File {
    fn of(content: &[u8]) -> File {
        // Certificates and containers are longer than 127 octets, hence the long form. `0` and a space begin a text.
        let [der::SEQUENCE, 0x80..=0xFF, ..] = content else { return File::Text };
        let mut file = Reader::new(content);
        let Some(mut fields) = file.enter(der::SEQUENCE) else { return File::Damaged };
        let kind = match fields.next() {
            Some(first) if first.tag == der::INTEGER => match first.content {
                [3] => File::Container,
                _ => File::Key,
            },
            Some(first) if first.tag == der::SEQUENCE => match fields.next().map(|second| second.tag) {
                Some(der::SEQUENCE) => File::Certificate,
                Some(der::OCTET_STRING) => File::Key,
                _ => File::Damaged,
            },
            _ => File::Damaged,
        };
        match kind {
            File::Damaged => File::Damaged,
            _ if !file.rest().is_empty() => File::Trailing,
            kind => kind,
        }
    }
}
