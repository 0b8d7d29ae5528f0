//! Private keys.
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaKeyPair};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::der::{self, Reader};
use super::public_key::{Algorithm, PublicKey};
use super::{Refusal, container, pem};

/// The algorithm and size of a new key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum KeyType {
    /// ECDSA on P-256.
    #[serde(rename = "p256")]
    P256,
    /// ECDSA on P-384.
    #[serde(rename = "p384")]
    P384,
    /// RSA of 2048 bits: what every telephone understands.
    #[default]
    #[serde(rename = "rsa2048")]
    Rsa2048,
    /// RSA of 3072 bits.
    #[serde(rename = "rsa3072")]
    Rsa3072,
    /// RSA of 4096 bits.
    #[serde(rename = "rsa4096")]
    Rsa4096,
}

/// The key could not be made: the system gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no private key could be made")]
pub struct KeyNotMade;

/// A private key in PKCS#8 (DER). `Debug` shows nothing; memory is wiped on drop.
#[derive(Clone)]
pub struct PrivateKey(Zeroizing<Vec<u8>>);

impl PrivateKey {
    /// A key that was written by [`PrivateKey::expose_pkcs8`].
    pub fn from_pkcs8(der: Vec<u8>) -> PrivateKey {
        PrivateKey(Zeroizing::new(der))
    }

    /// The key itself: PKCS#8, DER.
    pub fn expose_pkcs8(&self) -> &[u8] {
        &self.0
    }

