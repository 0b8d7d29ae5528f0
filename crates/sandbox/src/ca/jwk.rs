//! Account keys as JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::Value;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::problem::{Kind, Problem};

/// The signature algorithms understood.
pub(super) const ALGORITHMS: &[&str] = &["ES256", "ES384", "EdDSA", "RS256"];

/// Shortest RSA modulus taken, in bytes: 2048 bits.
const MIN_RSA: usize = 256;

/// A public key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Jwk {
    Ed25519 { x: Vec<u8> },
    P256 { x: Vec<u8>, y: Vec<u8> },
    P384 { x: Vec<u8>, y: Vec<u8> },
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl Jwk {
    /// Reads a key; members other than those that make the key are ignored.
    pub(super) fn parse(jwk: &Value) -> Result<Jwk, Problem> {
        let bad = |detail: &str| Problem::new(Kind::BadPublicKey, detail);
        let text = |member: &str| jwk.get(member).and_then(Value::as_str).unwrap_or_default();
        let bytes = |member: &str| {
            let decoded = BASE64_URL_SAFE_NO_PAD.decode(text(member));
            decoded.map_err(|_| bad(&format!("jwk: {member} is not base64url")))
        };
        let sized = |member: &str, length: usize| {
            let decoded = bytes(member)?;
            let detail = format!("jwk: {member} has the wrong length");
            (decoded.len() == length).then_some(decoded).ok_or_else(|| bad(&detail))
        };
        match (text("kty"), text("crv")) {
            ("EC", "P-256") => Ok(Jwk::P256 { x: sized("x", 32)?, y: sized("y", 32)? }),
            ("EC", "P-384") => Ok(Jwk::P384 { x: sized("x", 48)?, y: sized("y", 48)? }),
            ("OKP", "Ed25519") => Ok(Jwk::Ed25519 { x: sized("x", 32)? }),
            ("RSA", _) => {
                let n = unsigned(&bytes("n")?).to_vec();
                let e = unsigned(&bytes("e")?).to_vec();
                if n.len() < MIN_RSA || e.is_empty() {
                    return Err(bad("jwk: RSA keys have 2048 bits or more"));
                }
                Ok(Jwk::Rsa { n, e })
            }
            _ => Err(bad("jwk: neither RSA nor P-256, P-384 or Ed25519")),
        }
    }

    /// The name of the only algorithm this key signs with.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Jwk::Ed25519 { .. } => "EdDSA",
            Jwk::P256 { .. } => "ES256",
            Jwk::P384 { .. } => "ES384",
            Jwk::Rsa { .. } => "RS256",
        }
    }

    /// Whether `signature` over `message` was made with this key.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Jwk::Ed25519 { x } => UnparsedPublicKey::new(&ED25519, x).verify(message, signature).is_ok(),
            Jwk::P256 { x, y } => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(x, y)).verify(message, signature).is_ok()
            }
            Jwk::P384 { x, y } => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point(x, y)).verify(message, signature).is_ok()
            }
            Jwk::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok(),
        }
    }

    /// The thumbprint in base64url (RFC 7638): equal for equal keys, whatever their JSON.
    pub(super) fn thumbprint(&self) -> String {
        let b64 = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let canonical = match self {
            Jwk::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64(x)),
            Jwk::P256 { x, y } => ec_members("P-256", &b64(x), &b64(y)),
            Jwk::P384 { x, y } => ec_members("P-384", &b64(x), &b64(y)),
            Jwk::Rsa { n, e } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, b64(e), b64(n))
            }
        };
        b64(digest(&SHA256, canonical.as_bytes()).as_ref())
    }

    /// Whether a certificate or request holds this very key.
    pub(super) fn is_key_of(&self, info: &SubjectPublicKeyInfo<'_>) -> bool {
        let raw = info.subject_public_key.data.as_ref();
        match (self, info.parsed()) {
            (Jwk::P256 { x, y } | Jwk::P384 { x, y }, Ok(PublicKey::EC(_))) => point(x, y) == raw,
            (Jwk::Rsa { n, e }, Ok(PublicKey::RSA(key))) => {
                unsigned(key.modulus) == n.as_slice() && unsigned(key.exponent) == e.as_slice()
            }
            (Jwk::Ed25519 { x }, _) => x.as_slice() == raw,
            _ => false,
        }
    }
}

fn ec_members(curve: &str, x: &str, y: &str) -> String {
    format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#)
}

/// The uncompressed form of a point (SEC 1 §2.3.3).
fn point(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}

/// A big-endian number without leading zeros, so that equal numbers are equal bytes.
fn unsigned(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let jwk = json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
        let thumbprint = Jwk::parse(&jwk).unwrap().thumbprint();
        assert_eq!(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let keys = [
            json!(null),
            json!({ "kty": "oct", "k": "AAAA" }),
            json!({ "kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA" }),
            json!({ "kty": "EC", "crv": "P-256", "x": "=", "y": "=" }),
            json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }),
        ];
        for key in keys {
            assert!(Jwk::parse(&key).is_err(), "{key}");
        }
    }

    proptest! {
        #[test]
        fn any_key_is_read_or_refused(kty in "EC|RSA|OKP", crv in "P-256|Ed25519", x in ".*") {
            let _ = Jwk::parse(&json!({ "kty": kty, "crv": crv, "x": x, "y": x, "n": x, "e": x }));
        }
    }
}
