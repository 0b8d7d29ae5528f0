//! A CA with an intermediate and a leaf, and the world around them.
use std::sync::LazyLock;

use certkeep_core::material::{self, PrivateKey, Refusal, ServerMaterial, TrustedMaterial};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, RsaKeySize, SignatureAlgorithm,
    date_time_ymd,
};
use secrecy::ExposeSecret;

/// The middle of every fixture's validity.
pub(crate) fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn server(content: &[u8]) -> Result<ServerMaterial, Refusal> {
    material::server(content, None, now())
}

pub(crate) fn trusted(content: &[u8]) -> Result<TrustedMaterial, Refusal> {
    material::trusted(content, None, now())
}

/// Parameters of a certificate that is valid in 2026.
pub(crate) fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

pub(crate) fn leaf_params(names: &[&str]) -> CertificateParams {
    let mut params = params(names[0]);
    params.subject_alt_names = names.iter().map(|name| rcgen::SanType::DnsName((*name).try_into().unwrap())).collect();
    params
}

pub(crate) fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A CA: certificate, and what signs with it.
pub(crate) struct Ca {
    pub(crate) der: Vec<u8>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn root(common_name: &str, algorithm: &'static SignatureAlgorithm) -> Ca {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = ca_params(common_name);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Ca { der, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn below(&self, common_name: &str, algorithm: &'static SignatureAlgorithm) -> Ca {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = ca_params(common_name);
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Ca { der, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &self.issuer).unwrap().der().to_vec()
    }

    /// Another CA's certificate, signed by this one.
    pub(crate) fn cross(&self, other: &Ca, common_name: &str) -> Vec<u8> {
        self.sign(&ca_params(common_name), other.issuer.key())
    }
}

/// A leaf with everything above it.
pub(crate) struct Bundle {
    pub(crate) root: Ca,
    pub(crate) intermediate: Ca,
    pub(crate) leaf: Vec<u8>,
    pub(crate) key: KeyPair,
}

impl Bundle {
    fn new(algorithm: &'static SignatureAlgorithm) -> Bundle {
        let root = Ca::root("Root", algorithm);
        let intermediate = root.below("Intermediate", algorithm);
        let key = KeyPair::generate_for(algorithm).unwrap();
        let leaf = intermediate.sign(&leaf_params(&["pbx.example.com", "sip.example.com"]), &key);
        Bundle { root, intermediate, leaf, key }
    }

    /// Leaf first.
    pub(crate) fn chain(&self) -> Vec<Vec<u8>> {
        vec![self.leaf.clone(), self.intermediate.der.clone(), self.root.der.clone()]
    }

    /// Key, then chain.
    pub(crate) fn pem(&self) -> String {
        self.key_pem() + &certificates(&self.chain())
    }

    /// PKCS#8 version 1, which OpenSSL reads; rcgen writes Ed25519 keys in version 2.
    pub(crate) fn key_pem(&self) -> String {
        let key = PrivateKey::parse_pem(&block("PRIVATE KEY", self.key.serialized_der())).unwrap();
        key.to_pem().expose_secret().to_owned()
    }
}

pub(crate) static P256: LazyLock<Bundle> = LazyLock::new(|| Bundle::new(&rcgen::PKCS_ECDSA_P256_SHA256));
pub(crate) static RSA: LazyLock<Bundle> = LazyLock::new(|| Bundle::new(&rcgen::PKCS_RSA_SHA256));
pub(crate) static ED25519: LazyLock<Bundle> = LazyLock::new(|| Bundle::new(&rcgen::PKCS_ED25519));
pub(crate) static P384: LazyLock<Bundle> = LazyLock::new(|| Bundle::new(&rcgen::PKCS_ECDSA_P384_SHA384));
pub(crate) static P521: LazyLock<Bundle> = LazyLock::new(|| Bundle::new(&rcgen::PKCS_ECDSA_P521_SHA512));

/// Another RSA key than any bundle's.
pub(crate) static OTHER_RSA: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap());

pub(crate) fn all() -> [(&'static str, &'static Bundle); 5] {
    [("p256", &P256), ("p384", &P384), ("p521", &P521), ("rsa", &RSA), ("ed25519", &ED25519)]
}

pub(crate) fn block(label: &str, der: &[u8]) -> String {
    pem::encode_config(&pem::Pem::new(label, der), pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

pub(crate) fn certificates(ders: &[Vec<u8>]) -> String {
    ders.iter().map(|der| block("CERTIFICATE", der)).collect()
}

/// The same numbers every time (xorshift).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
