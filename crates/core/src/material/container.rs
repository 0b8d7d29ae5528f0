//! PKCS#12 containers (RFC 7292), and keys that are encrypted in the same ways (RFC 8018).
//!
//! Decryption is p12-keystore's. What is done here first is to bound it: whoever writes a container chooses how often
//! its password is hashed and how much memory that takes.
use p12_keystore::Pkcs12Archive;
use p12_keystore::error::Error;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::der::{self, Reader, element};
use super::{Refusal, path};

/// Rounds of hashing in all. Common tools take 2,000 to 600,000 for each part.
const MAX_ROUNDS: u64 = 2_000_000;
/// Memory for scrypt; OpenSSL takes 16 MiB.
const MAX_MEMORY: u64 = 64 << 20;
/// A chain of sixteen large certificates with its key stays well below.
const MAX_CONTAINER: usize = 256 << 10;

/// The object identifiers that are looked at, as contents octets.
const DATA: &[u8] = b"\x2A\x86\x48\x86\xF7\x0D\x01\x07\x01";
const ENCRYPTED_DATA: &[u8] = b"\x2A\x86\x48\x86\xF7\x0D\x01\x07\x06";
const SHROUDED_KEY_BAG: &[u8] = b"\x2A\x86\x48\x86\xF7\x0D\x01\x0C\x0A\x01\x02";
const PBES2: &[u8] = b"\x2A\x86\x48\x86\xF7\x0D\x01\x05\x0D";
const SCRYPT: &[u8] = b"\x2B\x06\x01\x04\x01\xDA\x47\x04\x0B";

/// What a container holds: certificates in DER, keys in PKCS#8.
pub(super) struct Contents {
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) keys: Vec<Zeroizing<Vec<u8>>>,
}

/// Opens a container; without a password, the empty one is tried.
pub(super) fn open(der: &[u8], password: Option<&SecretString>) -> Result<Contents, Refusal> {
    if der.len() > MAX_CONTAINER {
        return Err(Refusal::TooMany);
    }
    if rounds_of_container(der).ok_or(Refusal::Unreadable)? > MAX_ROUNDS {
        return Err(Refusal::Unreadable);
    }
    let archive = decrypt(der, password)?;
    if archive.certs.len() > path::MAX_CERTIFICATES {
        return Err(Refusal::TooMany);
    }
    Ok(Contents {
        certificates: archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect(),
        keys: archive.keys.iter().map(|bag| Zeroizing::new(bag.key.as_der().to_vec())).collect(),
    })
}

/// Opens an EncryptedPrivateKeyInfo (RFC 5958 §3): PBES2, and the two schemes of PBES1 that PKCS#12 uses.
pub(super) fn decrypt_key(der: &[u8], password: Option<&SecretString>) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let password = password.ok_or(Refusal::EncryptedKey)?;
    if rounds_of_key(Reader::new(der)).ok_or(Refusal::Unreadable)? > MAX_ROUNDS {
        return Err(Refusal::Unreadable);
    }
    // A container without MAC around the one key.
    let bag = element(der::SEQUENCE, &[&element(der::OBJECT_IDENTIFIER, &[SHROUDED_KEY_BAG]), &element(der::CONTEXT_0, &[der])]);
    let safe = content_info(&element(der::SEQUENCE, &[&bag]));
    let container = element(der::SEQUENCE, &[&element(der::INTEGER, &[&[3]]), &content_info(&element(der::SEQUENCE, &[&safe]))]);
    let archive = decrypt(&container, Some(password))?;
    let key = archive.keys.first().ok_or(Refusal::Unreadable)?;
    Ok(Zeroizing::new(key.key.as_der().to_vec()))
}

fn content_info(data: &[u8]) -> Vec<u8> {
    let data = element(der::OCTET_STRING, &[data]);
    element(der::SEQUENCE, &[&element(der::OBJECT_IDENTIFIER, &[DATA]), &element(der::CONTEXT_0, &[&data])])
}

