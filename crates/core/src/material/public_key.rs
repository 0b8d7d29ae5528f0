//! Public keys and the signatures that they verify.
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::oid_registry as oid;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// The kind of a key that can be served; everything else is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Ed25519,
    Other,
    P256,
    P384,
    P521,
    Rsa,
}

/// A public key: its kind and its bits (RFC 5280 §4.1, `subjectPublicKey`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicKey {
    pub(super) algorithm: Algorithm,
    pub(super) bits: Vec<u8>,
}

/// How a certificate is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Ecdsa(Hash),
    Ed25519,
    /// MD5 and whatever else is not verified any more; such a signature never holds.
    Other,
    RsaPkcs1(Hash),
    RsaPss(Hash),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl PublicKey {
    pub(super) fn new(info: &SubjectPublicKeyInfo<'_>) -> PublicKey {
        let kind = &info.algorithm.algorithm;
        let algorithm = if *kind == oid::OID_PKCS1_RSAENCRYPTION {
            Algorithm::Rsa
        } else if *kind == oid::OID_SIG_ED25519 {
            Algorithm::Ed25519
        } else if *kind == oid::OID_KEY_TYPE_EC_PUBLIC_KEY {
            match info.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok()) {
                Some(curve) if curve == oid::OID_EC_P256 => Algorithm::P256,
                Some(curve) if curve == oid::OID_NIST_EC_P384 => Algorithm::P384,
                Some(curve) if curve == oid::OID_NIST_EC_P521 => Algorithm::P521,
                _ => Algorithm::Other,
            }
        } else {
            Algorithm::Other
        };
        PublicKey { algorithm, bits: info.subject_public_key.data.to_vec() }
    }

    /// Whether this key made the signature.
    pub(super) fn verifies(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> bool {
        verifier(self.algorithm, scheme)
            .is_some_and(|verifier| UnparsedPublicKey::new(verifier, &self.bits).verify(message, signature).is_ok())
    }
}

impl Scheme {
    pub(super) fn new(identifier: &AlgorithmIdentifier<'_>) -> Scheme {
        let kind = &identifier.algorithm;
        let table = [
            (oid::OID_PKCS1_SHA256WITHRSA, Scheme::RsaPkcs1(Hash::Sha256)),
            (oid::OID_PKCS1_SHA384WITHRSA, Scheme::RsaPkcs1(Hash::Sha384)),
            (oid::OID_PKCS1_SHA512WITHRSA, Scheme::RsaPkcs1(Hash::Sha512)),
            (oid::OID_PKCS1_SHA1WITHRSA, Scheme::RsaPkcs1(Hash::Sha1)),
            (oid::OID_SHA1_WITH_RSA, Scheme::RsaPkcs1(Hash::Sha1)),
            (oid::OID_SIG_ECDSA_WITH_SHA256, Scheme::Ecdsa(Hash::Sha256)),
            (oid::OID_SIG_ECDSA_WITH_SHA384, Scheme::Ecdsa(Hash::Sha384)),
            (oid::OID_SIG_ECDSA_WITH_SHA512, Scheme::Ecdsa(Hash::Sha512)),
            (oid::OID_SIG_ED25519, Scheme::Ed25519),
        ];
        if let Some((_, scheme)) = table.iter().find(|(oid, _)| oid == kind) {
            return *scheme;
        }
        let parameters = identifier.parameters.as_ref().filter(|_| *kind == oid::OID_PKCS1_RSASSAPSS);
        match parameters.map(RsaSsaPssParams::try_from) {
            Some(Ok(parameters)) if *parameters.hash_algorithm_oid() == oid::OID_NIST_HASH_SHA256 => Scheme::RsaPss(Hash::Sha256),
            Some(Ok(parameters)) if *parameters.hash_algorithm_oid() == oid::OID_NIST_HASH_SHA384 => Scheme::RsaPss(Hash::Sha384),
            Some(Ok(parameters)) if *parameters.hash_algorithm_oid() == oid::OID_NIST_HASH_SHA512 => Scheme::RsaPss(Hash::Sha512),
            _ => Scheme::Other,
        }
    }
}

/// Verification here only tells which certificate was issued by which; whom to trust is not decided by it. Hence the
/// weak sizes and hashes that old private CAs still have.
fn verifier(algorithm: Algorithm, scheme: Scheme) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (algorithm, scheme) {
        (Algorithm::Rsa, Scheme::RsaPkcs1(Hash::Sha1)) => &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        (Algorithm::Rsa, Scheme::RsaPkcs1(Hash::Sha256)) => &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        (Algorithm::Rsa, Scheme::RsaPkcs1(Hash::Sha384)) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (Algorithm::Rsa, Scheme::RsaPkcs1(Hash::Sha512)) => &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        (Algorithm::Rsa, Scheme::RsaPss(Hash::Sha256)) => &signature::RSA_PSS_2048_8192_SHA256,
        (Algorithm::Rsa, Scheme::RsaPss(Hash::Sha384)) => &signature::RSA_PSS_2048_8192_SHA384,
        (Algorithm::Rsa, Scheme::RsaPss(Hash::Sha512)) => &signature::RSA_PSS_2048_8192_SHA512,
        (Algorithm::P256, Scheme::Ecdsa(Hash::Sha256)) => &signature::ECDSA_P256_SHA256_ASN1,
        (Algorithm::P256, Scheme::Ecdsa(Hash::Sha384)) => &signature::ECDSA_P256_SHA384_ASN1,
        (Algorithm::P256, Scheme::Ecdsa(Hash::Sha512)) => &signature::ECDSA_P256_SHA512_ASN1,
        (Algorithm::P384, Scheme::Ecdsa(Hash::Sha256)) => &signature::ECDSA_P384_SHA256_ASN1,
        (Algorithm::P384, Scheme::Ecdsa(Hash::Sha384)) => &signature::ECDSA_P384_SHA384_ASN1,
        (Algorithm::P384, Scheme::Ecdsa(Hash::Sha512)) => &signature::ECDSA_P384_SHA512_ASN1,
        (Algorithm::P521, Scheme::Ecdsa(Hash::Sha256)) => &signature::ECDSA_P521_SHA256_ASN1,
        (Algorithm::P521, Scheme::Ecdsa(Hash::Sha384)) => &signature::ECDSA_P521_SHA384_ASN1,
        (Algorithm::P521, Scheme::Ecdsa(Hash::Sha512)) => &signature::ECDSA_P521_SHA512_ASN1,
        (Algorithm::Ed25519, Scheme::Ed25519) => &signature::ED25519,
        _ => return None,
    })
}
