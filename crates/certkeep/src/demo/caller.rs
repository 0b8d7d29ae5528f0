//! A client of the API as anybody may write one: over HTTPS, trusting exactly one root.
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::tls::TlsInfo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;

const PREFIX: &str = "/openapi/v1.0/";
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a call did not give what it should.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No HTTPS, or an answer that is no JSON.
    #[error("{0} cannot be called")]
    Http(String, #[source] reqwest::Error),
    /// The answer has no such member.
    #[error("the answer to {0} has no {1}")]
    Member(String, &'static str),
    /// Another errcode than 0.
    #[error("{0} is refused: {1}")]
    Refused(String, Value),
    /// The root cannot be trusted, or no TLS client made.
    #[error("no TLS client can be made")]
    Tls(#[source] rustls::Error),
}

/// A client for one address.
pub(super) struct Caller {
    base: String,
    http: reqwest::Client,
}

/// What came back.
pub(super) struct Answer {
    pub(super) body: Value,
    /// The certificate that the server presented, DER.
    pub(super) certificate: Option<Vec<u8>>,
}

impl Caller {
    /// A client that calls `host` at `address`, and trusts what `root` (PEM) signed and nothing else.
    pub(super) fn new(host: &str, address: SocketAddr, root: &str) -> Result<Caller, CallError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(root.as_bytes()).flatten() {
            roots.add(certificate).map_err(CallError::Tls)?;
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(CallError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .tls_info(true)
            .no_proxy()
            .resolve(host, address)
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| CallError::Http(host.to_owned(), error.without_url()))?;
        Ok(Caller { base: format!("https://{host}:{}{PREFIX}", address.port()), http })
    }

    /// The URL of an endpoint; `endpoint` may hold a query.
    pub(super) fn url(&self, endpoint: &str) -> String {
        format!("{}{endpoint}", self.base)
    }

    pub(super) async fn get(&self, endpoint: &str) -> Result<Answer, CallError> {
        self.call(endpoint, self.http.get(self.url(endpoint))).await
    }

    pub(super) async fn post(&self, endpoint: &str, body: &Value) -> Result<Answer, CallError> {
        self.call(endpoint, self.http.post(self.url(endpoint)).json(body)).await
    }

    async fn call(&self, endpoint: &str, request: reqwest::RequestBuilder) -> Result<Answer, CallError> {
        // The query holds the token.
        let name = || endpoint.split('?').next().unwrap_or_default().to_owned();
        let failed = |error: reqwest::Error| CallError::Http(name(), error.without_url());
        let answer = request.send().await.map_err(failed)?;
        let presented = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
        let certificate = presented.map(<[u8]>::to_vec);
        let body: Value = answer.json().await.map_err(failed)?;
        match body.get("errcode").and_then(Value::as_i64) {
            Some(0) => Ok(Answer { body, certificate }),
            _ => Err(CallError::Refused(name(), body)),
        }
    }
}

impl Answer {
    /// A member that is a text.
    pub(super) fn text(&self, endpoint: &str, member: &'static str) -> Result<String, CallError> {
        let text = self.body.get(member).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| CallError::Member(endpoint.to_owned(), member))
    }
}
