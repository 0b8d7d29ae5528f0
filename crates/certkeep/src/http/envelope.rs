//! The envelope around every answer of the API (contract §2).
use std::io::Write;

use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;

/// The `errcode`s that certkeep sends, each with its `errmsg` (contract §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrCode {
    AccessDenied,
    AccountIpBlocked,
    ApiUnavailable,
    ApiVersionUnsupported,
    ConnectionRelationExisted,
    DataNotFound,
    DuplicateKeyValue,
    Failure,
    FileSizeExceeded,
    InterfaceNotExisted,
    InternalServerError,
    IpForbidden,
    MaxLimitationExceeded,
    OverloadTaskRunning,
    ParameterError,
    ParameterSyntaxError,
    TokenExpired,
}

impl ErrCode {
    /// The number and the text of the contract's table.
    pub(crate) const fn row(self) -> (i32, &'static str) {
        match self {
            Self::AccessDenied => (10005, "ACCESS DENIED"),
            Self::AccountIpBlocked => (70004, "ACCOUNT IP BLOCKED"),
            Self::ApiUnavailable => (70123, "API UNAVAILABLE"),
            Self::ApiVersionUnsupported => (10003, "API VERSION UNSUPPORTED"),
            Self::ConnectionRelationExisted => (70091, "CONNECTION_RELATION_EXISTED"),
            Self::DataNotFound => (60001, "DATA NOT FOUND"),
            Self::DuplicateKeyValue => (40003, "DUPLICATE KEY VALUE"),
            Self::Failure => (-1, "FAILURE"),
            Self::FileSizeExceeded => (40004, "FILE SIZE EXCEEDED"),
            Self::InterfaceNotExisted => (10001, "INTERFACE NOT EXISTED"),
            Self::InternalServerError => (-2, "INTERNAL SERVER ERROR"),
            Self::IpForbidden => (70087, "IP FORBIDDEN"),
            Self::MaxLimitationExceeded => (60002, "MAX LIMITATION EXCEEDED"),
            Self::OverloadTaskRunning => (70082, "OVERLOAD_TASK_RUNNING"),
            Self::ParameterError => (40002, "PARAMETER ERROR"),
            Self::ParameterSyntaxError => (40001, "PARAMETER SYNTAX ERROR"),
            Self::TokenExpired => (10004, "TOKEN EXPIRED"),
        }
    }
}

/// A row of `invalid_param_list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct InvalidParam {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) validation_type: Option<&'static str>,
}

impl InvalidParam {
    /// A parameter and what kind of wrong it is.
    pub(crate) fn of(field: impl Into<String>, validation_type: &'static str) -> Self {
        InvalidParam { field: Some(field.into()), value: None, validation_type: Some(validation_type) }
    }

    /// A row without a field, which only says what is wrong.
    pub(crate) fn saying(value: impl Into<String>) -> Self {
        InvalidParam { field: None, value: Some(value.into()), validation_type: None }
    }
}

/// A row of `duplicate_field_list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct DuplicateField {
    pub(crate) field: &'static str,
    pub(crate) value: String,
    pub(crate) external_source: &'static str,
    pub(crate) external_source_name: String,
}

/// An answer that is not 0: what the caller reads, and beside it what only the log gets.
#[derive(Debug)]
pub(crate) struct Refused {
    code: ErrCode,
    /// Boxed, so that the way of success carries little.
    told: Box<Told>,
    /// The whole chain of a fault of ours; logged once, never told.
    pub(crate) fault: Option<String>,
}

/// What a failure may add to the envelope.
#[derive(Debug, Default, Serialize)]
struct Told {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    invalid_param_list: Vec<InvalidParam>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_field_list: Option<[DuplicateField; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submsg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_expire_time: Option<i64>,
}

impl Refused {
    /// The bare envelope.
    pub(crate) fn new(code: ErrCode) -> Self {
        Refused { code, told: Box::default(), fault: None }
    }

    /// A value of the wrong type, or one that cannot be read at all (row 40001).
    pub(crate) fn syntax(problem: InvalidParam) -> Self {
        Refused::new(ErrCode::ParameterSyntaxError).invalid(vec![problem])
    }