    /// A new key.
    ///
    /// # Errors
    /// [`KeyNotMade`].
    pub fn generate(kind: KeyType) -> Result<PrivateKey, KeyNotMade> {
        let rsa = |size| RsaKeyPair::generate(size).ok().and_then(|pair| pkcs8(&pair));
        let ecdsa = |curve| {
            let document = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new()).ok()?;
            Some(PrivateKey::from_pkcs8(document.as_ref().to_vec()))
        };
        match kind {
            KeyType::P256 => ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyType::P384 => ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyType::Rsa2048 => rsa(KeySize::Rsa2048),
            KeyType::Rsa3072 => rsa(KeySize::Rsa3072),
            KeyType::Rsa4096 => rsa(KeySize::Rsa4096),
        }
        .ok_or(KeyNotMade)
    }

    /// The key as PEM, PKCS#8.
    pub fn to_pem(&self) -> SecretString {
        SecretString::from(pem::encode("PRIVATE KEY", &self.0))
    }

    /// Reads one key in PEM: PKCS#8, PKCS#1 or SEC1, not encrypted.
    ///
    /// # Errors
    /// As [`server`](super::server) refuses keys.
    pub fn parse_pem(text: &str) -> Result<PrivateKey, Refusal> {
        let mut keys = Vec::new();
        for block in pem::blocks(text.as_bytes())? {
            match RawKey::from_pem(&block)? {
                Some(key) => keys.push(key),
                None => return Err(Refusal::TrailingGarbage),
            }
        }
        match keys.as_slice() {
            [] => Err(Refusal::NoKey),
            [key] => key.open(None),
            _ => Err(Refusal::TooMany),
        }
    }

    /// The public half; `None` for a key that aws-lc does not load.
    pub(super) fn public_key(&self) -> Option<PublicKey> {
        load(&self.0).ok().map(|(_, public)| public)
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// A private key as it stands in a file.
pub(super) enum RawKey {
    /// EncryptedPrivateKeyInfo (RFC 5958 §3).
    Encrypted(Zeroizing<Vec<u8>>),
    /// PKCS#8, PKCS#1 or SEC1; which one, the DER tells by itself.
    Plain(Zeroizing<Vec<u8>>),
    /// Encrypted in the manner of RFC 1421 with a key derived by MD5: never opened, with or without password.
    Sealed,
    /// Of an algorithm that the label already tells.
    Unsupported,
}

impl RawKey {
    /// The key in a PEM block; `None` when it is a block of another kind.
    pub(super) fn from_pem(block: &pem::Block<'_>) -> Result<Option<RawKey>, Refusal> {
        Ok(match block.label {
            b"EC PRIVATE KEY" | b"PRIVATE KEY" | b"RSA PRIVATE KEY" if block.is_encrypted() => Some(RawKey::Sealed),
            b"EC PRIVATE KEY" | b"PRIVATE KEY" | b"RSA PRIVATE KEY" => Some(RawKey::Plain(block.decode()?)),
            b"ENCRYPTED PRIVATE KEY" => Some(RawKey::Encrypted(block.decode()?)),
            b"DSA PRIVATE KEY" | b"OPENSSH PRIVATE KEY" => Some(RawKey::Unsupported),
            _ => None,
        })
    }

    /// The key, decrypted and in PKCS#8.
    pub(super) fn open(&self, password: Option<&SecretString>) -> Result<PrivateKey, Refusal> {
        match self {
            RawKey::Encrypted(der) => read(&container::decrypt_key(der, password)?),
            RawKey::Plain(der) => read(der),
            RawKey::Sealed => Err(Refusal::EncryptedKey),
            RawKey::Unsupported => Err(Refusal::UnsupportedKey),
        }
    }
}

/// Brings a key into PKCS#8, version 1.
fn read(der: &[u8]) -> Result<PrivateKey, Refusal> {
    let mut file = Reader::new(der);
    file.enter(der::SEQUENCE).ok_or(Refusal::Unreadable)?;
    if !file.rest().is_empty() {
        return Err(Refusal::TrailingGarbage);
    }
    load(der).map(|(key, _)| key)
}

fn load(der: &[u8]) -> Result<(PrivateKey, PublicKey), Refusal> {
    let form = Form::of(der).ok_or(Refusal::Unreadable)?;
    let pair = match form {
        Form::Ec(Curve::P256) => ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, Algorithm::P256, der),
        Form::Ec(Curve::P384) => ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING, Algorithm::P384, der),
        Form::Ec(Curve::P521) => ecdsa(&signature::ECDSA_P521_SHA512_ASN1_SIGNING, Algorithm::P521, der),
        Form::Ed25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
            .ok()
            .and_then(|pair| Some((pkcs8(&pair)?, public(Algorithm::Ed25519, &pair)))),
        Form::Rsa { bits, .. } if bits < 2048 => return Err(Refusal::WeakKey),
        Form::Rsa { bits, .. } if bits > 8192 => return Err(Refusal::UnsupportedKey),
        Form::Rsa { wrapped, .. } => if wrapped { RsaKeyPair::from_pkcs8(der) } else { RsaKeyPair::from_der(der) }
            .ok()
            .and_then(|pair| Some((pkcs8(&pair)?, public(Algorithm::Rsa, &pair)))),
        Form::Unsupported => return Err(Refusal::UnsupportedKey),
    };
    pair.ok_or(Refusal::Unreadable)
}

fn ecdsa(curve: &'static EcdsaSigningAlgorithm, kind: Algorithm, der: &[u8]) -> Option<(PrivateKey, PublicKey)> {
    let pair = EcdsaKeyPair::from_private_key_der(curve, der).ok()?;
    let key = PrivateKey::from_pkcs8(pair.to_pkcs8v1().ok()?.as_ref().to_vec());
    Some((key, public(kind, &pair)))
}

fn pkcs8(pair: &impl AsDer<Pkcs8V1Der<'static>>) -> Option<PrivateKey> {
    pair.as_der().ok().map(|der| PrivateKey::from_pkcs8(der.as_ref().to_vec()))
}

fn public(algorithm: Algorithm, pair: &impl KeyPair) -> PublicKey {
    PublicKey { algorithm, bits: pair.public_key().as_ref().to_vec() }
}

/// What a private key is, as far as its outer structure tells.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    Ec(Curve),
    Ed25519,
    /// `wrapped` in PKCS#8, or bare PKCS#1.
    Rsa {
        bits: usize,
        wrapped: bool,
    },
    Unsupported,
}

#[derive(Debug, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

