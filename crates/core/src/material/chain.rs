//! A leaf with the certificates that lead to its root.
use x509_parser::prelude::{FromDer, X509Certificate};

use super::certificate::Certificate;
use super::path::{Family, MAX_CERTIFICATES};
use super::{Refusal, pem, subject};
use crate::certificate::Held;

/// Certificates in DER, leaf first, each signed by the next; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain(Vec<Vec<u8>>);

/// What is worth knowing of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What the inventory keeps of it.
    pub held: Held,
    /// The DNS names it is for, in A-labels.
    pub dns_names: Vec<String>,
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
}

impl Chain {
    /// A chain that is known to be in order: leaf first, not empty.
    pub fn new(certificates: Vec<Vec<u8>>) -> Option<Chain> {
        if certificates.is_empty() { None } else { Some(Chain(certificates)) }
    }

    /// The certificates, leaf first.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// Reads what a CA sends (RFC 8555 §9.1) and what [`Chain::to_pem`] writes: the leaf first. The others SHOULD follow
    /// in order and are put in order where they do not.
    ///
    /// # Errors
    /// As [`server`](super::server) refuses certificates.
    pub fn parse_pem(text: &str) -> Result<Chain, Refusal> {
        let blocks = pem::blocks(text.as_bytes())?;
        if blocks.len() > MAX_CERTIFICATES {
            return Err(Refusal::TooMany);
        }
        let mut certificates: Vec<Certificate> = Vec::with_capacity(blocks.len());
        for block in &blocks {
            if block.label != b"CERTIFICATE" {
                return Err(Refusal::TrailingGarbage);
            }
            let certificate = Certificate::read(&block.decode()?)?;
            if certificates.iter().all(|known| known.der != certificate.der) {
                certificates.push(certificate);
            }
        }
        let leaf = certificates.first().ok_or(Refusal::NoCertificate)?;
        Ok(Chain::of(&Family::new(&certificates)?.upwards(leaf)?))
    }

    /// The chain as PEM, leaf first.
    pub fn to_pem(&self) -> String {
        self.0.iter().map(|der| pem::encode("CERTIFICATE", der)).collect()
    }

    /// What is worth knowing of the leaf.
    ///
    /// # Errors
    /// [`Refusal::Unreadable`] and the like, when it is no certificate.
    pub fn facts(&self) -> Result<Facts, Refusal> {
        let leaf = self.0.first().ok_or(Refusal::NoCertificate)?;
        Certificate::read(leaf).map(|leaf| leaf.facts())
    }

    /// The common name of who issued the topmost certificate: the root that the chain leads to.
    pub fn root_name(&self) -> Option<String> {
        let (_, top) = X509Certificate::from_der(self.0.last()?).ok()?;
        subject::common_name(top.issuer())
    }

    /// Certificates that have been put in order.
    pub(super) fn of(ordered: &[&Certificate]) -> Chain {
        Chain(ordered.iter().map(|certificate| certificate.der.clone()).collect())
    }
}
