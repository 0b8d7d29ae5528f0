//! Exoscale's `EXO2-HMAC-SHA256`.
//!
//! Source: "Request signature", Exoscale API documentation.
use aws_lc_rs::hmac::HMAC_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::Pair;
use super::{Moment, Outgoing, Unsigned};

/// How long a signature is good, in seconds.
const LIFE: i64 = 600;

/// Signs the path, the body and all of the query.
pub(super) fn sign(pair: &Pair, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
    let expires = moment.now.as_second().saturating_add(LIFE);
    let mut query: Vec<_> = request.url.query_pairs().collect();
    query.sort_unstable();
    let names = query.iter().map(|(name, _)| name.as_ref()).collect::<Vec<_>>().join(";");
    let values: String = query.iter().map(|(_, value)| value.as_ref()).collect();
    let mut to_sign = format!("{} {}\n", request.method, request.url.path()).into_bytes();
    to_sign.extend_from_slice(&request.body);
    // The empty line is for headers, of which none are signed.
    to_sign.extend_from_slice(format!("\n{values}\n\n{expires}").as_bytes());
    let signature = STANDARD.encode(pair.hmac(HMAC_SHA256, to_sign));
    let names = if names.is_empty() { names } else { format!("signed-query-args={names},") };
    let authorization = format!("EXO2-HMAC-SHA256 credential={},{names}expires={expires},signature={signature}", pair.id);
    request.put("authorization", &authorization)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::tests::{moment, pair, request};

    /// Two requests of a second implementation's tests (the package Exoscale for Swift), the first after the vendor's
    /// documentation; ten minutes before they expire.
    #[test]
    fn the_documented_request() {
        let resource = "v2/resource/a02baf5a-a3e4-49a0-857b-8a08d276c1c0?p2=v2&p1=v1";
        let group = r#"{"name":"my-security-group"}"#;
        for (method, path, body, end) in [
            (
                "GET",
                resource,
                "",
                "signed-query-args=p1;p2,expires=1599140767,signature=vPVxcXrf2my0TLdJ8WPIGa/vLld+FiJN+xtMs/vofHg=",
            ),
            ("POST", "v2/security-group", group, "expires=1599140767,signature=edcMQSdrqtsF1iT0nXKHkAXTaNHlcPm76hHXVOyKe6k="),
        ] {
            let mut request = request(method, &format!("https://api-ch-gva-2.exoscale.com/{path}"), body);
            sign(&pair("example-key", "example-secret"), &mut request, &moment("2020-09-03T13:36:07Z", "")).unwrap();
            let expected = format!("EXO2-HMAC-SHA256 credential=example-key,{end}");
            assert_eq!(request.headers["authorization"], expected.as_str());
        }
    }
}
