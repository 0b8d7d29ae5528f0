//! What must hold for any octets whatever that are uploaded; the fuzz target includes this file.
use certkeep_core::material::{self, Chain, PrivateKey};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

/// Reads octets in every way there is; what is accepted has to be accepted again in the form we write it.
pub(crate) fn upload(content: &[u8]) {
    let now: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
    for password in [None, Some(SecretString::from("secret"))] {
        if let Ok(server) = material::server(content, password.as_ref(), now) {
            assert!((1..=16).contains(&server.chain.certificates().len()));
            let written = server.key.to_pem().expose_secret().to_owned() + &server.chain.to_pem();
            let again = material::server(written.as_bytes(), None, now).expect("what was accepted is accepted again");
            assert_eq!(again.chain, server.chain);
            assert_eq!(again.facts, server.facts);
            assert_eq!(again.key.expose_pkcs8(), server.key.expose_pkcs8());
            assert_eq!(Chain::parse_pem(&server.chain.to_pem()).as_ref(), Ok(&server.chain));
        }
        if let Ok(trusted) = material::trusted(content, password.as_ref(), now) {
            let again =
                material::trusted(trusted.chain.to_pem().as_bytes(), None, now).expect("what was trusted is trusted again");
            assert_eq!(again.chain, trusted.chain);
            assert_eq!(again.facts, trusted.facts);
        }
    }
    if let Ok(text) = std::str::from_utf8(content) {
        let _ = Chain::parse_pem(text).map(|chain| chain.facts());
        let _ = PrivateKey::parse_pem(text);
    }
}
