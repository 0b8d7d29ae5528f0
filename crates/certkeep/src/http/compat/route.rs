//! From method and path to an endpoint (contract §1).
use certkeep_core::audit::Action;
use http::Method;

use crate::http::envelope::{ErrCode, InvalidParam, Refused};

/// What the API offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    CertificateCreate,
    CertificateDelete,
    CertificateGet,
    CertificateList,
    CertificateQuery,
    CertificateUpdate,
    CertificateUpload,
    DelToken,
    GetToken,
    RefreshToken,
    SystemGetMenuoptions,
    SystemInformation,
    WebserverGet,
    WebserverUpdate,
}

impl Endpoint {
    /// Whether the endpoint deals with tokens itself and needs no live one.
    pub(crate) fn is_about_tokens(self) -> bool {
        matches!(self, Self::DelToken | Self::GetToken | Self::RefreshToken)
    }

    /// What it changes: a client that may only read is refused then.
    pub(crate) fn changes(self) -> Option<Action> {
        match self {
            Self::CertificateCreate => Some(Action::CertificateCreate),
            Self::CertificateDelete => Some(Action::CertificateDelete),
            Self::CertificateUpdate => Some(Action::CertificateUpdate),
            Self::CertificateUpload => Some(Action::CertificateUpload),
            Self::WebserverUpdate => Some(Action::WebserverUpdate),
            Self::CertificateGet
            | Self::CertificateList
            | Self::CertificateQuery
            | Self::DelToken
            | Self::GetToken
            | Self::RefreshToken
            | Self::SystemGetMenuoptions
            | Self::SystemInformation
            | Self::WebserverGet => None,
        }
    }
}

/// How much of an unknown path is told back, in characters.
const SHOWN: usize = 200;

/// The endpoint of a method and a path, both matched exactly.
///
/// # Errors
/// 10003 for another version of the API, 10001 for anything else.
pub(crate) fn endpoint(method: &Method, path: &str) -> Result<Endpoint, Refused> {
    let unknown = || {
        let shown: String = path.chars().take(SHOWN).collect();
        let row = InvalidParam::saying(format!("No route for {method} {shown}"));
        Refused::new(ErrCode::InterfaceNotExisted).invalid(vec![row])
    };
    let (version, name) = path.strip_prefix("/openapi/").and_then(|rest| rest.split_once('/')).ok_or_else(unknown)?;
    if version != "v1.0" {
        let refused = if is_version(version) { Refused::new(ErrCode::ApiVersionUnsupported) } else { unknown() };
        return Err(refused);
    }
    match (method.as_str(), name) {
        ("GET", "certificate/delete") => Ok(Endpoint::CertificateDelete),
        ("GET", "certificate/get") => Ok(Endpoint::CertificateGet),
        ("GET", "certificate/list") => Ok(Endpoint::CertificateList),
        ("GET", "certificate/query") => Ok(Endpoint::CertificateQuery),
        ("GET", "del_token") => Ok(Endpoint::DelToken),
        ("GET", "system/get_menuoptions") => Ok(Endpoint::SystemGetMenuoptions),
        ("GET", "system/information") => Ok(Endpoint::SystemInformation),
        ("GET", "webserver/get") => Ok(Endpoint::WebserverGet),
        ("POST", "certificate/create") => Ok(Endpoint::CertificateCreate),
        ("POST", "certificate/update") => Ok(Endpoint::CertificateUpdate),
        ("POST", "certificate/upload") => Ok(Endpoint::CertificateUpload),
        ("POST", "get_token") => Ok(Endpoint::GetToken),
        ("POST", "refresh_token") => Ok(Endpoint::RefreshToken),
        ("POST", "webserver/update") => Ok(Endpoint::WebserverUpdate),
        _ => Err(unknown()),
    }
}

/// Whether a segment is a version's: `v`, digits, perhaps a dot and digits.
fn is_version(segment: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    segment.strip_prefix('v').is_some_and(|rest| rest.split('.').count() <= 3 && rest.split('.').all(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_paths_and_methods_lead_anywhere() {
        assert_eq!(endpoint(&Method::POST, "/openapi/v1.0/get_token").unwrap(), Endpoint::GetToken);
        for (path, code) in [
            ("/openapi/v9.9/get_token", ErrCode::ApiVersionUnsupported),
            ("/openapi/v2/get_token", ErrCode::ApiVersionUnsupported),
            ("/openapi/vx/get_token", ErrCode::InterfaceNotExisted),
            ("/openapi/v1.0/get_token/", ErrCode::InterfaceNotExisted),
            ("/openapi/v1.0//get_token", ErrCode::InterfaceNotExisted),
            ("/openapi/v1.0/openapi/v1.0/get_token", ErrCode::InterfaceNotExisted),
            ("/openapi//v1.0/get_token", ErrCode::InterfaceNotExisted),
            ("/openapi/v1.0/GET_TOKEN", ErrCode::InterfaceNotExisted),
            ("/openapi/v1.0", ErrCode::InterfaceNotExisted),
            ("/openapi", ErrCode::InterfaceNotExisted),
            ("//get_token", ErrCode::InterfaceNotExisted),
        ] {
            assert_eq!(endpoint(&Method::POST, path).unwrap_err().code(), code, "{path}");
        }
        assert_eq!(endpoint(&Method::GET, "/openapi/v1.0/get_token").unwrap_err().code(), ErrCode::InterfaceNotExisted);
    }
}
