//! AWS Signature Version 4, and the likeness of it that Volcano Engine asks for.
//!
//! Sources: "Create a signed AWS API request", AWS documentation; "Signature method", Volcano Engine documentation, and
//! its SDK for Go.
use aws_lc_rs::hmac::HMAC_SHA256;
use secrecy::ExposeSecret as _;

use super::canonical::{self, Headers, compact, sha256};
use super::key::{Given, InvalidKey, Pair, hmac};
use super::{Moment, Outgoing, RequestSigner, Unsigned, hexadecimal, percent_encoded};

/// A key that is good for one day, one region and one service.
pub(super) struct Scoped {
    dialect: &'static Dialect,
    pair: Pair,
    region: String,
    service: String,
}

/// What the vendors do not have in common.
struct Dialect {
    algorithm: &'static str,
    /// In front of the secret.
    prefix: &'static str,
    /// The end of the scope.
    end: &'static str,
    date: &'static str,
    /// The header for the digest of the body, where it is sent.
    digest: Option<&'static str>,
    /// The beginning of the names of headers that are signed besides `Host` and `Content-Type`.
    signed: &'static str,
    /// Encodes what a path has already encoded.
    path: fn(&str) -> String,
}

static AWS: Dialect = Dialect {
    algorithm: "AWS4-HMAC-SHA256",
    prefix: "AWS4",
    end: "aws4_request",
    date: "x-amz-date",
    digest: None,
    signed: "x-amz-",
    path: |path| path.split('/').map(percent_encoded).collect::<Vec<_>>().join("/"),
};

static VOLCENGINE: Dialect = Dialect {
    algorithm: "HMAC-SHA256",
    prefix: "",
    end: "request",
    date: "x-date",
    digest: Some("x-content-sha256"),
    signed: "x-",
    path: str::to_owned,
};

impl Scoped {
    /// Any service of AWS but S3. A session token is a header of the page, `X-Amz-Security-Token`, and signed as such.
    pub(super) fn aws(given: &Given) -> Result<Scoped, InvalidKey> {
        Scoped::new(&AWS, given)
    }

    /// Volcano Engine.
    pub(super) fn volcengine(given: &Given) -> Result<Scoped, InvalidKey> {
        Scoped::new(&VOLCENGINE, given)
    }

    fn new(dialect: &'static Dialect, given: &Given) -> Result<Scoped, InvalidKey> {
        Ok(Scoped { dialect, pair: given.pair()?, region: given.text("region")?, service: given.text("service")? })
    }
}

impl RequestSigner for Scoped {
    fn sign(&self, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
        let Dialect { algorithm, prefix, end, date, digest, signed, path } = *self.dialect;
        let now = compact(moment.now);
        let day = moment.now.strftime("%Y%m%d").to_string();
        let body = sha256(&request.body);
        request.put(date, &now)?;
        if let Some(digest) = digest {
            request.put(digest, &body)?;
        }
        let query = canonical::query(&mut request.url);
        let Headers { names, lines } = canonical::headers(request, |name| name == "content-type" || name.starts_with(signed));
        let path = path(request.url.path());
        let canonical = [request.method.as_str(), &path, &query, &lines, &names, &body].join("\n");

        let Scoped { pair, region, service, .. } = self;
        let scope = format!("{day}/{region}/{service}/{end}");
        let to_sign = [algorithm, &now, &scope, &sha256(canonical.as_bytes())].join("\n");
        let secret = format!("{prefix}{}", pair.secret.expose_secret());
        let key = [region.as_str(), service.as_str(), end]
            .into_iter()
            .fold(hmac(HMAC_SHA256, secret, day), |key, part| hmac(HMAC_SHA256, key, part));
        let signature = hexadecimal(hmac(HMAC_SHA256, key, to_sign).as_ref());
        let authorization = format!("{algorithm} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", pair.id);
        request.put("authorization", &authorization)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::key::tests::given;
    use crate::sign::tests::{moment, request};

    fn signed_for_aws(mut request: Outgoing) -> String {
        let signer = Scoped::aws(&given([
            ("id", "AKIDEXAMPLE"),
            ("secret", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            ("region", "us-east-1"),
            ("service", "service"),
        ]));
        signer.unwrap().sign(&mut request, &moment("2015-08-30T12:36:00Z", "")).unwrap();
        request.headers["authorization"].to_str().unwrap().to_owned()
    }

    /// The signature test suite of AWS, by the names of its cases.
    #[test]
    fn the_suite_of_aws() {
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let form = "application/x-www-form-urlencoded";
        let cases = [
            ("get-vanilla", "GET", "/", None, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (
                "get-vanilla-query-order-encoded",
                "GET",
                "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
                None,
                "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
            ),
            (
                "get-vanilla-utf8-query",
                "GET",
                "/?ሴ=bar",
                None,
                "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
            ),
            (
                "get-vanilla-with-session-token",
                "GET",
                "/",
                Some(("x-amz-security-token", token)),
                "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ),
            ("post-vanilla", "POST", "/", None, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "post-x-www-form-urlencoded",
                "POST",
                "/",
                Some(("content-type", form)),
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ];
        for (name, method, target, header, signature) in cases {
            let body = if name == "post-x-www-form-urlencoded" { "Param1=value1" } else { "" };
            let mut request = request(method, &format!("https://example.amazonaws.com{target}"), body);
            if let Some((header, value)) = header {
                request.put(header, value).unwrap();
            }
            let authorization = signed_for_aws(request);
            assert!(authorization.ends_with(&format!("Signature={signature}")), "{name}: {authorization}");
        }
    }

    #[test]
    fn the_authorization_of_aws() {
        assert_eq!(
            signed_for_aws(request("GET", "https://example.amazonaws.com/", "")),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
    }

    /// No vector is published; computed with `hmac` and `hashlib` of Python's standard library.
    #[test]
    fn volcengine() {
        let mut request = request("POST", "https://open.volcengineapi.com/?Version=2018-08-01&Action=ListZones", "{}");
        request.put("content-type", "application/json").unwrap();
        let given = given([("id", "AK"), ("secret", "secret"), ("region", "cn-north-1"), ("service", "DNS")]);
        Scoped::volcengine(&given).unwrap().sign(&mut request, &moment("2023-11-14T22:13:20Z", "")).unwrap();
        assert_eq!(request.url.query(), Some("Action=ListZones&Version=2018-08-01"));
        assert_eq!(
            request.headers["authorization"],
            "HMAC-SHA256 Credential=AK/20231114/cn-north-1/DNS/request, \
             SignedHeaders=content-type;host;x-content-sha256;x-date, \
             Signature=6882fa92920fde71ae2573a9d61257149073a67b9e566f1b931f213df652a219"
        );
    }
}
