//! Signed requests that instant-acme does not make (RFC 8555 §6.2, §7.3.4, §7.3.5; RFC 7515 §7.2.2).
use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde_json::{Value, json};

/// Tolerates padding, which RFC 8555 forbids and many CAs' consoles show.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key that signs requests: an account's, or a certificate's own.
pub(crate) enum SigningKey {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// Whose signature a request bears.
#[derive(Clone, Copy)]
pub(crate) enum By<'a> {
    /// An account, named by its URL.
    Account(&'a str),
    /// A key that is sent along.
    Key,
}

impl SigningKey {
    /// From PKCS#8 in DER; `None` for a key of another kind.
    pub(crate) fn new(pkcs8: &[u8]) -> Option<SigningKey> {
        let ecdsa = |curve| EcdsaKeyPair::from_pkcs8(curve, pkcs8).ok();
        ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map(SigningKey::P256)
            .or_else(|| ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING).map(SigningKey::P384))
            .or_else(|| RsaKeyPair::from_pkcs8(pkcs8).ok().map(SigningKey::Rsa))
    }

    /// The public half (RFC 7517, RFC 7518 §6.2.1, §6.3.1).
    pub(crate) fn jwk(&self) -> Value {
        let ec = |curve: &str, pair: &EcdsaKeyPair, size: usize| {
            // An uncompressed point: a tag and two coordinates.
            let point = pair.public_key().as_ref();
            let coordinate = |from: usize| BASE64_URL_SAFE_NO_PAD.encode(point.get(from..from + size).unwrap_or_default());
            json!({ "crv": curve, "kty": "EC", "x": coordinate(1), "y": coordinate(1 + size) })
        };
        match self {
            SigningKey::P256(pair) => ec("P-256", pair, 32),
            SigningKey::P384(pair) => ec("P-384", pair, 48),
            SigningKey::Rsa(pair) => {
                let (modulus, exponent) = rsa_numbers(pair.public_key().as_ref()).unwrap_or_default();
                let encode = |number: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(number);
                json!({ "e": encode(exponent), "kty": "RSA", "n": encode(modulus) })
            }
        }
    }

    /// The thumbprint of the public half (RFC 7638): base64url of a SHA-256.
    pub(crate) fn thumbprint(&self) -> String {
        // serde_json keeps the members in the order of their names, without white space, as the RFC wants them.
        BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.jwk().to_string().as_bytes()))
    }

    /// The private key as JWK (RFC 7518 §6.2.2); `None` for RSA, which no account of ours has.
    pub(crate) fn private_jwk(&self) -> Option<SecretString> {
        let (SigningKey::P256(pair) | SigningKey::P384(pair)) = self else { return None };
        let number: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().ok()?;
        let mut jwk = self.jwk();
        jwk.as_object_mut()?.insert("d".to_owned(), json!(BASE64_URL_SAFE_NO_PAD.encode(number.as_ref())));
        Some(jwk.to_string().into())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            SigningKey::P256(_) => "ES256",
            SigningKey::P384(_) => "ES384",
            SigningKey::Rsa(_) => "RS256",
        }
    }

    fn sign(&self, input: &[u8]) -> Result<Vec<u8>, Unspecified> {
        match self {
            SigningKey::P256(pair) | SigningKey::P384(pair) => Ok(pair.sign(&SystemRandom::new(), input)?.as_ref().to_vec()),
            SigningKey::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature)?;
                Ok(signature)
            }
        }
    }

    /// A request; without a payload a POST-as-GET (RFC 8555 §6.3), without a nonce the inner half of a key change.
    pub(crate) fn request(
        &self,
        by: By<'_>,
        url: &str,
        nonce: Option<&str>,
        payload: Option<&Value>,
    ) -> Result<Value, Unspecified> {
        let mut header = json!({ "alg": self.algorithm(), "url": url });
        let (member, value) = match by {
            By::Account(kid) => ("kid", json!(kid)),
            By::Key => ("jwk", self.jwk()),
        };
        if let Some(members) = header.as_object_mut() {
            members.insert(member.to_owned(), value);
            members.extend(nonce.map(|nonce| ("nonce".to_owned(), json!(nonce))));
        }
        let payload = payload.map(Value::to_string).unwrap_or_default();
        flattened(&header, &payload, |input| self.sign(input))
    }

    /// The consent of an external account to be bound to this key.
    pub(crate) fn binding(&self, url: &str, kid: &str, mac: &SecretSlice<u8>) -> Result<Value, Unspecified> {
        let header = json!({ "alg": "HS256", "kid": kid, "url": url });
        let mac = hmac::Key::new(hmac::HMAC_SHA256, mac.expose_secret());
        flattened(&header, &self.jwk().to_string(), |input| Ok(hmac::sign(&mac, input).as_ref().to_vec()))
    }
}

/// Modulus and exponent of an RSAPublicKey in DER (RFC 8017 §A.1.1), without leading zeros.
fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, _) = der_element(der, 0x30)?;
    let (modulus, rest) = der_element(key, 0x02)?;
    let (exponent, _) = der_element(rest, 0x02)?;
    let unsigned = |number: &'_ [u8]| number.iter().take_while(|octet| **octet == 0).count();
    Some((modulus.get(unsigned(modulus)..)?, exponent.get(unsigned(exponent)..)?))
}

/// The contents of the first element, and what follows it.
fn der_element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = if *length < 0x80 {
        (usize::from(*length), rest)
    } else {
        let (octets, rest) = rest.split_at_checked(usize::from(*length & 0x7f).min(4))?;
        (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
    };
    (*first == tag).then(|| rest.split_at_checked(length))?
}