/// The structure is known to be sound where this is called, so that what fails is decryption.
fn decrypt(der: &[u8], password: Option<&SecretString>) -> Result<Pkcs12Archive, Refusal> {
    let password = password.map_or("", ExposeSecret::expose_secret);
    Pkcs12Archive::from_pkcs12(der, password).map_err(|error| match error {
        // A wrong password shows as a wrong MAC, or without one as padding or contents that make no sense.
        Error::DerError(_) | Error::InvalidPrivateKey | Error::MacError(_) | Error::Pkcs5Error(_) | Error::UnpadError => {
            Refusal::EncryptedKey
        }
        _ => Refusal::Unreadable,
    })
}

/// How often a container's passwords are hashed, as far as can be seen from outside; `None` when it is no container.
fn rounds_of_container(der: &[u8]) -> Option<u64> {
    let mut container = Reader::new(der).enter(der::SEQUENCE)?;
    container.number()?;
    let mut safes = data(container.enter(der::SEQUENCE)?)?.enter(der::SEQUENCE)?;
    let mut rounds = 0u64;
    if let Some(mut mac) = container.enter(der::SEQUENCE) {
        mac.enter(der::SEQUENCE)?;
        mac.expect(der::OCTET_STRING)?;
        rounds = if mac.rest().is_empty() { 1 } else { mac.number()? };
    }
    while !safes.rest().is_empty() {
        rounds = rounds.saturating_add(rounds_of_safe(safes.enter(der::SEQUENCE)?)?);
    }
    Some(rounds)
}

/// Of one ContentInfo of the authenticated safe.
fn rounds_of_safe(safe: Reader<'_>) -> Option<u64> {
    let mut fields = safe;
    if fields.expect(der::OBJECT_IDENTIFIER)? == ENCRYPTED_DATA {
        let mut encrypted = fields.enter(der::CONTEXT_0)?.enter(der::SEQUENCE)?;
        encrypted.number()?;
        let mut content = encrypted.enter(der::SEQUENCE)?;
        content.expect(der::OBJECT_IDENTIFIER)?;
        return rounds_of_scheme(content.enter(der::SEQUENCE)?);
    }
    let mut bags = data(safe)?.enter(der::SEQUENCE)?;
    let mut rounds = 0u64;
    while !bags.rest().is_empty() {
        let mut bag = bags.enter(der::SEQUENCE)?;
        let kind = bag.expect(der::OBJECT_IDENTIFIER)?;
        let value = bag.enter(der::CONTEXT_0)?;
        if kind == SHROUDED_KEY_BAG {
            rounds = rounds.saturating_add(rounds_of_key(value)?);
        }
    }
    Some(rounds)
}

/// The octets inside a ContentInfo of type data.
fn data(mut info: Reader<'_>) -> Option<Reader<'_>> {
    info.expect(der::OBJECT_IDENTIFIER).filter(|kind| *kind == DATA)?;
    info.enter(der::CONTEXT_0)?.enter(der::OCTET_STRING)
}

/// Of an EncryptedPrivateKeyInfo.
fn rounds_of_key(mut key: Reader<'_>) -> Option<u64> {
    rounds_of_scheme(key.enter(der::SEQUENCE)?.enter(der::SEQUENCE)?)
}

/// Of an encryption scheme (RFC 8018 §A.3, §A.4, RFC 7914 §7.1, RFC 7292 §C); a scheme that takes too much memory counts
/// as too many rounds.
fn rounds_of_scheme(mut scheme: Reader<'_>) -> Option<u64> {
    let kind = scheme.expect(der::OBJECT_IDENTIFIER)?;
    let mut parameters = scheme.enter(der::SEQUENCE)?;
    if kind != PBES2 {
        parameters.expect(der::OCTET_STRING)?;
        return parameters.number();
    }
    let mut derivation = parameters.enter(der::SEQUENCE)?;
    let kind = derivation.expect(der::OBJECT_IDENTIFIER)?;
    let mut parameters = derivation.enter(der::SEQUENCE)?;
    parameters.expect(der::OCTET_STRING)?;
    let first = parameters.number()?;
    if kind != SCRYPT {
        return Some(first);
    }
    let memory = first.saturating_mul(parameters.number()?).saturating_mul(128);
    let passes = parameters.number()?;
    Some(if memory > MAX_MEMORY { u64::MAX } else { first.saturating_mul(passes) })
}
