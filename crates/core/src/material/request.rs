//! Certificate requests, and the check of what came back.
use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

use super::certificate::Certificate;
use super::path::MAX_CERTIFICATES;
use super::{Chain, Facts, PrivateKey};
use crate::name::DnsName;

/// How far a CA's clock may be ahead of ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);
/// The longest common name (RFC 5280, `ub-common-name`).
const MAX_COMMON_NAME: usize = 64;

/// Why an issued certificate is not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuedProblem {
    /// The chain is broken, unreadable, or not valid now.
    #[error("the chain is broken, unreadable or not valid now")]
    Chain,
    /// The leaf's key is not ours.
    #[error("the certificate does not belong to our key")]
    Key,
    /// The leaf's names are not those asked for.
    #[error("the certificate does not bear the names asked for")]
    Names,
}

/// A request for these names, signed by the key (PKCS#10, DER).
///
/// The names stand in the subjectAltName, in order; the first one is the common name too, where it is short enough.
///
/// # Errors
/// A key that cannot sign.
pub fn certificate_request(key: &PrivateKey, names: &[DnsName]) -> Result<Vec<u8>, rcgen::Error> {
    let pair = KeyPair::try_from(key.expose_pkcs8())?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if let Some(first) = names.first().filter(|name| name.as_str().len() <= MAX_COMMON_NAME) {
        params.distinguished_name.push(DnType::CommonName, first.as_str());
    }
    params.subject_alt_names =
        names.iter().map(|name| Ok(SanType::DnsName(name.as_str().try_into()?))).collect::<Result<_, rcgen::Error>>()?;
    Ok(params.serialize_request(&pair)?.der().to_vec())
}

/// Checks a chain that a CA issued against our key, the names asked for, and the time.
///
/// A `not_before` up to five minutes ahead is taken for the CA's clock. Certificates above the leaf may have expired:
/// old roots are kept in chains on purpose.
///
/// # Errors
/// The first problem.
pub fn check_issued(chain: &Chain, key: &PrivateKey, names: &[DnsName], now: Timestamp) -> Result<Facts, IssuedProblem> {
    if chain.certificates().len() > MAX_CERTIFICATES {
        return Err(IssuedProblem::Chain);
    }
    let certificates: Vec<Certificate> = chain
        .certificates()
        .iter()
        .map(|der| Certificate::read(der))
        .collect::<Result<_, _>>()
        .map_err(|_| IssuedProblem::Chain)?;
    let signed = certificates.iter().zip(certificates.iter().skip(1)).all(|(lower, upper)| lower.is_issued_by(upper));
    let leaf = certificates.first().filter(|_| signed).ok_or(IssuedProblem::Chain)?;
    let begun = leaf.validity.not_before.saturating_sub(CLOCK_SKEW).is_ok_and(|begin| begin <= now);
    if leaf.is_ca || leaf.is_expired(now) || !begun {
        return Err(IssuedProblem::Chain);
    }
    if key.public_key().is_none_or(|public_key| public_key != leaf.public_key) {
        return Err(IssuedProblem::Key);
    }
    let facts = leaf.facts();
    let borne: BTreeSet<&str> = facts.dns_names.iter().map(String::as_str).collect();
    let asked: BTreeSet<&str> = names.iter().map(DnsName::as_str).collect();
    if borne != asked {
        return Err(IssuedProblem::Names);
    }
    Ok(facts)
}
