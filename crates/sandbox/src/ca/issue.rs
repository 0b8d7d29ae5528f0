//! The authority's keys and the certificates it makes: root, intermediate, leaf.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, PublicKeyData, SanType, SerialNumber, SubjectPublicKeyInfo, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::random_bytes;
use crate::clock;

/// Said by every certificate, so that none is taken for a real one.
const ORGANIZATION: &str = "certkeep sandbox - not for production";
/// The common name of the root that the alternate chains lead to.
const OTHER_ROOT: &str = "certkeep sandbox other root";
/// Longest common name (RFC 5280, upper bound `ub-common-name`).
const MAX_COMMON_NAME: usize = 64;
/// How long the authority outlives its leaves.
const CA_MARGIN: Duration = Duration::from_secs(10 * 366 * 86_400);
/// The authority is older than any leaf, also for verifiers whose clock is a little behind.
const CA_AGE: SignedDuration = SignedDuration::from_hours(1);

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssueError {
    #[error("the time of validity is out of what a certificate can say")]
    Time(#[from] jiff::Error),
    #[error("the certificate could not be made")]
    X509(#[from] rcgen::Error),
}

/// Root and intermediate, and how long what they sign lives.
pub(crate) struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
    other_root: CertifiedIssuer<'static, KeyPair>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
    /// The intermediate again, as the other root has signed it.
    cross_signed_pem: String,
    /// An intermediate of the same name that has signed nothing.
    stranger: CertifiedIssuer<'static, KeyPair>,
    validity: Duration,
}

/// A leaf just made.
pub(super) struct Issued {
    pub(super) pem: String,
    pub(super) der: Vec<u8>,
    pub(super) serial: Vec<u8>,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// Certificate, key and root of the sandbox's own HTTPS.
pub(crate) struct ServerIdentity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) root_pem: String,
}

impl Authority {
    /// Makes the keys; leaves will live for `validity`.
    pub(crate) fn new(validity: Duration) -> Result<Authority, IssueError> {
        let first = root("certkeep sandbox root", validity)?;
        let other_root = root(OTHER_ROOT, validity)?;
        let params = || ca_params("certkeep sandbox intermediate", BasicConstraints::Constrained(0), validity);
        let intermediate = CertifiedIssuer::signed_by(params()?, KeyPair::generate()?, &first)?;
        let cross_signed_pem = params()?.signed_by(intermediate.key(), &other_root)?.pem();
        let stranger = CertifiedIssuer::signed_by(params()?, KeyPair::generate()?, &first)?;
        Ok(Authority { root: first, other_root, intermediate, cross_signed_pem, stranger, validity })
    }

    pub(super) fn root_pem(&self) -> String {
        self.root.pem()
    }

    pub(super) fn other_root_pem(&self) -> String {
        self.other_root.pem()
    }

    pub(super) fn cross_signed_pem(&self) -> String {
        self.cross_signed_pem.clone()
    }

    pub(super) fn intermediate_pem(&self) -> String {
        self.intermediate.pem()
    }

    pub(super) fn stranger_pem(&self) -> String {
        self.stranger.pem()
    }

    /// The authorityKeyIdentifier of every leaf.
    pub(super) fn key_id(&self) -> Vec<u8> {
        CertificateParams::default().key_identifier(self.intermediate.key())
    }

    /// Certifies a key for names from `not_before` on, for `limit` at most.
    pub(super) fn issue(
        &self,
        names: &[String],
        key: &SubjectPublicKeyInfo,
        not_before: Timestamp,
        limit: Option<Duration>,
    ) -> Result<Issued, IssueError> {
        let validity = limit.map_or(self.validity, |limit| limit.min(self.validity));
        let (mut params, serial) = params(not_before, validity)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = dns_names(names)?;
        if let Some(name) = names.first().filter(|name| name.len() <= MAX_COMMON_NAME) {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if key.algorithm() == &PKCS_RSA_SHA256 {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        let certificate = params.signed_by(key, &self.intermediate)?;
        Ok(Issued {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            serial,
            not_before,
            not_after: not_before.checked_add(SignedDuration::try_from(validity)?)?,
        })
    }
}

impl ServerIdentity {
    /// A root of its own and a certificate for loopback.
    pub(crate) fn new() -> Result<ServerIdentity, IssueError> {
        let root = root("certkeep sandbox HTTPS root", CA_MARGIN)?;
        let not_before = clock::now().checked_sub(CA_AGE)?;
        let (mut params, _) = params(not_before, CA_MARGIN)?;
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
        params.distinguished_name.push(DnType::CommonName, "localhost");
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &root)?;
        Ok(ServerIdentity { certificate: certificate.der().clone(), key: key.into(), root_pem: root.pem() })
    }
}

fn root(name: &str, validity: Duration) -> Result<CertifiedIssuer<'static, KeyPair>, IssueError> {
    let params = ca_params(name, BasicConstraints::Unconstrained, validity)?;
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn ca_params(name: &str, constraints: BasicConstraints, validity: Duration) -> Result<CertificateParams, IssueError> {
    let not_before = clock::now().checked_sub(CA_AGE)?;
    let (mut params, _) = params(not_before, validity.saturating_add(CA_MARGIN))?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// What all certificates have in common, and the serial number of this one.
fn params(not_before: Timestamp, validity: Duration) -> Result<(CertificateParams, Vec<u8>), IssueError> {
    let epoch = date_time_ymd(1970, 1, 1);
    let since_epoch = not_before.duration_since(Timestamp::UNIX_EPOCH);
    let mut serial = random_bytes().to_vec();
    if let Some(first) = serial.first_mut() {
        // Positive and never shorter, so that its DER is these bytes (RFC 5280 §4.1.2.2).
        *first = *first & 0x7f | 0x40;
    }
    let mut params = CertificateParams::default();
    params.not_before = epoch + Duration::try_from(since_epoch)?;
    params.not_after = params.not_before + validity;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
    Ok((params, serial))
}

fn dns_names(names: &[String]) -> Result<Vec<SanType>, IssueError> {
    let parsed = names.iter().map(|name| Ia5String::try_from(name.as_str()));
    let names = parsed.map(|name| Ok(SanType::DnsName(name?)));
    names.collect()
}
