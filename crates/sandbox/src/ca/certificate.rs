//! Certificates as they are downloaded, by either of two chains (RFC 8555 §7.4.2), right or wrong as asked.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use rcgen::{KeyPair, PublicKeyData, SubjectPublicKeyInfo};
use x509_parser::parse_x509_certificate;

use super::Ca;
use super::jws::Signed;
use super::problem::{Problem, link};
use super::state::{Certificate, owned};
use crate::faults::Fault;

pub(super) async fn read(State(ca): State<Arc<Ca>>, Path(id): Path<String>, signed: Signed) -> Result<Response, Problem> {
    let mut response = ca.download(&id, &signed, ca.setup.authority.intermediate_pem())?;
    if let Some(alternate) = link(&ca.url(&format!("/certificate/{id}/1")), "alternate") {
        response.headers_mut().append(header::LINK, alternate);
    }
    Ok(response)
}

/// The same certificate, by the chain to the other root.
pub(super) async fn alternate(State(ca): State<Arc<Ca>>, Path(id): Path<String>, signed: Signed) -> Result<Response, Problem> {
    let mut response = ca.download(&id, &signed, ca.setup.authority.cross_signed_pem())?;
    if let Some(default) = link(&ca.url(&format!("/certificate/{id}")), "alternate") {
        response.headers_mut().append(header::LINK, default);
    }
    Ok(response)
}

impl Ca {
    fn download(&self, id: &str, signed: &Signed, intermediate: String) -> Result<Response, Problem> {
        signed.read_only()?;
        let state = self.state();
        let certificate = state.certificates.get(id).ok_or_else(|| Problem::not_found("certificate"))?;
        owned(&certificate.account, signed.account()?.0)?;
        if self.setup.faults.fires(Fault::CertificateLate) {
            return Err(Problem::not_found("certificate yet"));
        }
        let chain = self.chain(certificate, intermediate)?;
        let headers = [(header::CONTENT_TYPE, "application/pem-certificate-chain")];
        Ok((headers, chain).into_response())
    }

    /// Leaf and intermediate; each fault spoils one thing and nothing else.
    fn chain(&self, certificate: &Certificate, intermediate: String) -> Result<String, Problem> {
        let authority = &self.setup.authority;
        let faults = &self.setup.faults;
        let issue = |names: &[String], key: &[u8]| {
            let key = SubjectPublicKeyInfo::from_der(key).map_err(Problem::internal)?;
            let issued = authority.issue(names, &key, self.now(), None).map_err(Problem::internal)?;
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
        Ok([leaf, intermediate].concat())
    }
}
