//! One certificate, read once from x509-parser's types into ours.
use aws_lc_rs::digest;
use jiff::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use super::public_key::{PublicKey, Scheme};
use super::{Facts, Refusal, subject};
use crate::certificate::Held;
use crate::renewal::Validity;

/// A certificate of a hundred names takes 6 KiB; what is larger is meant to fill memory or the inventory.
const MAX_CERTIFICATE: usize = 64 << 10;

/// What reading, ordering and judging look at.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) der: Vec<u8>,
    /// Says of itself that it is a CA's (RFC 5280 §4.2.1.9).
    pub(super) is_ca: bool,
    /// Whether it may stand above another: a CA, or a root from before there were extensions.
    pub(super) may_issue: bool,
    pub(super) validity: Validity,
    pub(super) public_key: PublicKey,
    /// Subject and whole key info, DER: certificates that share them are one CA, cross-signed.
    entity: (Vec<u8>, Vec<u8>),
    issuer: Vec<u8>,
    signed: Vec<u8>,
    scheme: Scheme,
    signature: Vec<u8>,
    issue_to: String,
    dns_names: Vec<String>,
}

impl Certificate {
    /// Reads exactly one certificate.
    pub(super) fn read(der: &[u8]) -> Result<Certificate, Refusal> {
        if der.len() > MAX_CERTIFICATE {
            return Err(Refusal::Unreadable);
        }
        let (rest, x509) = X509Certificate::from_der(der).map_err(|_| Refusal::Unreadable)?;
        if !rest.is_empty() {
            return Err(Refusal::TrailingGarbage);
        }
        // Errors here are duplicates and damaged contents of an extension that decides what the certificate is.
        let constraints = x509.basic_constraints().map_err(|_| Refusal::Unreadable)?;
        let alternatives = x509.subject_alternative_name().map_err(|_| Refusal::Unreadable)?;
        let is_ca = constraints.as_ref().is_some_and(|constraints| constraints.value.ca);
        let old_root = x509.version() == X509Version::V1 && x509.subject().as_raw() == x509.issuer().as_raw();
        let dns_names: Vec<String> = alternatives
            .iter()
            .flat_map(|alternatives| &alternatives.value.general_names)
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            })
            .collect();
        let issue_to = dns_names
            .first()
            .cloned()
            .or_else(|| subject::common_name(x509.subject()))
            .unwrap_or_else(|| subject::rfc4514(x509.subject()));
        Ok(Certificate {
            der: der.to_vec(),
            is_ca,
            may_issue: is_ca || old_root,
            validity: Validity {
                not_before: timestamp(x509.validity().not_before),
                not_after: timestamp(x509.validity().not_after),
            },
            public_key: PublicKey::new(x509.public_key()),
            entity: (x509.subject().as_raw().to_vec(), x509.public_key().raw.to_vec()),
            issuer: x509.issuer().as_raw().to_vec(),
            signed: x509.tbs_certificate.as_ref().to_vec(),
            scheme: Scheme::new(&x509.signature_algorithm),
            signature: x509.signature_value.data.to_vec(),
            issue_to,
            dns_names,
        })
    }

    /// Whether this is the same CA as another, perhaps signed by someone else.
    pub(super) fn is_same_entity(&self, other: &Certificate) -> bool {
        self.entity == other.entity
    }

    /// Whether the other one issued this one: by name, by signature, and by right.
    pub(super) fn is_issued_by(&self, issuer: &Certificate) -> bool {
        issuer.may_issue
            && self.issuer == issuer.entity.0
            && issuer.public_key.verifies(self.scheme, &self.signed, &self.signature)
    }

    /// Whether its time is over, or never comes because it ends before it begins.
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.validity.not_after < now || self.validity.not_after < self.validity.not_before
    }

    pub(super) fn facts(&self) -> Facts {
        let mut fingerprint = [0; 32];
        for (to, from) in fingerprint.iter_mut().zip(digest::digest(&digest::SHA256, &self.der).as_ref()) {
            *to = *from;
        }
        Facts {
            held: Held { issue_to: self.issue_to.clone(), validity: self.validity },
            dns_names: self.dns_names.clone(),
            fingerprint,
        }
    }
}

/// ASN.1 reaches from year 0 to the last second of 9999 (RFC 5280 §4.1.2.5: "no well-defined expiration date"), which is
/// a little more than a [`Timestamp`] does.
fn timestamp(time: ASN1Time) -> Timestamp {
    let seconds = time.timestamp();
    Timestamp::from_second(seconds).unwrap_or(if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
