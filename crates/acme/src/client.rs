//! HTTPS as ACME wants it (RFC 8555 §6.1): one exchange, told apart by what went wrong in it.
//!
//! Redirects are not followed, since a signed request names the URL it is for. Environment proxies are heeded, except
//! for a directory on loopback.
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use instant_acme::Problem;
use jiff::Timestamp;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use url::{Host, Url};

use crate::retry_after;

const AGENT: &str = concat!("certkeep/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Some CAs answer a finalization only after they have issued.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Below the minute after which most servers close an idle connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// The largest answer that is read; chains and directories are some kilobytes.
const LARGEST_ANSWER: usize = 1 << 20;

/// A client for one CA.
pub(crate) struct Client {
    http: reqwest::Client,
}

/// A complete answer.
pub(crate) struct Answer {
    pub(crate) server: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why an exchange did not give what ACME promises.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// An answer that no ACME server gives.
    #[error("an answer that is not ACME: {fact}")]
    Foreign { server: String, status: u16, fact: String, retry_after: Option<Timestamp> },
    /// A URL that is neither HTTPS nor on loopback, or none at all.
    #[error("not an HTTPS address")]
    Insecure { server: String },
    /// A problem document (RFC 8555 §6.7).
    #[error("refused by the CA with status {status}")]
    Refused { status: u16, problem: Box<Problem>, retry_after: Option<Timestamp> },
    /// A root of the configuration is not a certificate.
    #[error("a further root is not a certificate in PEM")]
    Roots,
    /// No connection, or a broken one.
    #[error("unreachable: {fact}")]
    Unreachable { server: String, fact: String },
    /// The request was not made: our key does not sign.
    #[error("the key cannot sign")]
    Unsigned,
    /// The server's certificate was not accepted.
    #[error("not trusted: {fact}")]
    Untrusted { server: String, fact: String },
}

impl Client {
    /// A client that trusts the machine's roots and `roots` (PEM); for HTTP on loopback no root is loaded.
    pub(crate) async fn new(directory: &Url, roots: &[String]) -> Result<Client, ExchangeError> {
        let mut trusted = RootCertStore::empty();
        if directory.scheme() == "https" {
            // Reads some hundred files.
            let native = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await.unwrap_or_default();
            for error in native.errors {
                tracing::warn!(%error, "some of the machine's root certificates cannot be read");
            }
            trusted.add_parsable_certificates(native.certs);
        }
        for pem in roots {
            let mut some = false;
            for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                trusted.add(root.map_err(|_| ExchangeError::Roots)?).map_err(|_| ExchangeError::Roots)?;
                some = true;
            }
            if !some {
                return Err(ExchangeError::Roots);
            }
        }
        let unusable = |error: &dyn Error| ExchangeError::Unreachable {
            server: server_of(directory.as_str()),
            fact: format!("no TLS client can be made: {error}"),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT);
        if is_loopback(directory) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| unusable(&error))?;
        Ok(Client { http })
    }

    /// One request and its whole answer, whatever its status.
    pub(crate) async fn exchange(&self, mut request: Request<Bytes>) -> Result<Answer, ExchangeError> {
        let server = server_of(&request.uri().to_string());
        secure(&request.uri().to_string())?;
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let failed = |error: reqwest::Error| sort(&server, &error);
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let mut response = self.http.execute(request).await.map_err(failed)?;
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > LARGEST_ANSWER {
                return Err(ExchangeError::Foreign {
                    server,
                    status: response.status().as_u16(),
                    fact: format!("the answer is longer than {LARGEST_ANSWER} octets"),
                    retry_after: None,
                });
            }
            body.extend_from_slice(&piece);
        }
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer { server, status, headers, body: body.freeze() })
    }
}

impl Answer {
    /// When the CA wants to be asked again.
    pub(crate) fn retry_after(&self, now: Timestamp) -> Option<Timestamp> {
        retry_after::instant(&self.headers, now)
    }

