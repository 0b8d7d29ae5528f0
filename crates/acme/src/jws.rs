//! The two signatures of a registration (RFC 8555 §6.2, §7.3.4; RFC 7515 §7.2.2).
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
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

/// An account key.
pub(crate) struct AccountKey(EcdsaKeyPair);

impl AccountKey {
    /// From PKCS#8 in DER.
    pub(crate) fn new(pkcs8: &[u8]) -> Result<AccountKey, KeyRejected> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(AccountKey)
    }

    /// The public half (RFC 7517, RFC 7518 §6.2.1).
    fn jwk(&self) -> Value {
        // An uncompressed point: a tag and two coordinates of 32 octets.
        let point = self.0.public_key().as_ref();
        let coordinate = |from: usize| BASE64_URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
        json!({ "crv": "P-256", "kty": "EC", "x": coordinate(1), "y": coordinate(33) })
    }

    /// A request that bears its key.
    pub(crate) fn request(&self, url: &str, nonce: &str, payload: &Value) -> Result<Value, Unspecified> {
        let header = json!({ "alg": "ES256", "jwk": self.jwk(), "nonce": nonce, "url": url });
        flattened(&header, payload, |input| Ok(self.0.sign(&SystemRandom::new(), input)?.as_ref().to_vec()))
    }

    /// The consent of an external account to be bound to this key.
    pub(crate) fn binding(&self, url: &str, kid: &str, mac: &SecretSlice<u8>) -> Result<Value, Unspecified> {
        let header = json!({ "alg": "HS256", "kid": kid, "url": url });
        let mac = hmac::Key::new(hmac::HMAC_SHA256, mac.expose_secret());
        flattened(&header, &self.jwk(), |input| Ok(hmac::sign(&mac, input).as_ref().to_vec()))
    }
}

/// An HMAC key as CAs show it: base64url or standard base64, with or without padding.
pub(crate) fn mac_key(text: &SecretString) -> Option<SecretSlice<u8>> {
    let text: SecretString = text.expose_secret().trim().replace('+', "-").replace('/', "_").into();
    let key = URL_SAFE.decode(text.expose_secret()).ok()?;
    (!key.is_empty()).then(|| key.into())
}

fn flattened(
    header: &Value,
    payload: &Value,
    sign: impl Fn(&[u8]) -> Result<Vec<u8>, Unspecified>,
) -> Result<Value, Unspecified> {
    let protected = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
    let payload = BASE64_URL_SAFE_NO_PAD.encode(payload.to_string());
    let signature = sign(format!("{protected}.{payload}").as_bytes())?;
    Ok(json!({
        "protected": protected,
        "payload": payload,
        "signature": BASE64_URL_SAFE_NO_PAD.encode(signature),
    }))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    fn key() -> AccountKey {
        let (_, pkcs8) = instant_acme::Key::generate_pkcs8().unwrap();
        AccountKey::new(pkcs8.secret_pkcs8_der()).unwrap()
    }

    fn decoded(part: &Value) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(part.as_str().unwrap()).unwrap()
    }

    #[test]
    fn a_request_verifies_by_the_key_it_bears() {
        let jws = key().request("https://ca.example/new", "n1", &json!({ "a": 1 })).unwrap();
        let header: Value = serde_json::from_slice(&decoded(&jws["protected"])).unwrap();
        assert_eq!(header["nonce"], "n1");
        assert_eq!(header["url"], "https://ca.example/new");
        let point = [vec![4], decoded(&header["jwk"]["x"]), decoded(&header["jwk"]["y"])].concat();
        let input = format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap());
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(input.as_bytes(), &decoded(&jws["signature"])).unwrap();
        assert_eq!(decoded(&jws["payload"]), br#"{"a":1}"#);
    }

    #[test]
    fn a_binding_has_no_nonce_and_holds_the_account_key() {
        let key = key();
        let mac = mac_key(&"zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W".into()).unwrap();
        let jws = key.binding("https://ca.example/new", "kid-1", &mac).unwrap();
        let header: Value = serde_json::from_slice(&decoded(&jws["protected"])).unwrap();
        assert_eq!(header, json!({ "alg": "HS256", "kid": "kid-1", "url": "https://ca.example/new" }));
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
