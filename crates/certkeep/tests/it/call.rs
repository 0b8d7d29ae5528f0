//! A call and its answer. What §2 says of every answer is checked of every answer.
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

/// A request, before it is sent.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) from: IpAddr,
}

/// Where calls come from unless a test says otherwise.
pub(crate) const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// Another address.
pub(crate) const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

impl Call {
    /// A call of an endpoint below `/openapi/v1.0/`.
    pub(crate) fn new(method: Method, endpoint: &str) -> Call {
        Call::raw(method, &format!("/openapi/v1.0/{endpoint}"))
    }

    /// A call of any path.
    pub(crate) fn raw(method: Method, target: &str) -> Call {
        Call { method, target: target.to_owned(), headers: HeaderMap::new(), body: Vec::new(), from: HERE }
    }

    pub(crate) fn get(endpoint: &str) -> Call {
        Call::new(Method::GET, endpoint)
    }

    pub(crate) fn post(endpoint: &str, body: &Value) -> Call {
        Call::new(Method::POST, endpoint).body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Call {
        self.body = body.into();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Call {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }

    pub(crate) fn from(mut self, address: IpAddr) -> Call {
        self.from = address;
        self
    }

    /// Adds the token to the query.
    pub(crate) fn with(mut self, token: &str) -> Call {
        let joint = if self.target.contains('?') { '&' } else { '?' };
        self.target = format!("{}{joint}access_token={token}", self.target);
        self
    }
}

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) json: Value,
    pub(crate) headers: HeaderMap,
}

impl Answer {
    /// Checks status, type and envelope (contract §2).
    pub(crate) fn new(status: u16, headers: HeaderMap, body: &[u8]) -> Answer {
        let text = String::from_utf8(body.to_vec()).expect("an answer is UTF-8");
        assert_eq!(status, 200, "{text}");
        assert_eq!(headers.get("content-type").map(HeaderValue::as_bytes), Some(b"application/json".as_slice()), "{text}");
        let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let members: Vec<_> = json.as_object().expect("an answer is an object").keys().map(String::as_str).collect();
        assert_eq!(members.get(..2), Some(["errcode", "errmsg"].as_slice()), "{text}");
        assert!(json["errcode"].is_i64() && json["errmsg"].is_string(), "{text}");
        Answer { text, json, headers }
    }

    pub(crate) fn errcode(&self) -> i64 {
        self.json["errcode"].as_i64().unwrap()
    }

    /// Checks number and text.
    #[track_caller]
    pub(crate) fn is(&self, errcode: i64, errmsg: &str) -> &Answer {
        assert_eq!((self.errcode(), self.json["errmsg"].as_str()), (errcode, Some(errmsg)), "{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn is_success(&self) -> &Answer {
        self.is(0, "SUCCESS")
    }

    /// Checks for 40001 that names the field.
    #[track_caller]
    pub(crate) fn is_syntax_error(&self, field: &str) -> &Answer {
        self.is(40001, "PARAMETER SYNTAX ERROR");
        assert!(self.invalid().iter().any(|(name, _)| name == field), "{}", self.text);
        self
    }

    /// Checks for 40002 that names the field and what is wrong with it.
    #[track_caller]
    pub(crate) fn is_parameter_error(&self, field: &str, validation_type: &str) -> &Answer {
        self.is(40002, "PARAMETER ERROR");
        let row = (field.to_owned(), validation_type.to_owned());
        assert!(self.invalid().contains(&row), "{}", self.text);
        self
    }

    /// Rows of `invalid_param_list`: field and validation type.
    pub(crate) fn invalid(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows = self.json["invalid_param_list"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| (text(&row["field"]), text(&row["validation_type"]))).collect()
    }

    /// A member that is a text.
    #[track_caller]
    pub(crate) fn text_of(&self, member: &str) -> String {
        self.json[member].as_str().unwrap_or_else(|| panic!("no {member}: {}", self.text)).to_owned()
    }

    /// Names of the members, in order.
    pub(crate) fn members(&self) -> Vec<&str> {
        members(&self.json)
    }
}

/// Names of an object's members, in order.
pub(crate) fn members(object: &Value) -> Vec<&str> {
    object.as_object().map(|members| members.keys().map(String::as_str).collect()).unwrap_or_default()
}
