//! Requests, and the check of what a CA made of them.
use certkeep_core::material::{
    Chain, IssuedProblem, KeyType, PrivateKey, certificate_request, check_issued, self_signed, server,
};
use certkeep_core::name::DnsName;
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateSigningRequestParams, KeyPair};
use secrecy::ExposeSecret;
use x509_parser::prelude::{FromDer, ParsedExtension, X509CertificationRequest};

use crate::fixture::{P256, block, certificates, leaf_params, now};
use crate::openssl::openssl;

fn names(texts: &[&str]) -> Vec<DnsName> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_request_bears_the_names_in_order() {
    let long = format!("{}.example.com", "a".repeat(60));
    let cases: [(&[&str], Option<&str>); 3] = [
        (&["example.com", "*.example.com", "bücher.example"], Some("example.com")),
        (&["*.example.com"], Some("*.example.com")),
        (&[&long, "example.com"], None),
    ];
    for kind in [KeyType::P256, KeyType::P384, KeyType::Rsa2048] {
        let key = PrivateKey::generate(kind).unwrap();
        for (texts, common_name) in cases {
            let names = names(texts);
            let der = certificate_request(&key, &names).unwrap();
            let (rest, request) = X509CertificationRequest::from_der(&der).unwrap();
            assert!(rest.is_empty());
            request.verify_signature().unwrap();
            let info = &request.certification_request_info;
            let borne: Vec<String> = request
                .requested_extensions()
                .unwrap()
                .filter_map(|extension| match extension {
                    ParsedExtension::SubjectAlternativeName(names) => Some(names.general_names.clone()),
                    _ => None,
                })
                .flatten()
                .map(|name| name.to_string().replace("DNSName(", "").replace(')', ""))
                .collect();
            let asked: Vec<&str> = names.iter().map(DnsName::as_str).collect();
            assert_eq!(borne, asked);
            assert_eq!(info.subject.iter_common_name().next().map(|name| name.as_str().unwrap()), common_name);
            assert_eq!(info.subject.iter_rdn().count(), usize::from(common_name.is_some()));
        }
    }
    let der = certificate_request(&PrivateKey::generate(KeyType::Rsa4096).unwrap(), &names(&["example.com"])).unwrap();
    openssl("req -inform DER -verify -noout", &der);
}

/// What our fixture CA makes of a request.
fn issue(key: &PrivateKey, asked: &[DnsName]) -> Chain {
    let request = certificate_request(key, asked).unwrap();
    let mut request = CertificateSigningRequestParams::from_der(&request.as_slice().into()).unwrap();
    request.params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    request.params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    let leaf = request.signed_by(&P256.intermediate.issuer).unwrap();
    Chain::parse_pem(&certificates(&[leaf.der().to_vec(), P256.intermediate.der.clone()])).unwrap()
}

#[test]
fn what_was_asked_for_is_accepted() {
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let chain = issue(&key, &names(&["example.com", "*.example.com"]));
    let facts = check_issued(&chain, &key, &names(&["*.example.com", "example.com"]), now()).unwrap();
    assert_eq!(facts, chain.facts().unwrap());
    assert_eq!(facts.held.issue_to, "example.com");
    // What was issued can be uploaded elsewhere.
    let file = key.to_pem().expose_secret().to_owned() + &chain.to_pem();
    assert_eq!(server(file.as_bytes(), None, now()).unwrap().chain, chain);
}

#[test]
fn capitals_do_not_matter() {
    let key = KeyPair::generate().unwrap();
    let leaf = P256.intermediate.sign(&leaf_params(&["PBX.Example.com"]), &key);
    let key = PrivateKey::from_pkcs8(key.serialized_der().to_vec());
    assert!(check_issued(&Chain::new(vec![leaf]).unwrap(), &key, &names(&["pbx.example.com"]), now()).is_ok());
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    let asked = names(&["example.com", "*.example.com"]);
    let chain = issue(&key, &asked);
    let check = |chain: &Chain, key: &PrivateKey, names: &[DnsName], now: Timestamp| {
        check_issued(chain, key, names, now).map(|_| ()).unwrap_err()
    };
    let with = |certificates: &[&[u8]]| Chain::new(certificates.iter().map(|der| der.to_vec()).collect()).unwrap();
    let [leaf, intermediate] = chain.certificates() else { panic!() };
    let other = PrivateKey::generate(KeyType::P256).unwrap();

    assert_eq!(check(&chain, &other, &asked, now()), IssuedProblem::Key);
    assert_eq!(check(&chain, &PrivateKey::from_pkcs8(vec![]), &asked, now()), IssuedProblem::Key);
    for wrong in [&["example.com"][..], &["example.com", "*.example.com", "a.example.com"], &["example.com", "example.org"]] {
        assert_eq!(check(&chain, &key, &names(wrong), now()), IssuedProblem::Names);
    }
    for broken in [
        with(&[intermediate, leaf]),
        with(&[leaf, &P256.root.der]),
        with(&[leaf, leaf]),
        with(&[leaf, b"x"]),
        with(&[b""]),
        with(&[leaf.as_slice(); 17]),
        with(&[&P256.root.der]),
    ] {
        assert_eq!(check(&broken, &key, &asked, now()), IssuedProblem::Chain);
    }
    let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let end: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let minutes = SignedDuration::from_mins;
    assert_eq!(check(&chain, &key, &asked, begin - minutes(6)), IssuedProblem::Chain);
    assert!(check_issued(&chain, &key, &asked, begin - minutes(5)).is_ok(), "the CA's clock may be ahead");
    assert!(check_issued(&chain, &key, &asked, end).is_ok());
    assert_eq!(check(&chain, &key, &asked, end + minutes(1)), IssuedProblem::Chain);
}

#[test]
fn what_a_ca_sends_is_put_in_order() {
    let bundle = &*P256;
    let chain = bundle.chain();
    let mixed = certificates(&[chain[0].clone(), chain[2].clone(), chain[1].clone()]);
    assert_eq!(Chain::parse_pem(&mixed).unwrap().certificates(), chain);
    assert_eq!(Chain::parse_pem(&certificates(&chain)).unwrap().to_pem(), certificates(&chain));
    for text in ["", "hello", &(bundle.key_pem() + &certificates(&chain)), &certificates(&[chain[0].clone(), chain[2].clone()])] {
        assert!(Chain::parse_pem(text).is_err());
    }
}

#[test]
fn keys_in_pem() {
    for text in ["", &certificates(&P256.chain()), &P256.key_pem().repeat(2), &block("PRIVATE KEY", b"x")] {
        assert!(PrivateKey::parse_pem(text).is_err(), "{text}");
    }
    assert!(PrivateKey::parse_pem(&P256.key_pem()).is_ok());
}

#[test]
fn a_self_signed_certificate_can_be_served_at_once() {
    let (chain, key) = self_signed("certkeep", now()).unwrap();
    let file = key.to_pem().expose_secret().to_owned() + &chain.to_pem();
    let read = server(file.as_bytes(), None, now()).unwrap();
    assert_eq!(read.facts.held.issue_to, "certkeep");
    assert!(read.facts.held.validity.not_before < now());
    assert!(self_signed("", now()).is_ok());
    assert!(self_signed("c\u{e9}", now()).is_err());
    openssl("x509 -noout -checkhost certkeep", chain.to_pem().as_bytes());
}