    /// The problem document of an error.
    pub(crate) fn problem(&self) -> Option<Problem> {
        if self.status.is_success() {
            return None;
        }
        let problem: Problem = serde_json::from_slice(&self.body).ok()?;
        (problem.r#type.is_some() || problem.detail.is_some()).then_some(problem)
    }

    /// The answer itself if it is a success.
    pub(crate) fn success(self, now: Timestamp) -> Result<Answer, ExchangeError> {
        if self.status.is_success() { Ok(self) } else { Err(self.refusal(now)) }
    }

    /// What an answer that is no success says.
    pub(crate) fn refusal(&self, now: Timestamp) -> ExchangeError {
        let retry_after = self.retry_after(now);
        match self.problem() {
            Some(problem) => ExchangeError::Refused { status: self.status.as_u16(), problem: Box::new(problem), retry_after },
            None => self.foreign(retry_after),
        }
    }

    /// This answer as one that no ACME server gives.
    pub(crate) fn foreign(&self, retry_after: Option<Timestamp>) -> ExchangeError {
        let media_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("untyped");
        let media_type: String = media_type.split(';').next().unwrap_or_default().trim().chars().take(60).collect();
        ExchangeError::Foreign {
            server: self.server.clone(),
            status: self.status.as_u16(),
            fact: format!("the answer is {media_type} and not what ACME says."),
            retry_after,
        }
    }
}

/// Host and port of a URL: what may be told of it.
pub(crate) fn server_of(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| Some((url.host_str()?, url.port())));
    match host {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host.to_owned(),
        None => "an address without a host".to_owned(),
    }
}

/// The URL, if it is HTTPS, or HTTP on loopback where nobody listens in.
pub(crate) fn secure(url: &str) -> Result<Url, ExchangeError> {
    match Url::parse(url) {
        Ok(parsed) if parsed.scheme() == "https" || (parsed.scheme() == "http" && is_loopback(&parsed)) => Ok(parsed),
        _ => Err(ExchangeError::Insecure { server: server_of(url) }),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Tells a certificate that is not trusted from a server that cannot be reached.
fn sort(server: &str, error: &reqwest::Error) -> ExchangeError {
    let server = server.to_owned();
    let root = root_cause(error);
    match root.downcast_ref::<rustls::Error>() {
        Some(error @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)) => {
            ExchangeError::Untrusted { server, fact: format!("{error}.") }
        }
        _ if error.is_timeout() && error.is_connect() => {
            ExchangeError::Unreachable { server, fact: "No connection within 10 seconds.".to_owned() }
        }
        _ if error.is_timeout() => ExchangeError::Unreachable { server, fact: "No answer within 60 seconds.".to_owned() },
        // Nothing inside it, and its own words may hold the URL.
        _ if root.is::<reqwest::Error>() => ExchangeError::Unreachable { server, fact: "The request cannot be sent.".to_owned() },
        _ => ExchangeError::Unreachable { server, fact: format!("{root}.") },
    }
}

/// The innermost error: it alone says what happened, and repeats no URL.
fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut cause = error;
    loop {
        // What an I/O error wraps is not among its sources.
        let wrapped =
            cause.downcast_ref::<io::Error>().and_then(|error| error.get_ref()).map(|inner| -> &(dyn Error + 'static) { inner });
        match wrapped.or_else(|| cause.source()) {
            Some(next) => cause = next,
            None => return cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_or_loopback() {
        for good in ["https://ca.example/dir", "http://127.0.0.1:4000/dir", "http://[::1]/dir", "http://localhost/dir"] {
            assert!(secure(good).is_ok(), "{good}");
        }
        for bad in ["http://ca.example/dir", "http://127.0.0.1.example/", "ftp://127.0.0.1/", "ca.example", ""] {
            assert!(matches!(secure(bad), Err(ExchangeError::Insecure { .. })), "{bad}");
        }
    }

    #[test]
    fn a_server_is_told_without_path_query_and_user() {
        assert_eq!(server_of("https://user:word@ca.example/dir?key=1"), "ca.example");
        assert_eq!(server_of("https://127.0.0.1:14000/dir"), "127.0.0.1:14000");
        assert_eq!(server_of("nonsense"), "an address without a host");
    }
}
