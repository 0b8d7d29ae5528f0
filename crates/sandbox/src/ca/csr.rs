//! Certificate signing requests: what is read from them and what is refused
//! (RFC 8555 §7.4, RFC 2986).

use std::collections::BTreeSet;

use rcgen::SubjectPublicKeyInfo;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use super::jwk::Jwk;
use super::problem::{Kind, Problem};

/// Shortest RSA key certified, in bits.
const MIN_RSA_BITS: usize = 2048;

/// What a request asks for, its signature checked.
pub(super) struct Csr {
    /// The DNS names of subject and subjectAltName, in lower case.
    pub(super) names: BTreeSet<String>,
    pub(super) key: SubjectPublicKeyInfo,
}

impl Csr {
    /// Reads a request, which must not hold the key of the account that sends it.
    pub(super) fn parse(der: &[u8], account_key: &Jwk) -> Result<Csr, Problem> {
        let bad = |detail: &str| Problem::new(Kind::BadCsr, format!("csr: {detail}"));
        let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| bad("not a PKCS#10 request"))?;
        if !rest.is_empty() {
            return Err(bad("bytes follow the request"));
        }
        request.verify_signature().map_err(|_| bad("the signature is wrong or of an unknown kind"))?;
        let info = &request.certification_request_info;
        if account_key.is_key_of(&info.subject_pki) {
            return Err(bad("the account's key must not be certified"));
        }
        if let Ok(PublicKey::RSA(key)) = info.subject_pki.parsed()
            && key.key_size() < MIN_RSA_BITS
        {
            let detail = "csr: RSA keys have 2048 bits or more";
            return Err(Problem::new(Kind::BadPublicKey, detail));
        }
        let key = SubjectPublicKeyInfo::from_der(info.subject_pki.raw)
            .map_err(|_| bad("a public key of a kind that is not certified here"))?;
        let mut names = BTreeSet::new();
        for common_name in info.subject.iter_common_name() {
            let name = common_name.as_str().map_err(|_| bad("the CN is not text"))?;
            names.insert(name.to_ascii_lowercase());
        }
        for extension in request.requested_extensions().into_iter().flatten() {
            let ParsedExtension::SubjectAlternativeName(alternative) = extension else {
                continue;
            };
            for name in &alternative.general_names {
                let GeneralName::DNSName(name) = name else {
                    return Err(bad("only DNS names are certified"));
                };
                names.insert(name.to_ascii_lowercase());
            }
        }
        Ok(Csr { names, key })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::PublicKeyData;

    use super::*;

    const ACCOUNT_KEY: Jwk = Jwk::Ed25519 { x: Vec::new() };

    fn request() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["A.example.com".to_owned()]).unwrap();
        params.serialize_request(&key).unwrap().der().to_vec()
    }

    #[test]
    fn names_are_read_in_lower_case() {
        let csr = Csr::parse(&request(), &ACCOUNT_KEY).ok().unwrap();
        assert!(csr.names.contains("a.example.com"));
    }

    proptest! {
        // Not every octet around the signed part means something to a lenient reader.
        #[test]
        fn a_request_with_a_byte_changed_is_refused_or_says_the_same(at in any::<prop::sample::Index>(), by in 1u8..) {
            let mut der = request();
            let before = Csr::parse(&der, &ACCOUNT_KEY).ok().unwrap();
            let at = at.index(der.len());
            der[at] ^= by;
            if let Ok(after) = Csr::parse(&der, &ACCOUNT_KEY) {
                prop_assert_eq!(after.names, before.names);
                prop_assert_eq!(after.key.subject_public_key_info(), before.key.subject_public_key_info());
            }
        }

        #[test]
        fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Csr::parse(&bytes, &ACCOUNT_KEY).is_err());
        }
    }
}
