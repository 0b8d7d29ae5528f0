//! What a CA says, in the words of the catalogue. Pure: no call is made here.
use certkeep_core::failure::{Code, Failure};
use instant_acme::{Error, Identifier, Problem, Subproblem};

use crate::client::ExchangeError;

/// What was being done: the same word of a CA means different things at different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Directory,
    Download,
    Finalize,
    NewOrder,
    ReadOrder,
    Register {
        /// With an external account.
        bound: bool,
    },
    RenewalInfo,
    Revoke,
    RollOver,
    /// The CA's own looking at a challenge, and asking for it.
    Validate,
}

impl Act {
    /// The words of the trace.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Act::Directory => "read ACME directory",
            Act::Download => "download certificate",
            Act::Finalize => "finalize order",
            Act::NewOrder => "new order",
            Act::ReadOrder => "read order",
            Act::Register { .. } => "register ACME account",
            Act::RenewalInfo => "read renewal information",
            Act::Revoke => "revoke certificate",
            Act::RollOver => "change ACME account key",
            Act::Validate => "validate",
        }
    }
}

/// The type of a problem without its namespace (RFC 8555 §6.7).
fn kind(r#type: Option<&str>) -> &str {
    let r#type = r#type.unwrap_or("about:blank");
    r#type.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(r#type)
}

