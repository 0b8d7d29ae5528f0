//! Huawei Cloud's `SDK-HMAC-SHA256`.
//!
//! Source: "AK/SK signing and authentication algorithm", Huawei Cloud API signing guide.
use aws_lc_rs::hmac::HMAC_SHA256;

use super::canonical::{self, Headers, compact, sha256};
use super::key::Pair;
use super::{Moment, Outgoing, Unsigned, hexadecimal};

const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// Signs `Host`, `Content-Type` and every header that begins with `x-`.
pub(super) fn sign(pair: &Pair, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
    let date = compact(moment.now);
    request.put("x-sdk-date", &date)?;
    let query = canonical::query(&mut request.url);
    let Headers { names, lines } = canonical::headers(request, |name| name == "content-type" || name.starts_with("x-"));
    // The path that is signed ends with a slash, whether the one that is sent does or not.
    let path = format!("{}/", request.url.path().trim_end_matches('/'));
    let parts = [request.method.as_str(), &path, &query, &lines, &names, &sha256(&request.body)];
    let to_sign = [ALGORITHM, &date, &sha256(parts.join("\n").as_bytes())].join("\n");
    let signature = hexadecimal(pair.hmac(HMAC_SHA256, to_sign).as_ref());
    let authorization = format!("{ALGORITHM} Access={}, SignedHeaders={names}, Signature={signature}", pair.id);
    request.put("authorization", &authorization)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::tests::{moment, pair, request};

    /// The example of the signing guide, as the tests of the vendor's SDK for Java have it.
    #[test]
    fn the_published_example() {
        let url = "https://service.region.example.com/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs\
                   ?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0";
        let mut request = request("GET", url, "");
        request.put("content-type", "application/json").unwrap();
        let pair = pair("QTWAOYTTINDUT2QVKYUC", "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc");
        sign(&pair, &mut request, &moment("2019-11-15T03:36:55Z", "")).unwrap();
        assert_eq!(
            request.headers["authorization"],
            "SDK-HMAC-SHA256 Access=QTWAOYTTINDUT2QVKYUC, SignedHeaders=content-type;host;x-sdk-date, \
             Signature=7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"
        );
    }
}
