//! What the API shows of the inventory: field order as in the contract (§4.1), absent means absent.
use std::fmt;

use certkeep_core::application::{AuthEntry, AuthValue};
use certkeep_core::certificate::{ApplyStatus, Certificate, Origin, Role};
use jiff::Timestamp;
use jiff::tz::Offset;
use secrecy::ExposeSecret;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// A certificate as get, list and query show it.
#[derive(Serialize)]
pub(crate) struct CertificateView<'a> {
    id: i64,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    issue_to: &'a str,
    expiration: Expiration,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_renewal: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns_provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apply_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apply_tip_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_info_list: Option<AuthInfoList<'a>>,
}

impl<'a> From<&'a Certificate> for CertificateView<'a> {
    fn from(entry: &'a Certificate) -> Self {
        let view = CertificateView {
            id: entry.id.0,
            name: &entry.name,
            kind: entry.kind().as_str(),
            issue_to: entry.issue_to(),
            expiration: Expiration(entry.expiration()),
            ca_type: None,
            auto_renewal: None,
            dns_provider: None,
            apply_status: None,
            apply_tip_code: None,
            auth_info_list: None,
        };
        let Role::Server(server) = &entry.role else { return view };
        let application = server.application.as_ref();
        CertificateView {
            ca_type: Some(match server.origin {
                Origin::Apply => "apply",
                Origin::Upload => "upload",
            }),
            auto_renewal: Some(u8::from(server.auto_renewal)),
            dns_provider: Some(application.map_or("", |application| &application.dns_provider)),
            apply_status: Some(status_word(server.status)),
            apply_tip_code: server.failure.map(certkeep_core::failure::Code::number),
            auth_info_list: Some(AuthInfoList(application.map_or(&[], |application| &application.auth))),
            ..view
        }
    }
}

/// The API's word for where an application stands.
pub(crate) fn status_word(status: ApplyStatus) -> &'static str {
    match status {
        ApplyStatus::IssuanceFail => "issuance_fail",
        ApplyStatus::IssuanceSuccess => "issuance_success",
        ApplyStatus::Issuing => "issuing",
    }
}

/// Rows of a list, each shown as it is written.
pub(crate) struct Rows<'a>(pub(crate) &'a [Certificate]);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(CertificateView::from))
    }
}

/// The end of validity, `-` while nothing is held.
struct Expiration(Option<Timestamp>);

impl Serialize for Expiration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(instant) => serializer.collect_str(&WireTime(instant)),
            None => serializer.serialize_str("-"),
        }
    }
}

/// An instant as `YYYY/MM/DD hh:mm:ss`, UTC.
pub(crate) struct WireTime(pub(crate) Timestamp);

impl fmt::Display for WireTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Offset::UTC.to_datetime(self.0);
        let (date, time) = (at.date(), at.time());
        write!(
            f,
            "{:04}/{:02}/{:02} {:02}:{:02}:{:02}",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        )
    }
}

impl Serialize for WireTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `auth_info_list`, values as given: the contract shows them to whoever holds a token.
struct AuthInfoList<'a>(&'a [AuthEntry]);

impl Serialize for AuthInfoList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(AuthInfo))
    }
}

struct AuthInfo<'a>(&'a AuthEntry);

impl Serialize for AuthInfo<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("AuthInfo", 2)?;
        members.serialize_field("k", &self.0.k)?;
        match &self.0.value {
            AuthValue::Boolean(value) => members.serialize_field("bv", value)?,
            AuthValue::Integer(value) => members.serialize_field("iv", value)?,
            AuthValue::Text(value) => members.serialize_field("sv", value.expose_secret())?,
        }
        members.end()
    }
}
