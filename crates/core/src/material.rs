//! Certificates, chains and keys as bytes: reading what people upload, judging it, and writing what is served.
//!
//! Reading is lenient in form (PEM, DER, PKCS#12; any order) and strict in substance: [`server`] and [`trusted`] give
//! either something that can be served or a [`Refusal`] (contract §4.6). [`PrivateKey`] and [`Chain`] are also what an
//! issuance makes and receives.
//!
//! Reading goes from `read` down: `pem`, `der` and `container` take files apart, `certificate` and `key` turn the parts
//! into values, `path` puts certificates in order. Work and memory are bounded before any cryptography is done.
mod certificate;
mod chain;
mod container;
mod der;
mod described;
mod diagnosis;
mod key;
mod path;
mod pem;
mod public_key;
mod read;
mod refusal;
mod request;
mod self_signed;
mod subject;

pub use chain::{Chain, Facts};
pub use described::{Described, described};
pub use diagnosis::{Diagnosis, Remark, diagnose};
pub use key::{KeyNotMade, KeyType, PrivateKey};
pub use read::{ServerMaterial, TrustedMaterial, server, trusted};
pub use refusal::Refusal;
pub use request::{IssuedProblem, certificate_request, check_issued};
pub use self_signed::self_signed;
