//! Alibaba Cloud: signature method V3 in headers, and the older one of its RPC interfaces in the query.
//!
//! Sources: "V3 request structure and signature" and "Request signatures" (RPC), Alibaba Cloud SDK documentation.
use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::CONTENT_TYPE;
use secrecy::ExposeSecret as _;
use url::form_urlencoded;

use super::canonical::{self, extended, sha256};
use super::key::{Pair, hmac};
use super::{Moment, Outgoing, Unsigned, hexadecimal, percent_encoded};

const V3: &str = "ACS3-HMAC-SHA256";

/// V3: `Host` and every header that begins with `x-acs-` is signed.
pub(super) fn v3(pair: &Pair, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
    let body = sha256(&request.body);
    request.put("x-acs-content-sha256", &body)?;
    request.put("x-acs-date", &extended(moment.now))?;
    request.put("x-acs-signature-nonce", &moment.nonce)?;

    let query = canonical::query(&mut request.url);
    let headers = canonical::headers(request, |name| name.starts_with("x-acs-"));
    let parts = [request.method.as_str(), request.url.path(), &query, &headers.lines, &headers.names, &body];
    let to_sign = format!("{V3}\n{}", sha256(parts.join("\n").as_bytes()));
    let signature = hexadecimal(pair.hmac(HMAC_SHA256, to_sign).as_ref());
    let authorization = format!("{V3} Credential={},SignedHeaders={},Signature={signature}", pair.id, headers.names);
    request.put("authorization", &authorization)
}

/// RPC: all parameters of query and form are signed, and the signature is one more of the query.
pub(super) fn rpc(pair: &Pair, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
    request
        .url
        .query_pairs_mut()
        .append_pair("AccessKeyId", &pair.id)
        .append_pair("SignatureMethod", "HMAC-SHA1")
        .append_pair("SignatureNonce", &moment.nonce)
        .append_pair("SignatureVersion", "1.0")
        .append_pair("Timestamp", &extended(moment.now));
    let form = request.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"x-www-form-urlencoded"));
    let form = form_urlencoded::parse(if form { request.body.as_slice() } else { &[] });
    let signed = canonical::pairs(request.url.query_pairs().chain(form));
    let to_sign = format!("{}&%2F&{}", request.method, percent_encoded(&signed));
    let key = format!("{}&", pair.secret.expose_secret());
    let signature = STANDARD.encode(hmac(HMAC_SHA1_FOR_LEGACY_USE_ONLY, key, to_sign));
    request.url.query_pairs_mut().append_pair("Signature", &signature);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::tests::{moment, pair, request};

    /// The vendor's "Example of fixed parameters".
    #[test]
    fn the_published_example_of_v3() {
        let query = "RegionId=cn-shanghai&ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd";
        let mut request = request("POST", &format!("https://ecs.cn-shanghai.aliyuncs.com/?{query}"), "");
        request.put("x-acs-action", "RunInstances").unwrap();
        request.put("x-acs-version", "2014-05-26").unwrap();
        let pair = pair("YourAccessKeyId", "YourAccessKeySecret");
        v3(&pair, &mut request, &moment("2023-10-26T10:22:32Z", "3156853299f313e23d1673dc12e1703d")).unwrap();
        assert_eq!(
            request.headers["authorization"],
            "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,\
             SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,\
             Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
        );
    }

    /// The vendor's example of `DescribeRegions`.
    #[test]
    fn the_published_example_of_rpc() {
        let url = "https://ecs.aliyuncs.com/?Format=XML&Action=DescribeRegions&Version=2014-05-26";
        let mut request = request("GET", url, "");
        let moment = moment("2016-02-23T12:46:24Z", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf");
        rpc(&pair("testid", "testsecret"), &mut request, &moment).unwrap();
        let (_, signature) = request.url.query_pairs().find(|(name, _)| name == "Signature").unwrap();
        assert_eq!(signature, "OLeaidS1JvxuMvnyHOwuJ+uX5qY=");
    }
}