    /// A parameter that is missing or invalid (row 40002).
    pub(crate) fn parameter(field: &str, validation_type: &'static str) -> Self {
        Refused::new(ErrCode::ParameterError).invalid(vec![InvalidParam::of(field, validation_type)])
    }

    /// A fault of ours, told to the log only (row -2).
    pub(crate) fn fault(chain: String) -> Self {
        Refused { fault: Some(chain), ..Refused::new(ErrCode::InternalServerError) }
    }

    pub(crate) fn invalid(mut self, rows: Vec<InvalidParam>) -> Self {
        self.told.invalid_param_list = rows;
        self
    }

    pub(crate) fn duplicate(mut self, row: DuplicateField) -> Self {
        self.told.duplicate_field_list = Some([row]);
        self
    }

    pub(crate) fn saying(mut self, submsg: impl Into<String>) -> Self {
        self.told.submsg = Some(submsg.into());
        self
    }

    /// Until when the caller is blocked, in Unix seconds.
    pub(crate) fn until(mut self, second: i64) -> Self {
        self.told.block_expire_time = Some(second);
        self
    }

    pub(crate) fn code(&self) -> ErrCode {
        self.code
    }

    /// The answer's octets.
    pub(crate) fn to_body(&self) -> Vec<u8> {
        envelope(self.code.row(), Some(self.told.as_ref()), 128)
    }
}

/// Octets of the envelope of a success that says nothing more.
pub(crate) fn success() -> Vec<u8> {
    envelope(SUCCESS, None::<&()>, 32)
}

/// Octets of the envelope of a success followed by the members of `answer`, a struct.
pub(crate) fn success_with(answer: &impl Serialize, capacity: usize) -> Vec<u8> {
    envelope(SUCCESS, Some(answer), capacity)
}

const SUCCESS: (i32, &str) = (0, "SUCCESS");

/// Writes `errcode` and `errmsg`, and then the members of the struct given, in one object.
fn envelope((number, text): (i32, &str), answer: Option<&impl Serialize>, capacity: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(capacity);
    // Writing to memory does not fail.
    let _ = write!(body, r#"{{"errcode":{number},"errmsg":"{text}""#);
    let bare = body.len();
    // The struct's opening brace becomes the comma that joins its members to the envelope's: `#[serde(flatten)]` would
    // buffer every member instead.
    if answer.is_some_and(|answer| serde_json::to_writer(&mut body, answer).is_ok()) && body.len() > bare + 2 {
        if let Some(brace) = body.get_mut(bare) {
            *brace = b',';
        }
    } else {
        body.truncate(bare);
        body.push(b'}');
    }
    body
}

/// An answer of the API: status 200 whatever happened, and never to be kept by a cache, since GET deletes as well.
pub(crate) fn response(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: Vec<u8>) -> String {
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn an_answer_is_one_object_that_begins_with_errcode_and_errmsg() {
        #[derive(Serialize)]
        struct Answer {
            reboot: u8,
        }
        assert_eq!(text(success()), r#"{"errcode":0,"errmsg":"SUCCESS"}"#);
        assert_eq!(text(success_with(&Answer { reboot: 0 }, 64)), r#"{"errcode":0,"errmsg":"SUCCESS","reboot":0}"#);
        let refused = Refused::new(ErrCode::TokenExpired);
        assert_eq!(text(refused.to_body()), r#"{"errcode":10004,"errmsg":"TOKEN EXPIRED"}"#);
        let refused = Refused::parameter("id", "required").saying("say");
        assert_eq!(
            text(refused.to_body()),
            r#"{"errcode":40002,"errmsg":"PARAMETER ERROR","invalid_param_list":[{"field":"id","validation_type":"required"}],"submsg":"say"}"#
        );
    }

    #[test]
    fn a_fault_is_told_to_the_log_only() {
        let refused = Refused::fault("the disk is full".into());
        assert_eq!(text(refused.to_body()), r#"{"errcode":-2,"errmsg":"INTERNAL SERVER ERROR"}"#);
        assert_eq!(refused.fault.as_deref(), Some("the disk is full"));
    }
}
