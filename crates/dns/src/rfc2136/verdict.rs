//! From a server's answer to the failure catalogue.
use certkeep_core::failure::{Code, Failure};
use hickory_proto::op::{Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigError;

use super::key::Signature;
use crate::resolver::exchange::mnemonic;

/// Whether an answer may be believed.
///
/// # Errors
/// `credentials_rejected` where the server does not accept our signature; `provider_unreadable` where a success is not
/// signed as it must be. A bad outcome is believed without: it changes nothing.
pub(super) fn believed(signature: &Signature, answer: &Metadata, now: u64, doing: &str) -> Result<(), Failure> {
    let code = answer.response_code;
    let unreadable = |fact: &str| Failure::new(Code::ProviderUnreadable, doing).status(mnemonic(code)).fact(fact);
    match signature {
        Signature::Good => Ok(()),
        Signature::None => match code {
            ResponseCode::NoError | ResponseCode::NXDomain => Err(unreadable("the answer is not signed")),
            // Of an update it also means "not authoritative" (RFC 2136 §2.2), of a question only "not authorized".
            ResponseCode::NotAuth if answer.op_code != OpCode::Update => {
                Err(Failure::new(Code::CredentialsRejected, doing).status(mnemonic(code)))
            }
            _ => Ok(()),
        },
        Signature::Refused(error, there) => {
            let failure = Failure::new(Code::CredentialsRejected, doing).status(mnemonic(code));
            let failure = failure.said(Some(word(*error)), None);
            Err(match there {
                Some(there) => failure.fact(format!("the server's clock is {} s away from ours", there.abs_diff(now))),
                None => failure,
            })
        }
        Signature::Wrong => Err(unreadable("the answer's signature is not the server's")),
    }
}

/// What an update came to, at a server that is the zone's authority or not.
///
/// # Errors
/// By the response code (RFC 2136 §2.2, §3). "Not authoritative" from the authority itself is how Knot denies a right.
pub(super) fn updated(code: ResponseCode, authority: bool, doing: &str) -> Result<(), Failure> {
    let catalogue = match code {
        ResponseCode::NoError => return Ok(()),
        ResponseCode::Refused => Code::CredentialsForbidden,
        ResponseCode::NotAuth if authority => Code::CredentialsForbidden,
        ResponseCode::NotAuth | ResponseCode::NotZone => Code::ZoneNotFound,
        ResponseCode::FormErr | ResponseCode::ServFail => Code::ProviderError,
        _ => Code::RecordRefused,
    };
    Err(Failure::new(catalogue, doing).status(mnemonic(code)))
}

/// The error as RFC 8945 §3 writes it.
fn word(error: TsigError) -> String {
    match error {
        TsigError::BadKey => "BADKEY".into(),
        TsigError::BadSig => "BADSIG".into(),
        TsigError::BadTime => "BADTIME".into(),
        TsigError::BadTrunc => "BADTRUNC".into(),
        TsigError::Unknown(number) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::MessageType;

    use super::*;

    #[test]
    fn outcomes_have_their_own_codes() {
        let code = |response| updated(response, false, "test").err().map(|failure| failure.code);
        assert_eq!(code(ResponseCode::NoError), None);
        assert_eq!(code(ResponseCode::Refused), Some(Code::CredentialsForbidden));
        assert_eq!(code(ResponseCode::NotAuth), Some(Code::ZoneNotFound));
        let denied = updated(ResponseCode::NotAuth, true, "test").unwrap_err();
        assert_eq!(denied.code, Code::CredentialsForbidden);
        assert_eq!(code(ResponseCode::NotZone), Some(Code::ZoneNotFound));
        assert_eq!(code(ResponseCode::ServFail), Some(Code::ProviderError));
        assert_eq!(code(ResponseCode::NotImp), Some(Code::RecordRefused));
    }

    #[test]
    fn only_a_signed_success_is_believed() {
        let answer = |op_code, response_code| {
            let mut answer = Metadata::new(1, MessageType::Response, op_code);
            answer.response_code = response_code;
            answer
        };
        let code = |signature, op_code, response| {
            believed(&signature, &answer(op_code, response), 100, "test").err().map(|failure| failure.code)
        };
        let (update, query) = (OpCode::Update, OpCode::Query);
        assert_eq!(code(Signature::Good, update, ResponseCode::NoError), None);
        assert_eq!(code(Signature::None, update, ResponseCode::NoError), Some(Code::ProviderUnreadable));
        assert_eq!(code(Signature::Wrong, update, ResponseCode::NoError), Some(Code::ProviderUnreadable));
        assert_eq!(code(Signature::None, query, ResponseCode::NXDomain), Some(Code::ProviderUnreadable));
        assert_eq!(code(Signature::None, update, ResponseCode::Refused), None);
        assert_eq!(code(Signature::None, update, ResponseCode::NotAuth), None);
        assert_eq!(code(Signature::None, query, ResponseCode::NotAuth), Some(Code::CredentialsRejected));
        let refused = Signature::Refused(TsigError::BadTime, Some(40));
        let failure = believed(&refused, &answer(update, ResponseCode::NotAuth), 100, "test").unwrap_err();
        assert_eq!(failure.code, Code::CredentialsRejected);
        assert_eq!(failure.evidence.status.as_deref(), Some("NOTAUTH"));
        assert_eq!(failure.evidence.their_code.as_deref(), Some("BADTIME"));
        assert_eq!(failure.evidence.facts, ["the server's clock is 60 s away from ours"]);
    }
}
