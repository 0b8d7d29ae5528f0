//! From the engine's errors to the contract's `errcode`s (§2). Every mapping of an error to a number is in this file,
//! and no match has a `_`: a new kind of error does not compile until it has its row.
use std::error::Error;

use certkeep_engine::access::AccessError;
use certkeep_engine::{Invalid, UseCaseError};

use crate::http::envelope::{DuplicateField, ErrCode, InvalidParam, Refused};

impl From<AccessError> for Refused {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Blocked(until) => Refused::new(ErrCode::AccountIpBlocked).until(until.as_second()),
            AccessError::ForbiddenAddress => Refused::new(ErrCode::IpForbidden),
            AccessError::Random | AccessError::Store(_) => fault(&error),
            AccessError::TokenExpired => Refused::new(ErrCode::TokenExpired),
            AccessError::TooManyTokens => Refused::new(ErrCode::MaxLimitationExceeded)
                .saying("as many access tokens as a client may have are live; use one of them, or revoke one"),
            AccessError::WrongCredentials => Refused::new(ErrCode::Failure).invalid(vec![InvalidParam {
                field: Some("username or password".into()),
                value: Some("error".into()),
                validation_type: None,
            }]),
        }
    }
}

impl From<UseCaseError> for Refused {
    fn from(error: UseCaseError) -> Self {
        match error {
            UseCaseError::Busy => Refused::new(ErrCode::OverloadTaskRunning),
            UseCaseError::Duplicate(name) => Refused::new(ErrCode::DuplicateKeyValue).duplicate(DuplicateField {
                field: "name",
                value: name.clone(),
                external_source: "certificate",
                external_source_name: name,
            }),
            UseCaseError::Forbidden(_) => Refused::new(ErrCode::AccessDenied),
            UseCaseError::InUse => Refused::new(ErrCode::ConnectionRelationExisted).saying(error.to_string()),
            UseCaseError::Internal(_) | UseCaseError::Store(_) => fault(&error),
            UseCaseError::Invalid(problems) => invalid(problems),
            UseCaseError::LimitReached { .. } | UseCaseError::TooManyUploads(_) => {
                Refused::new(ErrCode::MaxLimitationExceeded).saying(error.to_string())
            }
            UseCaseError::NotFound | UseCaseError::UploadNotFound => {
                Refused::new(ErrCode::DataNotFound).saying(error.to_string())
            }
        }
    }
}

fn invalid(problems: Vec<Invalid>) -> Refused {
    let said: Vec<_> = problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
    let rows = problems.into_iter().map(|problem| InvalidParam::of(problem.field, problem.kind)).collect();
    Refused::new(ErrCode::ParameterError).invalid(rows).saying(said.join("; "))
}

/// A fault of ours: the caller is told none of it, the log gets the whole chain.
fn fault(error: &dyn Error) -> Refused {
    let mut chain = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        chain.push_str(": ");
        chain.push_str(&source.to_string());
        next = source.source();
    }
    Refused::fault(chain)
}
