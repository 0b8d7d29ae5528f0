//! What a signer is given, and what it makes of it.
use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::Unsigned;

/// The parameters of a signer by name, as a page's templates came out. Any of them may be a secret: there is no `Debug`.
#[derive(Clone, Default)]
pub struct Given(BTreeMap<String, SecretString>);

/// A parameter that no key can be made of; never holds its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{parameter} {problem}")]
pub struct InvalidKey {
    /// The signer's name of the parameter.
    pub parameter: &'static str,
    /// What is wrong with it: the end of a sentence that begins with its name.
    pub problem: &'static str,
}

impl<'a> FromIterator<(&'a str, String)> for Given {
    fn from_iter<I: IntoIterator<Item = (&'a str, String)>>(pairs: I) -> Given {
        Given(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    }
}

impl Given {
    /// A parameter that may be missing or empty.
    pub(super) fn optional(&self, name: &'static str) -> Option<SecretString> {
        self.0.get(name).filter(|value| !value.expose_secret().is_empty()).cloned()
    }

    /// A parameter that is a secret.
    pub(super) fn secret(&self, name: &'static str) -> Result<SecretString, InvalidKey> {
        self.optional(name).ok_or(InvalidKey { parameter: name, problem: "is empty" })
    }

    /// A parameter that is none.
    pub(super) fn text(&self, name: &'static str) -> Result<String, InvalidKey> {
        Ok(self.secret(name)?.expose_secret().to_owned())
    }

    /// The parameters `id` and `secret`.
    pub(super) fn pair(&self) -> Result<Pair, InvalidKey> {
        Ok(Pair { id: self.text("id")?, secret: self.secret("secret")? })
    }

    /// The parameter `key`, an RSA key in PEM, perhaps with its passphrase in `pass`.
    pub(super) fn rsa(&self) -> Result<RsaKey, InvalidKey> {
        RsaKey::parse(self.secret("key")?.expose_secret(), self.optional("pass").as_ref())
    }
}

/// An access key: who signs, and with what.
pub(super) struct Pair {
    pub(super) id: String,
    pub(super) secret: SecretString,
}

impl Pair {
    /// The code over a message by the secret half.
    pub(super) fn hmac(&self, algorithm: hmac::Algorithm, message: impl AsRef<[u8]>) -> hmac::Tag {
        hmac(algorithm, self.secret.expose_secret(), message)
    }
}

/// A keyed code over a message (RFC 2104).
pub(super) fn hmac(algorithm: hmac::Algorithm, key: impl AsRef<[u8]>, message: impl AsRef<[u8]>) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(algorithm, key.as_ref()), message.as_ref())
}

/// A private RSA key of 2048 bits or more.
pub(super) struct RsaKey(RsaKeyPair);

impl RsaKey {
    /// Reads PEM, PKCS#8 or PKCS#1; line ends may be written `\n`, as in a text that was copied out of JSON.
    pub(super) fn parse(pem: &str, pass: Option<&SecretString>) -> Result<RsaKey, InvalidKey> {
        let invalid = |problem| InvalidKey { parameter: "key", problem };
        let pem = pem.replace("\\n", "\n");
        if let Some(sealed) = between(&pem, SEALED) {
            let pass = pass.ok_or(invalid("is encrypted, and its passphrase is not given"))?;
            let key = opened(sealed, pass).ok_or(invalid("cannot be decrypted with this passphrase"))?;
            return RsaKeyPair::from_pkcs8(key.as_bytes()).map(RsaKey).map_err(|_| invalid(UNFIT));
        }
        if pem.contains("ENCRYPTED") {
            return Err(invalid("is encrypted in the old way: openssl pkcs8 -topk8 writes it in the new one"));
        }
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| invalid("is not a private key in PEM"))?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            _ => return Err(invalid("is not an RSA key")),
        };
        pair.map(RsaKey).map_err(|_| invalid(UNFIT))
    }

    /// The signature over a message.
    pub(super) fn sign(&self, padding: &'static dyn RsaEncoding, message: &[u8]) -> Result<Vec<u8>, Unsigned> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(padding, &SystemRandom::new(), message, &mut signature).map_err(|_| Unsigned::Key)?;
        Ok(signature)
    }
}

const UNFIT: &str = "is not an RSA key of 2048 bits or more";

/// The lines around a key with a passphrase (RFC 7468 §11).
const SEALED: (&str, &str) = ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----");

/// The most work that one passphrase may take. OpenSSL's own is a few thousand rounds.
const ROUNDS: u32 = 2_000_000;

fn between<'a>(pem: &'a str, (begin, end): (&str, &str)) -> Option<&'a str> {
    Some(pem.split_once(begin)?.1.split_once(end)?.0)
}

/// The PKCS#8 key inside one that is encrypted (PBES2, RFC 8018 §6.2).
fn opened(sealed: &str, pass: &SecretString) -> Option<SecretDocument> {
    let der = STANDARD.decode(sealed.split_ascii_whitespace().collect::<String>()).ok()?;
    let sealed = EncryptedPrivateKeyInfoRef::try_from(der.as_slice()).ok()?;
    let work = sealed.encryption_algorithm.pbes2()?.kdf.pbkdf2()?.iteration_count;
    (work <= ROUNDS).then(|| sealed.decrypt(pass.expose_secret()).ok())?
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Parameters for a test.
    pub(in crate::sign) fn given<const N: usize>(pairs: [(&str, &str); N]) -> Given {
        pairs.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said_without_the_key() {
        let told = |pem: &str| given([("key", pem)]).rsa().err().unwrap().to_string();
        assert_eq!(told(""), "key is empty");
        assert_eq!(told("s3cr3t"), "key is not a private key in PEM");
        assert_eq!(told(include_str!("testdata/sealed.pem")), "key is encrypted, and its passphrase is not given");
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
        assert_eq!(told(old), "key is encrypted in the old way: openssl pkcs8 -topk8 writes it in the new one");
        let ec = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----";
        assert_eq!(told(ec), "key is not an RSA key");
        let short = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----";
        assert_eq!(told(short), "key is not an RSA key of 2048 bits or more");
    }

    /// `openssl pkcs8 -topk8 -v2 aes-128-cbc` made it of the other one.
    #[test]
    fn a_key_with_a_passphrase_is_opened() {
        let sealed = include_str!("testdata/sealed.pem");
        assert!(given([("key", sealed), ("pass", "open sesame")]).rsa().is_ok());
        let error = given([("key", sealed), ("pass", "wrong")]).rsa().err().unwrap();
        assert_eq!(error.problem, "cannot be decrypted with this passphrase");
    }

    #[test]
    fn a_key_out_of_json_is_read() {
        let pem = include_str!("testdata/rfc7515-a2.pem");
        assert!(given([("key", pem)]).rsa().is_ok());
        assert!(given([("key", pem.replace('\n', "\\n").as_str())]).rsa().is_ok());
    }
}
