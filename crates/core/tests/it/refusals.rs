//! Contract §4.6: what is rejected, and as what.
use std::time::Instant;

use certkeep_core::material::{self, Refusal};
use rcgen::{KeyPair, date_time_ymd};

use crate::fixture::{Ca, OTHER_RSA, P256, RSA, block, ca_params, certificates, leaf_params, now, server, trusted};
use crate::openssl::openssl;

fn refused_as_server(cases: &[(&str, Vec<u8>, Refusal)]) {
    for (what, content, refusal) in cases {
        assert_eq!(server(content).map(|_| ()), Err(refusal.clone()), "{what}");
    }
}

#[test]
fn server_files() {
    let bundle = &*P256;
    let other = KeyPair::generate().unwrap();
    let chain = certificates(&bundle.chain());
    let file = |parts: &[&str]| parts.concat().into_bytes();

    let own_key = KeyPair::generate().unwrap();
    let own_ca = ca_params("pbx.example.com").self_signed(&own_key).unwrap();
    let mut old = leaf_params(&["pbx.example.com"]);
    old.not_after = date_time_ymd(2026, 5, 31);
    let expired = bundle.intermediate.sign(&old, &bundle.key);
    let stranger = Ca::root("Stranger", &rcgen::PKCS_ECDSA_P256_SHA256);
    let namesake = Ca::root("Intermediate", &rcgen::PKCS_ECDSA_P256_SHA256);
    let leaf = block("CERTIFICATE", &bundle.leaf);

    refused_as_server(&[
        ("an empty file", vec![], Refusal::NoCertificate),
        ("a text", b"hello".to_vec(), Refusal::NoCertificate),
        ("a key alone", file(&[&bundle.key_pem()]), Refusal::NoCertificate),
        ("a key alone, DER", OTHER_RSA.serialized_der().to_vec(), Refusal::NoCertificate),
        ("a chain alone", file(&[&chain]), Refusal::NoKey),
        ("a certificate alone, DER", bundle.leaf.clone(), Refusal::NoKey),
        ("a CA's certificate alone", bundle.root.der.clone(), Refusal::CaAsServer),
        (
            "a CA's certificate and key",
            file(&[&block("CERTIFICATE", own_ca.der()), &block("PRIVATE KEY", own_key.serialized_der())]),
            Refusal::CaAsServer,
        ),
        ("another key", file(&[&block("PRIVATE KEY", other.serialized_der()), &chain]), Refusal::KeyMismatch),
        ("another kind of key", file(&[&block("PRIVATE KEY", OTHER_RSA.serialized_der()), &chain]), Refusal::KeyMismatch),
        ("two keys", file(&[&bundle.key_pem(), &block("PRIVATE KEY", other.serialized_der()), &chain]), Refusal::TooMany),
        ("expired", file(&[&bundle.key_pem(), &block("CERTIFICATE", &expired)]), Refusal::Expired),
        ("a gap", file(&[&bundle.key_pem(), &leaf, &block("CERTIFICATE", &bundle.root.der)]), Refusal::BrokenChain),
        ("a stranger", file(&[&bundle.pem(), &block("CERTIFICATE", &stranger.der)]), Refusal::BrokenChain),
        (
            "a namesake of the issuer",
            file(&[&bundle.key_pem(), &leaf, &block("CERTIFICATE", &namesake.der)]),
            Refusal::BrokenChain,
        ),
        ("a request", file(&[&bundle.pem(), &block("CERTIFICATE REQUEST", b"x")]), Refusal::TrailingGarbage),
        ("octets at the end", file(&[&bundle.pem(), "x"]), Refusal::TrailingGarbage),
        ("an unfinished block at the end", file(&[&bundle.pem(), "-----BEGIN CERTIFICATE-----\nMIIB"]), Refusal::TrailingGarbage),
        (
            "octets in a block",
            file(&[&bundle.key_pem(), &block("CERTIFICATE", &[&bundle.leaf[..], b"x"].concat())]),
            Refusal::TrailingGarbage,
        ),
        ("octets behind DER", [&bundle.leaf[..], b"x"].concat(), Refusal::TrailingGarbage),
        ("half a block", bundle.pem().into_bytes()[..100].to_vec(), Refusal::Unreadable),
        ("half a certificate, DER", bundle.leaf[..200].to_vec(), Refusal::Unreadable),
        ("a damaged certificate", file(&[&bundle.key_pem(), &block("CERTIFICATE", &bundle.leaf[..200])]), Refusal::Unreadable),
        ("a damaged key", file(&[&block("PRIVATE KEY", &bundle.key.serialized_der()[..40]), &chain]), Refusal::Unreadable),
        ("PKCS#7", openssl_pkcs7(&chain), Refusal::Unreadable),
    ]);
}

fn openssl_pkcs7(chain: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chain.pem");
    std::fs::write(&file, chain).unwrap();
    openssl(&format!("crl2pkcs7 -nocrl -outform DER -certfile {}", file.display()), b"")
}

#[test]
fn keys_that_are_not_served() {
    let chain = certificates(&RSA.chain());
    for (words, refusal) in [
        ("genrsa -traditional 1024", Refusal::WeakKey),
        ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024", Refusal::WeakKey),
        ("ecparam -name secp256k1 -genkey -noout", Refusal::UnsupportedKey),
        ("ecparam -name secp224r1 -genkey -noout", Refusal::UnsupportedKey),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", Refusal::UnsupportedKey),
        ("genpkey -algorithm ED448", Refusal::UnsupportedKey),
        ("genpkey -algorithm X25519", Refusal::UnsupportedKey),
        ("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", Refusal::UnsupportedKey),
        ("dsaparam -genkey -noout 1024", Refusal::UnsupportedKey),
    ] {
        let key = openssl(words, b"");
        assert_eq!(server(&[&key, chain.as_bytes()].concat()).map(|_| ()), Err(refusal), "{words}");
    }
    let dsa = openssl("pkcs8 -topk8 -nocrypt", &openssl("dsaparam -genkey -noout 1024", b""));
    assert_eq!(server(&[&dsa, chain.as_bytes()].concat()).map(|_| ()), Err(Refusal::UnsupportedKey));
}

