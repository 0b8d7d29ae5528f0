//! What is in a file, told before anything of it is kept: for the person who wonders why it is refused.
use jiff::Timestamp;
use secrecy::SecretString;

use super::certificate::Certificate;
use super::read::{Contents, open};
use super::{Described, Refusal, server, trusted};
use crate::certificate::Kind;

/// What is in a file, and what certkeep would make of it.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// The certificates, in the order of the file.
    pub certificates: Vec<Described>,
    /// How many private keys there are, open or not.
    pub keys: usize,
    /// What is worth knowing though it does no harm, or tells more of why the file is refused.
    pub remarks: Vec<Remark>,
    /// The chain that would be kept, by subject, the leaf first; or why the file is refused.
    pub verdict: Result<Vec<Described>, Refusal>,
}

/// Something worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// The certificate at this place, from 0, has no issuer in the file, and is not a root: clients that do not know the
    /// issuer will not trust it.
    IssuerMissing {
        /// Whose issuer.
        subject: String,
        /// Who it is.
        issuer: String,
    },
    /// The private key belongs to this certificate.
    KeyFits(String),
    /// The certificates stand in another order than servers send them; they are put in order.
    OutOfOrder,
    /// A root is in the file, which servers need not send.
    RootIncluded(String),
}

/// Takes a file apart without keeping anything.
pub fn diagnose(kind: Kind, content: &[u8], password: Option<&SecretString>, now: Timestamp) -> Diagnosis {
    let chain = match kind {
        Kind::Server => server(content, password, now).map(|material| material.chain),
        Kind::Trusted => trusted(content, password, now).map(|material| material.chain),
    };
    let Ok(Contents { certificates, keys }) = open(content, password) else {
        return Diagnosis {
            certificates: Vec::new(),
            keys: 0,
            remarks: Vec::new(),
            verdict: chain.map(|chain| super::described(&chain)),
        };
    };
    let mut remarks = Vec::new();
    if let [key] = keys.as_slice()
        && let Some(public) = key.open(password).ok().and_then(|key| key.public_key())
    {
        let own = certificates.iter().filter(|certificate| certificate.public_key == public);
        remarks.extend(own.filter_map(|own| Some(Remark::KeyFits(Described::of(&own.der)?.subject))));
    }
    if kind == Kind::Server {
        remarks.extend(certificates.iter().filter_map(|certificate| missing(certificate, &certificates)));
    }
    if let Ok(chain) = &chain {
        let kept = chain.certificates();
        let in_file: Vec<&[u8]> = certificates.iter().map(|certificate| certificate.der.as_slice()).collect();
        let place = |der: &[u8]| in_file.iter().position(|other| *other == der);
        if !kept.iter().map(|der| place(der)).is_sorted() {
            remarks.push(Remark::OutOfOrder);
        }
        let root = kept.last().filter(|_| kept.len() > 1).and_then(|der| Described::of(der));
        if let Some(root) = root.filter(|root| root.is_self_issued && kind == Kind::Server) {
            remarks.push(Remark::RootIncluded(root.subject));
        }
    }
    Diagnosis {
        certificates: certificates.iter().filter_map(|certificate| Described::of(&certificate.der)).collect(),
        keys: keys.len(),
        remarks,
        verdict: chain.map(|chain| super::described(&chain)),
    }
}

/// Whether the issuer of a certificate, which is no root, is not in the file. A CA at the top is none: clients know the
/// roots, and what stands below one is complete.
fn missing(certificate: &Certificate, all: &[Certificate]) -> Option<Remark> {
    let issuer_is_there = all.iter().any(|other| other.der != certificate.der && certificate.is_issued_by(other));
    if certificate.is_ca || issuer_is_there {
        return None;
    }
    let described = Described::of(&certificate.der)?;
    (!described.is_self_issued).then_some(Remark::IssuerMissing { subject: described.subject, issuer: described.issuer })
}