impl Form {
    /// `None` when it is no private key at all.
    fn of(der: &[u8]) -> Option<Form> {
        let mut key = Reader::new(der).enter(der::SEQUENCE)?;
        let version = key.number()?;
        let second = key.next()?;
        match (version, second.tag) {
            // PrivateKeyInfo (RFC 5958 §2).
            (0 | 1, der::SEQUENCE) => {
                let mut algorithm = Reader::new(second.content);
                let kind = algorithm.expect(der::OBJECT_IDENTIFIER)?;
                let inner = key.expect(der::OCTET_STRING)?;
                Some(match kind {
                    // rsaEncryption (RFC 8017 §A.1)
                    b"\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01" => {
                        let mut rsa = Reader::new(inner).enter(der::SEQUENCE)?;
                        rsa.number()?;
                        Form::Rsa { bits: bits(rsa.expect(der::INTEGER)?), wrapped: true }
                    }
                    // id-ecPublicKey (RFC 5480 §2.1.1)
                    b"\x2A\x86\x48\xCE\x3D\x02\x01" => {
                        algorithm.expect(der::OBJECT_IDENTIFIER).map_or(Form::Unsupported, Form::curve)
                    }
                    // id-Ed25519 (RFC 8410 §3)
                    b"\x2B\x65\x70" => Form::Ed25519,
                    _ => Form::Unsupported,
                })
            }
            // RSAPrivateKey of two primes (RFC 8017 §A.1.2); a DSA key begins alike, but has no more than six numbers.
            (0, der::INTEGER) => {
                let rest = std::iter::from_fn(|| key.next()).take(8).filter(|field| field.tag == der::INTEGER).count();
                Some(if rest == 7 { Form::Rsa { bits: bits(second.content), wrapped: false } } else { Form::Unsupported })
            }
            (1, der::INTEGER) => Some(Form::Unsupported),
            // ECPrivateKey (RFC 5915 §3), which must tell its curve itself when it stands alone.
            (1, der::OCTET_STRING) => {
                let curve = key.enter(der::CONTEXT_0).and_then(|mut curve| curve.expect(der::OBJECT_IDENTIFIER));
                Some(curve.map_or(Form::Unsupported, Form::curve))
            }
            _ => None,
        }
    }

    fn curve(name: &[u8]) -> Form {
        match name {
            b"\x2A\x86\x48\xCE\x3D\x03\x01\x07" => Form::Ec(Curve::P256),
            b"\x2B\x81\x04\x00\x22" => Form::Ec(Curve::P384),
            b"\x2B\x81\x04\x00\x23" => Form::Ec(Curve::P521),
            _ => Form::Unsupported,
        }
    }
}

/// The length of a positive INTEGER.
fn bits(number: &[u8]) -> usize {
    let significant = number.iter().position(|&octet| octet != 0).unwrap_or(number.len());
    let first = number.get(significant).map_or(0, |octet| octet.leading_zeros() as usize);
    (number.len() - significant) * 8 - first
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn new_keys_are_read_back() {
        for kind in [KeyType::P256, KeyType::P384, KeyType::Rsa2048, KeyType::Rsa3072, KeyType::Rsa4096] {
            let key = PrivateKey::generate(kind).unwrap();
            let again = PrivateKey::parse_pem(key.to_pem().expose_secret()).unwrap();
            assert_eq!(again.public_key(), key.public_key(), "{kind:?}");
            assert!(again.public_key().is_some(), "{kind:?}");
            assert_eq!(again.expose_pkcs8(), key.expose_pkcs8(), "{kind:?}");
            let expected = match kind {
                KeyType::P256 => Form::Ec(Curve::P256),
                KeyType::P384 => Form::Ec(Curve::P384),
                KeyType::Rsa2048 => Form::Rsa { bits: 2048, wrapped: true },
                KeyType::Rsa3072 => Form::Rsa { bits: 3072, wrapped: true },
                KeyType::Rsa4096 => Form::Rsa { bits: 4096, wrapped: true },
            };
            assert_eq!(Form::of(key.expose_pkcs8()), Some(expected));
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let key = PrivateKey::generate(KeyType::P256).unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey(..)");
    }

    #[test]
    fn lengths_of_numbers() {
        for (number, expected) in [(&[][..], 0), (&[0], 0), (&[1], 1), (&[0, 0x80], 8), (&[0x7F, 0xFF], 15)] {
            assert_eq!(bits(number), expected);
        }
    }
}