#[test]
fn trusted_files() {
    let bundle = &*P256;
    let mut old = ca_params("Old");
    old.not_after = date_time_ymd(2026, 5, 31);
    let expired = old.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let stranger = Ca::root("Stranger", &rcgen::PKCS_ECDSA_P256_SHA256);
    let root = block("CERTIFICATE", &bundle.root.der);
    let cases = [
        ("an empty file", vec![], Refusal::NoCertificate),
        ("a leaf", bundle.leaf.clone(), Refusal::LeafAsTrusted),
        ("a server's whole file", bundle.pem().into_bytes(), Refusal::LeafAsTrusted),
        ("a CA's certificate and key", (root.clone() + &bundle.key_pem()).into_bytes(), Refusal::TooMany),
        ("an expired CA", expired.der().to_vec(), Refusal::Expired),
        ("two CAs", (root.clone() + &block("CERTIFICATE", &stranger.der)).into_bytes(), Refusal::BrokenChain),
        ("octets at the end", (root + "x").into_bytes(), Refusal::TrailingGarbage),
        ("half a certificate", bundle.root.der[..100].to_vec(), Refusal::Unreadable),
    ];
    for (what, content, refusal) in cases {
        assert_eq!(trusted(&content).map(|_| ()), Err(refusal), "{what}");
    }
}

#[test]
fn the_last_second_is_still_valid() {
    let bundle = &*P256;
    let file = bundle.pem();
    let last = "2027-01-01T00:00:00Z".parse().unwrap();
    let after = "2027-01-01T00:00:01Z".parse().unwrap();
    let before = "2025-01-01T00:00:00Z".parse().unwrap();
    assert!(material::server(file.as_bytes(), None, last).is_ok());
    assert_eq!(material::server(file.as_bytes(), None, after).map(|_| ()), Err(Refusal::Expired));
    assert!(material::server(file.as_bytes(), None, before).is_ok(), "a certificate may be brought before its time");
}

#[test]
fn without_end_is_far_away() {
    let mut params = leaf_params(&["pbx.example.com"]);
    params.not_after = date_time_ymd(9999, 12, 31);
    let key = KeyPair::generate().unwrap();
    let file = block("CERTIFICATE", params.self_signed(&key).unwrap().der()) + &block("PRIVATE KEY", key.serialized_der());
    let read = server(file.as_bytes()).unwrap();
    assert!(read.facts.held.validity.not_after.to_string().starts_with("9999-12-3"));
    assert!(read.facts.held.validity.not_after > now());
}

#[test]
fn too_many_certificates_are_refused_fast() {
    let bundle = &*P256;
    let one = block("CERTIFICATE", &bundle.root.der);
    let begun = Instant::now();
    let many = one.repeat(2_000);
    assert_eq!(server((bundle.key_pem() + &many).as_bytes()).map(|_| ()), Err(Refusal::TooMany));
    assert_eq!(trusted(many.as_bytes()).map(|_| ()), Err(Refusal::TooMany));
    // Whoever tries every pair of them takes minutes.
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());

    let namesakes: String = (0..16).map(|_| block("CERTIFICATE", &Ca::root("Root", &rcgen::PKCS_ED25519).der)).collect();
    let begun = Instant::now();
    assert_eq!(trusted(namesakes.as_bytes()).map(|_| ()), Err(Refusal::BrokenChain));
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[test]
fn a_container_that_asks_for_endless_work_is_refused_fast() {
    let begun = Instant::now();
    let file = |der: &[u8]| block("ENCRYPTED PRIVATE KEY", der) + &certificates(&P256.chain());
    let password = secrecy::SecretString::from("secret");
    let key = openssl("pkcs8 -topk8 -outform DER -passout pass:secret -iter 65536", P256.key_pem().as_bytes());
    let read = material::server(file(&key).as_bytes(), Some(&password), now());
    assert!(read.is_ok(), "{read:?}");
    // INTEGER 65536 is three octets; 0x7FFFFF is over eight million rounds.
    let position = key.windows(5).position(|octets| octets == [2, 3, 1, 0, 0]).unwrap();
    let mut greedy = key.clone();
    greedy[position + 2..position + 5].copy_from_slice(&[0x7F, 0xFF, 0xFF]);
    let read = material::server(file(&greedy).as_bytes(), Some(&password), now());
    assert_eq!(read.map(|_| ()), Err(Refusal::Unreadable));
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

#[test]
fn every_refusal_has_its_own_word() {
    let words: std::collections::BTreeSet<&str> = [
        Refusal::BrokenChain,
        Refusal::CaAsServer,
        Refusal::EncryptedKey,
        Refusal::Expired,
        Refusal::KeyMismatch,
        Refusal::LeafAsTrusted,
        Refusal::NoCertificate,
        Refusal::NoKey,
        Refusal::TooMany,
        Refusal::TrailingGarbage,
        Refusal::Unreadable,
        Refusal::UnsupportedKey,
        Refusal::WeakKey,
    ]
    .iter()
    .map(Refusal::validation_type)
    .collect();
    assert_eq!(words.len(), 13);
}
