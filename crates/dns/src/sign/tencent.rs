//! Tencent Cloud's `TC3-HMAC-SHA256`.
//!
//! Source: "Signature Method v3", Tencent Cloud API documentation.
use aws_lc_rs::hmac::HMAC_SHA256;
use secrecy::ExposeSecret as _;

use super::canonical::{self, Headers, sha256};
use super::key::{Given, InvalidKey, Pair, hmac};
use super::{Moment, Outgoing, RequestSigner, Unsigned, hexadecimal};

const ALGORITHM: &str = "TC3-HMAC-SHA256";
const END: &str = "tc3_request";

/// Signs `Host`, `Content-Type` and `X-TC-Action`.
pub(super) struct Tencent {
    pair: Pair,
    service: String,
}

impl Tencent {
    pub(super) fn new(given: &Given) -> Result<Tencent, InvalidKey> {
        Ok(Tencent { pair: given.pair()?, service: given.text("service")? })
    }

    fn signature(&self, request: &mut Outgoing, signed: &[&str], now: jiff::Timestamp) -> String {
        let query = canonical::query(&mut request.url);
        let Headers { names, lines } = canonical::headers(request, |name| signed.contains(&name));
        // The vendor compares values in lower case, as its example has the action.
        let lines = lines.to_ascii_lowercase();
        let parts = [request.method.as_str(), request.url.path(), &query, &lines, &names, &sha256(&request.body)];
        let canonical = sha256(parts.join("\n").as_bytes());

        let day = now.strftime("%Y-%m-%d").to_string();
        let service = self.service.as_str();
        let to_sign = format!("{ALGORITHM}\n{}\n{day}/{service}/{END}\n{canonical}", now.as_second());
        let secret = format!("TC3{}", self.pair.secret.expose_secret());
        let key = [service, END].into_iter().fold(hmac(HMAC_SHA256, secret, &day), |key, part| hmac(HMAC_SHA256, key, part));
        let signature = hexadecimal(hmac(HMAC_SHA256, key, to_sign).as_ref());
        let id = &self.pair.id;
        format!("{ALGORITHM} Credential={id}/{day}/{service}/{END}, SignedHeaders={names}, Signature={signature}")
    }
}

impl RequestSigner for Tencent {
    fn sign(&self, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
        request.put("x-tc-timestamp", &moment.now.as_second().to_string())?;
        let authorization = self.signature(request, &["content-type", "x-tc-action"], moment.now);
        request.put("authorization", &authorization)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::key::tests::given;
    use crate::sign::tests::{moment, request};

    /// The vendor's example, `DescribeInstances`, the secret as it is printed there.
    #[test]
    fn the_published_example() {
        let body = r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;
        let mut request = request("POST", "https://cvm.tencentcloudapi.com/", body);
        request.put("content-type", "application/json; charset=utf-8").unwrap();
        request.put("x-tc-action", "DescribeInstances").unwrap();
        let secret = "*".repeat(32);
        let signer = Tencent::new(&given([("id", "AKID"), ("secret", &secret), ("service", "cvm")])).unwrap();
        signer.sign(&mut request, &moment("2019-02-25T16:44:25Z", "")).unwrap();
        assert_eq!(request.headers["x-tc-timestamp"], "1551113065");
        assert_eq!(
            request.headers["authorization"],
            "TC3-HMAC-SHA256 Credential=AKID/2019-02-25/cvm/tc3_request, \
             SignedHeaders=content-type;host;x-tc-action, \
             Signature=10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"
        );
    }

    /// The vendor's earlier example, which signs two headers.
    #[test]
    fn the_example_with_two_headers() {
        let body = r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;
        let mut request = request("POST", "https://cvm.tencentcloudapi.com/", body);
        request.put("content-type", "application/json; charset=utf-8").unwrap();
        let given = given([("id", "AKID"), ("secret", "Gu5t9xGARNpq86cd98joQYCN3*******"), ("service", "cvm")]);
        let now = "2019-02-25T16:44:25Z".parse().unwrap();
        let authorization = Tencent::new(&given).unwrap().signature(&mut request, &["content-type"], now);
        assert!(authorization.ends_with("2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c"));
    }
}
