//! Problem documents: what the CA says when it says no (RFC 8555 §6.7, RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Value, json};

use crate::clock;
use crate::faults::RetryAfter;

/// The error types in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    AccountDoesNotExist,
    AlreadyReplaced,
    AlreadyRevoked,
    BadCsr,
    BadNonce,
    BadPublicKey,
    BadRevocationReason,
    BadSignatureAlgorithm,
    Caa,
    Dns,
    ExternalAccountRequired,
    IncorrectResponse,
    InvalidContact,
    InvalidProfile,
    Malformed,
    OrderNotReady,
    RateLimited,
    RejectedIdentifier,
    ServerInternal,
    Unauthorized,
    UnsupportedContact,
    UnsupportedIdentifier,
    UserActionRequired,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::AccountDoesNotExist => "accountDoesNotExist",
            Kind::AlreadyReplaced => "alreadyReplaced",
            Kind::AlreadyRevoked => "alreadyRevoked",
            Kind::BadCsr => "badCSR",
            Kind::BadNonce => "badNonce",
            Kind::BadPublicKey => "badPublicKey",
            Kind::BadRevocationReason => "badRevocationReason",
            Kind::BadSignatureAlgorithm => "badSignatureAlgorithm",
            Kind::Caa => "caa",
            Kind::Dns => "dns",
            Kind::ExternalAccountRequired => "externalAccountRequired",
            Kind::IncorrectResponse => "incorrectResponse",
            Kind::InvalidContact => "invalidContact",
            Kind::InvalidProfile => "invalidProfile",
            Kind::Malformed => "malformed",
            Kind::OrderNotReady => "orderNotReady",
            Kind::RateLimited => "rateLimited",
            Kind::RejectedIdentifier => "rejectedIdentifier",
            Kind::ServerInternal => "serverInternal",
            Kind::Unauthorized => "unauthorized",
            Kind::UnsupportedContact => "unsupportedContact",
            Kind::UnsupportedIdentifier => "unsupportedIdentifier",
            Kind::UserActionRequired => "userActionRequired",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Kind::AlreadyReplaced => StatusCode::CONFLICT,
            Kind::Caa
            | Kind::ExternalAccountRequired
            | Kind::IncorrectResponse
            | Kind::OrderNotReady
            | Kind::RejectedIdentifier
            | Kind::Unauthorized
            | Kind::UserActionRequired => StatusCode::FORBIDDEN,
            Kind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Kind::ServerInternal => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::AccountDoesNotExist
            | Kind::AlreadyRevoked
            | Kind::BadCsr
            | Kind::BadNonce
            | Kind::BadPublicKey
            | Kind::BadRevocationReason
            | Kind::BadSignatureAlgorithm
            | Kind::Dns
            | Kind::InvalidContact
            | Kind::InvalidProfile
            | Kind::Malformed
            | Kind::UnsupportedContact
            | Kind::UnsupportedIdentifier => StatusCode::BAD_REQUEST,
        }
    }
}

/// A refusal, to be answered or to be kept in a challenge or an order.
#[derive(Clone, Debug)]
pub(super) struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    kind: Kind,
    detail: String,
    status: StatusCode,
    /// One problem for each identifier, where several are at fault (RFC 8555 §6.7.1).
    subproblems: Vec<(String, Problem)>,
    /// The `algorithms` of a `badSignatureAlgorithm` (RFC 8555 §6.2).
    algorithms: Option<&'static [&'static str]>,
    retry_after: RetryAfter,
    link: Option<(String, &'static str)>,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem(Box::new(Parts {
            kind,
            detail: detail.into(),
            status: kind.status(),
            subproblems: Vec::new(),
            algorithms: None,
            retry_after: RetryAfter::Missing,
            link: None,
        }))
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Problem {
        Problem::new(Kind::Malformed, detail)
    }

    pub(super) fn internal(error: impl std::fmt::Display) -> Problem {
        Problem::new(Kind::ServerInternal, error.to_string())
    }

    pub(super) fn not_found(what: &str) -> Problem {
        Problem::malformed(format!("no such {what}")).with_status(StatusCode::NOT_FOUND)
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Problem {
        self.0.status = status;
        self
    }

    pub(super) fn with_algorithms(mut self, algorithms: &'static [&'static str]) -> Problem {
        self.0.algorithms = Some(algorithms);
        self
    }

    pub(super) fn with_subproblems(mut self, problems: Vec<(String, Problem)>) -> Problem {
        self.0.subproblems = problems;
        self
    }

    pub(super) fn with_retry_after(mut self, retry_after: RetryAfter) -> Problem {
        self.0.retry_after = retry_after;
        self
    }

    pub(super) fn with_link(mut self, url: String, relation: &'static str) -> Problem {
        self.0.link = Some((url, relation));
        self
    }

    /// The document itself.
    pub(super) fn document(&self) -> Value {
        let mut document = json!({
            "type": self.urn(),
            "detail": self.0.detail,
            "status": self.0.status.as_u16(),
        });
        let Some(members) = document.as_object_mut() else {
            return document;
        };
        if let Some(algorithms) = self.0.algorithms {
            members.insert("algorithms".to_owned(), json!(algorithms));
        }
        if !self.0.subproblems.is_empty() {
            let parts: Vec<Value> = self
                .0
                .subproblems
                .iter()
                .map(|(name, problem)| {
                    json!({
                        "type": problem.urn(),
                        "detail": problem.0.detail,
                        "identifier": { "type": "dns", "value": name },
                    })
                })
                .collect();
            members.insert("subproblems".to_owned(), Value::Array(parts));
        }
        document
    }

    fn urn(&self) -> String {
        format!("urn:ietf:params:acme:error:{}", self.0.kind.name())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.0.status, self.document().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(value) = retry_after(self.0.retry_after) {
            headers.insert(header::RETRY_AFTER, value);
        }
        if let Some(value) = self.0.link.and_then(|(url, relation)| link(&url, relation)) {
            headers.append(header::LINK, value);
        }
        response
    }
}

/// A `Link` header (RFC 8288).
pub(super) fn link(url: &str, relation: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("<{url}>;rel=\"{relation}\"")).ok()
}

/// A `Retry-After` header.
pub(super) fn retry_after(retry_after: RetryAfter) -> Option<HeaderValue> {
    match retry_after {
        RetryAfter::HttpDate(ahead) => {
            let ahead = jiff::SignedDuration::try_from(ahead).ok()?;
            let date = clock::now().checked_add(ahead).ok()?;
            let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&date).ok()?;
            HeaderValue::from_str(&text).ok()
        }
        RetryAfter::Missing => None,
        RetryAfter::Seconds(seconds) => Some(HeaderValue::from(seconds)),
    }
}