pub(crate) fn is_bad_nonce(problem: &Problem) -> bool {
    kind(problem.r#type.as_deref()) == "badNonce"
}

pub(crate) fn is_already_revoked(problem: &Problem) -> bool {
    kind(problem.r#type.as_deref()) == "alreadyRevoked"
}

/// Whether an order that told what it replaces may have been refused for that. A CA that does not know the certificate, or
/// not this member of an order, has no word of its own for it (RFC 9773 §5): only what surely is about something else is not.
pub(crate) fn may_be_about_replacing(error: &Error) -> bool {
    const ABOUT_ELSE: [&str; 11] = [
        "accountDoesNotExist",
        "badNonce",
        "badPublicKey",
        "badSignatureAlgorithm",
        "caa",
        "externalAccountRequired",
        "invalidProfile",
        "rateLimited",
        "rejectedIdentifier",
        "unsupportedIdentifier",
        "userActionRequired",
    ];
    // The CA took the order and does not say so of what it replaces, which instant-acme does not take for an order.
    let Error::Other(other) = error else { return false };
    match other.downcast_ref::<ExchangeError>() {
        None => true,
        Some(ExchangeError::Refused { status, problem, .. }) => {
            let parts = problem.subproblems.iter().map(|part| part.r#type.as_deref());
            let mut kinds = parts.chain([problem.r#type.as_deref()]).map(kind);
            (400..500).contains(status) && *status != 429 && !kinds.any(|kind| ABOUT_ELSE.contains(&kind))
        }
        Some(ExchangeError::Foreign { status, .. }) => (400..500).contains(status) && *status != 429,
        Some(_) => false,
    }
}

pub(crate) fn is_order_not_ready(problem: &Problem) -> bool {
    kind(problem.r#type.as_deref()) == "orderNotReady"
}

/// The catalogue's code for a problem type, if the type alone decides at this moment.
fn code_of_kind(act: Act, kind: &str, detail: &str) -> Option<Code> {
    let registering = matches!(act, Act::Register { .. });
    Some(match kind {
        "alreadyReplaced" => Code::CaProtocol,
        "badRevocationReason" => Code::RevocationRefused,
        "invalidProfile" => Code::ProfileNotOffered,
        "badPublicKey" | "malformed" | "unauthorized" if act == Act::Revoke => Code::RevocationRefused,
        "badPublicKey" | "malformed" | "unauthorized" if act == Act::RollOver => Code::AccountRefused,
        "accountDoesNotExist" | "invalidContact" | "unsupportedContact" | "userActionRequired" => Code::AccountRefused,
        "badNonce" => Code::CaProtocol,
        "badCSR" => Code::CsrRefused,
        "badPublicKey" if registering => Code::AccountRefused,
        "badPublicKey" => Code::CsrRefused,
        "caa" => Code::CaaForbids,
        "connection" | "dns" => Code::ValidationDns,
        "externalAccountRequired" => Code::AccountBindingRequired,
        "incorrectResponse" | "tls" => Code::ValidationFailed,
        // Some CAs have no better word for a binding that they do not know.
        "malformed" | "unauthorized" if act == (Act::Register { bound: true }) && speaks_of_binding(kind, detail) => {
            Code::AccountBindingRejected
        }
        "malformed" if act == Act::ReadOrder => Code::OrderInvalid,
        "malformed" => Code::CaProtocol,
        "orderNotReady" => Code::OrderInvalid,
        "rateLimited" => Code::CaRateLimited,
        "rejectedIdentifier" | "unsupportedIdentifier" => Code::NameRefused,
        "serverInternal" => Code::CaError,
        "unauthorized" if registering || act == Act::NewOrder => Code::AccountRefused,
        "unauthorized" if act == Act::Validate => Code::ValidationFailed,
        // An authorization that has expired, or an order of somebody else.
        "unauthorized" => Code::OrderInvalid,
        _ => return None,
    })
}

fn speaks_of_binding(kind: &str, detail: &str) -> bool {
    let detail = detail.to_ascii_lowercase();
    kind == "unauthorized" || ["external", "binding", "eab"].iter().any(|word| detail.contains(word))
}

fn code_of_status(act: Act, status: Option<u16>) -> Code {
    match status {
        Some(404) if act == Act::ReadOrder => Code::OrderInvalid,
        // Another account has the key (RFC 8555 §7.3.5).
        Some(409) if act == Act::RollOver => Code::AccountRefused,
        Some(429) => Code::CaRateLimited,
        Some(500..) => Code::CaError,
        Some(400..) if act == Act::Revoke => Code::RevocationRefused,
        _ if act == Act::Validate => Code::ValidationFailed,
        // An invalid order's error, which may come without a status.
        None if act == Act::Finalize => Code::OrderInvalid,
        _ => Code::CaProtocol,
    }
}

/// A problem document, or the error of a challenge or order, as a failure about `subject`.
pub(crate) fn told(act: Act, subject: &str, problem: &Problem, status: Option<u16>) -> Failure {
    let status = status.or(problem.status);
    let detail = problem.detail.as_deref().unwrap_or_default();
    let whole = code_of_kind(act, kind(problem.r#type.as_deref()), detail);
    let part = || {
        let each = problem.subproblems.iter();
        each.filter_map(|part| code_of_kind(act, kind(part.r#type.as_deref()), part.detail.as_deref().unwrap_or_default())).next()
    };
    let code = match whole {
        // The parts say what the whole is too general for (RFC 8555 §6.7.1).
        None => part().unwrap_or_else(|| code_of_status(act, status)),
        Some(code) if kind(problem.r#type.as_deref()) == "malformed" => part().unwrap_or(code),
        Some(code) => code,
    };
    let subject = match problem.subproblems.as_slice() {
        [Subproblem { identifier: Some(Identifier::Dns(name)), .. }] => name,
        _ => subject,
    };
    let mut failure = Failure::new(code, act.words())
        .about(subject)
        .said(problem.r#type.as_deref().map(|r#type| kind(Some(r#type)).to_owned()), problem.detail.clone());
    if let Some(status) = status {
        failure = failure.status(status.to_string());
    }
    problem.subproblems.iter().fold(failure, |failure, part| failure.fact(sentence(part)))
}

fn sentence(part: &Subproblem) -> String {
    let name = part.identifier.as_ref().map(|identifier| identifier.authorized(false).to_string());
    let detail: String = part.detail.as_deref().unwrap_or("no detail").chars().take(300).collect();
    format!("{}: {}: {detail}", name.as_deref().unwrap_or("no name"), kind(part.r#type.as_deref()))
}

/// What an exchange met, as a failure; `subject` is what the act is about, for what the CA itself says.
pub(crate) fn exchange(act: Act, subject: &str, error: &ExchangeError) -> Failure {
    let failure = |code| Failure::new(code, act.words());
    match error {
        ExchangeError::Foreign { server, status, fact, retry_after } => {
            let code = match code_of_status(act, Some(*status)) {
                // Whoever answered so has looked at no record and no certificate.
                Code::RevocationRefused | Code::ValidationFailed => Code::CaProtocol,
                code => code,
            };
            failure(code).about(server).status(status.to_string()).fact(fact).not_before(*retry_after)
        }
        ExchangeError::Insecure { server } => {
            failure(Code::CaProtocol).about(server).fact("ACME needs HTTPS; plain HTTP is for loopback only.")
        }
        ExchangeError::Refused { status, problem, retry_after } => {
            told(act, subject, problem, Some(*status)).not_before(*retry_after)
        }
        ExchangeError::Roots => {
            failure(Code::CaUntrusted).about("[acme] roots").fact("A further root is not a certificate in PEM.")
        }
        ExchangeError::Unreachable { server, fact } => failure(Code::CaUnreachable).about(server).fact(fact),
        ExchangeError::Unsigned => failure(Code::Internal).about(subject).fact("The key cannot sign."),
        ExchangeError::Untrusted { server, fact } => failure(Code::CaUntrusted).about(server).fact(fact),
    }
}

/// What instant-acme met, as a failure about `subject`.
pub(crate) fn failure(act: Act, subject: &str, error: &Error) -> Failure {
    let protocol = |fact: String| Failure::new(Code::CaProtocol, act.words()).about(subject).fact(fact);
    match error {
        Error::Api(problem) => told(act, subject, problem, None),
        Error::Crypto | Error::KeyRejected => {
            Failure::new(Code::Internal, act.words()).about(subject).fact("The account's key cannot sign.")
        }
        Error::Http(_) | Error::InvalidUri(_) => protocol("The CA gave an address that is none.".to_owned()),
        // The place only: the words of the error may quote the answer.
        Error::Json(error) => protocol(format!(
            "The CA's answer is not the JSON that ACME describes (line {}, column {}).",
            error.line(),
            error.column()
        )),
        Error::Other(other) => match other.downcast_ref::<ExchangeError>() {
            Some(error) => exchange(act, subject, error),
            None => Failure::new(Code::Internal, act.words()).about(subject).fact("The ACME library failed."),
        },
        Error::Str(missing) => protocol(format!("The ACME library says: {missing}.")),
        _ => Failure::new(Code::Internal, act.words()).about(subject).fact("The ACME library failed."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTER: Act = Act::Register { bound: false };
    const REGISTER_BOUND: Act = Act::Register { bound: true };

    fn problem(kind: &str, detail: &str) -> Problem {
        let json = serde_json::json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn every_type_of_problem_has_its_code() {
        let cases = [
            (Act::Download, 403, "unauthorized", "", Code::OrderInvalid),
            (Act::Finalize, 400, "badCSR", "", Code::CsrRefused),
            (Act::Finalize, 400, "badPublicKey", "weak key", Code::CsrRefused),
            (Act::Finalize, 400, "malformed", "", Code::CaProtocol),
            (Act::Finalize, 403, "caa", "", Code::CaaForbids),
            (Act::Finalize, 403, "orderNotReady", "", Code::OrderInvalid),
            (Act::Finalize, 403, "unauthorized", "authorizations expired", Code::OrderInvalid),
            (Act::Finalize, 500, "serverInternal", "", Code::CaError),
            (Act::NewOrder, 400, "badNonce", "", Code::CaProtocol),
            (Act::NewOrder, 400, "malformed", "", Code::CaProtocol),
            (Act::NewOrder, 400, "rejectedIdentifier", "", Code::NameRefused),
            (Act::NewOrder, 400, "unsupportedIdentifier", "", Code::NameRefused),
            (Act::NewOrder, 400, "accountDoesNotExist", "", Code::AccountRefused),
            (Act::NewOrder, 403, "userActionRequired", "new terms", Code::AccountRefused),
            (Act::NewOrder, 403, "unauthorized", "deactivated", Code::AccountRefused),
            (Act::NewOrder, 400, "invalidProfile", "", Code::ProfileNotOffered),
            (Act::NewOrder, 409, "alreadyReplaced", "", Code::CaProtocol),
            (Act::NewOrder, 418, "invented", "", Code::CaProtocol),
            (Act::NewOrder, 429, "invented", "", Code::CaRateLimited),
            (Act::NewOrder, 429, "rateLimited", "", Code::CaRateLimited),
            (Act::NewOrder, 503, "invented", "", Code::CaError),
            (Act::NewOrder, 503, "rateLimited", "busy", Code::CaRateLimited),
            (Act::ReadOrder, 400, "malformed", "no such order", Code::OrderInvalid),
            (Act::ReadOrder, 403, "unauthorized", "another account's", Code::OrderInvalid),
            (Act::ReadOrder, 404, "invented", "", Code::OrderInvalid),
            (Act::RenewalInfo, 404, "malformed", "no such certificate", Code::CaProtocol),
            (Act::Revoke, 403, "unauthorized", "not yours", Code::RevocationRefused),
            (Act::Revoke, 418, "invented", "", Code::RevocationRefused),
            (Act::Revoke, 500, "invented", "", Code::CaError),
            (Act::RollOver, 400, "malformed", "wrong signature", Code::AccountRefused),
            (Act::RollOver, 409, "conflict", "in use", Code::AccountRefused),
            (REGISTER, 400, "badPublicKey", "", Code::AccountRefused),
            (REGISTER, 400, "invalidContact", "", Code::AccountRefused),
            (REGISTER, 400, "malformed", "no external account", Code::CaProtocol),
            (REGISTER, 400, "unsupportedContact", "", Code::AccountRefused),
            (REGISTER, 403, "externalAccountRequired", "", Code::AccountBindingRequired),
            (REGISTER, 403, "unauthorized", "", Code::AccountRefused),
            (REGISTER_BOUND, 400, "malformed", "[External Account Binding] wrong MAC", Code::AccountBindingRejected),
            (REGISTER_BOUND, 400, "malformed", "not JSON", Code::CaProtocol),
            (REGISTER_BOUND, 403, "unauthorized", "unknown key", Code::AccountBindingRejected),
            (Act::Validate, 400, "connection", "", Code::ValidationDns),
            (Act::Validate, 400, "dns", "NXDOMAIN", Code::ValidationDns),
            (Act::Validate, 400, "tls", "", Code::ValidationFailed),
            (Act::Validate, 403, "caa", "", Code::CaaForbids),
            (Act::Validate, 403, "incorrectResponse", "", Code::ValidationFailed),
            (Act::Validate, 403, "invented", "", Code::ValidationFailed),
            (Act::Validate, 403, "unauthorized", "wrong TXT", Code::ValidationFailed),
        ];
        for (act, status, kind, detail, code) in cases {
            let failure = told(act, "a.example.com", &problem(kind, detail), Some(status));
            assert_eq!(failure.code, code, "{act:?} {status} {kind} {detail:?}");
            assert_eq!(failure.evidence.their_code.as_deref(), Some(kind));
            assert_eq!(failure.evidence.their_message.as_deref(), Some(detail));
            assert_eq!(failure.evidence.status, Some(status.to_string()));
            assert_eq!(failure.evidence.subject.as_deref(), Some("a.example.com"));
            assert_eq!(failure.evidence.doing.as_deref(), Some(act.words()));
        }
    }

    #[test]
    fn the_parts_say_what_the_whole_does_not() {
        let part = |name: &str, kind: &str| {
            serde_json::json!({
                "type": format!("urn:ietf:params:acme:error:{kind}"),
                "detail": format!("no {name}"),
                "identifier": { "type": "dns", "value": name },
            })
        };
        for (whole, parts, code, subject) in [
            ("malformed", vec![part("b.example.com", "rejectedIdentifier")], Code::NameRefused, "b.example.com"),
            ("compound", vec![part("b.example.com", "caa"), part("c.example.com", "dns")], Code::CaaForbids, "all"),
            ("rateLimited", vec![part("b.example.com", "rejectedIdentifier")], Code::CaRateLimited, "b.example.com"),
        ] {
            let mut problem = problem(whole, "see the parts");
            problem.subproblems = serde_json::from_value(parts.clone().into()).unwrap();
            let failure = told(Act::NewOrder, "all", &problem, Some(400));
            assert_eq!(failure.code, code, "{whole}");
            assert_eq!(failure.evidence.subject.as_deref(), Some(subject));
            assert_eq!(failure.evidence.facts.len(), parts.len());
            assert!(failure.evidence.facts[0].starts_with("b.example.com: "));
        }
    }

    #[test]
    fn a_type_outside_the_namespace_is_told_whole() {
        let problem = serde_json::from_str::<Problem>(r#"{"type":"about:blank","detail":"no"}"#).unwrap();
        let failure = told(Act::NewOrder, "a.example.com", &problem, Some(400));
        assert_eq!((failure.code, failure.evidence.their_code.as_deref()), (Code::CaProtocol, Some("about:blank")));
    }

    #[test]
    fn json_errors_quote_nothing_of_the_answer() {
        let error = serde_json::from_str::<u8>(r#""a token""#).unwrap_err();
        let failure = failure(Act::NewOrder, "a.example.com", &Error::Json(error));
        assert_eq!(failure.code, Code::CaProtocol);
        assert!(!failure.to_string().contains("token"), "{failure}");
    }
}
