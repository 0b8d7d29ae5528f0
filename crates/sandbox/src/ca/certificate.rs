//! Certificates as they are downloaded (RFC 8555 §7.4.2), right or wrong as asked.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use rcgen::{KeyPair, PublicKeyData, SubjectPublicKeyInfo};
use x509_parser::parse_x509_certificate;

use super::Ca;
use super::jws::Signed;
use super::problem::Problem;
use super::state::{Certificate, owned};
use crate::faults::Fault;

pub(super) async fn read(State(ca): State<Arc<Ca>>, Path(id): Path<String>, signed: Signed) -> Result<Response, Problem> {
    signed.read_only()?;
    let state = ca.state();
    let certificate = state.certificates.get(&id).ok_or_else(|| Problem::not_found("certificate"))?;
    owned(&certificate.account, signed.account()?.0)?;
    let chain = ca.chain(certificate)?;
    let headers = [(header::CONTENT_TYPE, "application/pem-certificate-chain")];
    Ok((headers, chain).into_response())
}

impl Ca {
    /// Leaf and intermediate; each fault spoils one thing and nothing else.
    fn chain(&self, certificate: &Certificate) -> Result<String, Problem> {
        let authority = &self.setup.authority;
        let faults = &self.setup.faults;
        let issue = |names: &[String], key: &[u8]| {
            let key = SubjectPublicKeyInfo::from_der(key).map_err(Problem::internal)?;
            let issued = authority.issue(names, &key, None).map_err(Problem::internal)?;
            Ok::<String, Problem>(issued.pem)
        };
        if faults.fires(Fault::WrongChain) {
            return Ok([certificate.leaf.clone(), authority.stranger_pem()].concat());
        }
        let leaf = if faults.fires(Fault::WrongKey) {
            let key = KeyPair::generate().map_err(Problem::internal)?;
            issue(&certificate.names, &key.subject_public_key_info())?
        } else if faults.fires(Fault::WrongName) {
            let (_, parsed) = parse_x509_certificate(&certificate.der).map_err(Problem::internal)?;
            issue(&["another-name.invalid".to_owned()], parsed.public_key().raw)?
        } else {
            certificate.leaf.clone()
        };
        Ok([leaf, authority.intermediate_pem()].concat())
    }
}