/// An HMAC key as CAs show it: base64url or standard base64, with or without padding.
pub(crate) fn mac_key(text: &SecretString) -> Option<SecretSlice<u8>> {
    let text: SecretString = text.expose_secret().trim().replace('+', "-").replace('/', "_").into();
    let key = URL_SAFE.decode(text.expose_secret()).ok()?;
    (!key.is_empty()).then(|| key.into())
}

fn flattened(header: &Value, payload: &str, sign: impl Fn(&[u8]) -> Result<Vec<u8>, Unspecified>) -> Result<Value, Unspecified> {
    let protected = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
    let payload = BASE64_URL_SAFE_NO_PAD.encode(payload);
    let signature = sign(format!("{protected}.{payload}").as_bytes())?;
    Ok(json!({
        "protected": protected,
        "payload": payload,
        "signature": BASE64_URL_SAFE_NO_PAD.encode(signature),
    }))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    };
    use certkeep_core::material::{KeyType, PrivateKey};

    use super::*;

    fn key_of(kind: KeyType) -> SigningKey {
        SigningKey::new(PrivateKey::generate(kind).unwrap().expose_pkcs8()).unwrap()
    }

    fn key() -> SigningKey {
        key_of(KeyType::P256)
    }

    fn decoded(part: &Value) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(part.as_str().unwrap()).unwrap()
    }

    fn header(jws: &Value) -> Value {
        serde_json::from_slice(&decoded(&jws["protected"])).unwrap()
    }

    #[test]
    fn a_request_verifies_by_the_key_it_bears() {
        for (kind, algorithm) in [(KeyType::P256, "ES256"), (KeyType::P384, "ES384"), (KeyType::Rsa2048, "RS256")] {
            let payload = json!({ "a": 1 });
            let jws = key_of(kind).request(By::Key, "https://ca.example/new", Some("n1"), Some(&payload)).unwrap();
            let header = header(&jws);
            assert_eq!((&header["nonce"], &header["alg"]), (&json!("n1"), &json!(algorithm)));
            assert_eq!(header["url"], "https://ca.example/new");
            let input = format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap());
            let (input, signature) = (input.as_bytes(), decoded(&jws["signature"]));
            let jwk = &header["jwk"];
            let point = || [vec![4], decoded(&jwk["x"]), decoded(&jwk["y"])].concat();
            match kind {
                KeyType::P256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point()).verify(input, &signature).unwrap(),
                KeyType::P384 => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point()).verify(input, &signature).unwrap(),
                _ => RsaPublicKeyComponents { n: decoded(&jwk["n"]), e: decoded(&jwk["e"]) }
                    .verify(&RSA_PKCS1_2048_8192_SHA256, input, &signature)
                    .unwrap(),
            }
            assert_eq!(decoded(&jws["payload"]), br#"{"a":1}"#);
        }
    }

    #[test]
    fn the_private_key_leaves_as_jwk_with_both_halves() {
        let key = key();
        let jwk: Value = serde_json::from_str(key.private_jwk().unwrap().expose_secret()).unwrap();
        assert_eq!((&jwk["x"], &jwk["y"]), (&key.jwk()["x"], &key.jwk()["y"]));
        let point = [vec![4], decoded(&jwk["x"]), decoded(&jwk["y"])].concat();
        EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &decoded(&jwk["d"]), &point).unwrap();
        assert!(key_of(KeyType::Rsa2048).private_jwk().is_none());
    }

    #[test]
    fn a_thumbprint_is_that_of_the_members_in_order() {
        let key = key();
        let (x, y) = (key.jwk()["x"].as_str().unwrap().to_owned(), key.jwk()["y"].as_str().unwrap().to_owned());
        let canonical = format!("{{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"{x}\",\"y\":\"{y}\"}}");
        assert_eq!(key.thumbprint(), BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes())));
    }

    #[test]
    fn a_request_of_an_account_names_it_and_bears_no_key() {
        let jws = key().request(By::Account("https://ca.example/1"), "https://ca.example/get", Some("n1"), None).unwrap();
        assert_eq!(
            header(&jws),
            json!({ "alg": "ES256", "kid": "https://ca.example/1", "nonce": "n1", "url": "https://ca.example/get" })
        );
        assert_eq!(jws["payload"], "", "a POST-as-GET");
    }

    #[test]
    fn a_binding_has_no_nonce_and_holds_the_account_key() {
        let key = key();
        let mac = mac_key(&"zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W".into()).unwrap();
        let jws = key.binding("https://ca.example/new", "kid-1", &mac).unwrap();
        assert_eq!(header(&jws), json!({ "alg": "HS256", "kid": "kid-1", "url": "https://ca.example/new" }));
        assert_eq!(serde_json::from_slice::<Value>(&decoded(&jws["payload"])).unwrap(), key.jwk());
    }

    #[test]
    fn mac_keys_in_every_base64() {
        let bytes = [0xfb, 0xff, 0xfe, 0x01];
        for text in ["-__-AQ", "-__-AQ==", "+//+AQ==", "+//+AQ", " -__-AQ\n"] {
            assert_eq!(mac_key(&text.into()).map(|key| key.expose_secret().to_vec()), Some(bytes.to_vec()), "{text:?}");
        }
        for text in ["", "not base64!", "A"] {
            assert!(mac_key(&text.into()).is_none(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_mac_key_is_read_from_each_base64(bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..80)) {
            use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE};
            for engine in [&BASE64_STANDARD, &BASE64_STANDARD_NO_PAD, &BASE64_URL_SAFE, &BASE64_URL_SAFE_NO_PAD] {
                let key = mac_key(&engine.encode(&bytes).into()).unwrap();
                assert_eq!(key.expose_secret(), bytes.as_slice());
            }
        }

        #[test]
        fn no_text_breaks_the_reading(text in ".{0,60}") {
            let _ = mac_key(&text.into());
        }
    }
}
