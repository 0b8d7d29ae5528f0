//! Signatures over the time, or over little more. Whoever sees one can use it until its time is past.
use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::CONTENT_TYPE;
use secrecy::ExposeSecret as _;

use super::canonical::{compact, extended, http_date, sha1};
use super::key::Pair;
use super::{Moment, Outgoing, Unsigned, hexadecimal};

/// PCextreme's and Versatel's Aurora DNS: method, path and time.
///
/// Source: "Authentication", API documentation of Aurora DNS.
pub(super) fn aurora(pair: &Pair, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
    let date = compact(moment.now);
    let to_sign = format!("{}{}{date}", request.method, request.url.path());
    let signature = STANDARD.encode(pair.hmac(HMAC_SHA256, to_sign));
    request.put("x-auroradns-date", &date)?;
    request.put("authorization", &format!("AuroraDNSv1 {}", STANDARD.encode(format!("{}:{signature}", pair.id))))
}

/// Constellix (v1): the time in milliseconds.
///
/// Source: "Authentication", Constellix API documentation.
pub(super) fn constellix(pair: &Pair, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
    let now = moment.now.as_millisecond().to_string();
    let signature = STANDARD.encode(pair.hmac(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &now));
    request.put("x-cns-security-token", &format!("{}:{signature}:{now}", pair.id))
}

/// DNS Made Easy: the time.
///
/// Source: "Authentication", REST API documentation v2.0 of DNS Made Easy.
pub(super) fn dnsmadeeasy(pair: &Pair, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
    let date = http_date(moment.now);
    request.put("x-dnsme-apikey", &pair.id)?;
    request.put("x-dnsme-requestdate", &date)?;
    request.put("x-dnsme-hmac", &hexadecimal(pair.hmac(HMAC_SHA1_FOR_LEGACY_USE_ONLY, date).as_ref()))
}

/// How long a signature of IIJ is good, in seconds.
const IIJ_LIFE: i64 = 3600;

/// IIJ's DO service: method, path, the kind of body, and until when.
///
/// Source: the vendor's client in Go, `iij/doapi`.
pub(super) fn iij(pair: &Pair, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
    let until = moment.now + jiff::SignedDuration::from_secs(IIJ_LIFE);
    let own = [
        ("x-iijapi-expire", extended(until)),
        ("x-iijapi-signaturemethod", "HmacSHA256".to_owned()),
        ("x-iijapi-signatureversion", "2".to_owned()),
    ];
    let kind = request.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let lines: String = own.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let to_sign = format!("{}\n\n{kind}\n{lines}{}", request.method, request.url.path());
    let signature = STANDARD.encode(pair.hmac(HMAC_SHA256, to_sign));
    for (name, value) in own {
        request.put(name, &value)?;
    }
    request.put("authorization", &format!("IIJAPI {}:{signature}", pair.id))
}

/// NearlyFreeSpeech.NET: login, time, salt, key, path and the digest of the body.
///
/// Source: "Authentication", NearlyFreeSpeech.NET API reference.
pub(super) fn nearlyfreespeech(pair: &Pair, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
    // Sixteen letters and digits are asked for.
    let salt = moment.nonce.get(..16).unwrap_or(&moment.nonce);
    let head = format!("{};{};{salt}", pair.id, moment.now.as_second());
    let (path, body) = (request.url.path(), sha1(&request.body));
    let signature = sha1(format!("{head};{};{path};{body}", pair.secret.expose_secret()).as_bytes());
    request.put("x-nfsn-authentication", &format!("{head};{signature}"))
}

/// NIFCLOUD DNS: the time.
///
/// Source: "Authentication", NIFCLOUD DNS API reference, and the vendor's SDK for Go.
pub(super) fn nifcloud(pair: &Pair, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
    let date = http_date(moment.now);
    let signature = STANDARD.encode(pair.hmac(HMAC_SHA256, &date));
    request.put("date", &date)?;
    let authorization = format!("NIFTY3-HTTPS NiftyAccessKeyId={},Algorithm=HmacSHA256,Signature={signature}", pair.id);
    request.put("x-nifty-authorization", &authorization)
}

/// Websupport: method, path and time, as the password of Basic authentication.
///
/// Source: "Introduction", Websupport REST API v1 and v2, of which one wants the time in `Date`, the other in `X-Date`.
pub(super) fn websupport(pair: &Pair, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
    let date = compact(moment.now);
    let to_sign = format!("{} {} {}", request.method, request.url.path(), moment.now.as_second());
    let password = hexadecimal(pair.hmac(HMAC_SHA1_FOR_LEGACY_USE_ONLY, to_sign).as_ref());
    request.put("date", &date)?;
    request.put("x-date", &date)?;
    request.put("authorization", &format!("Basic {}", STANDARD.encode(format!("{}:{password}", pair.id))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::tests::{moment, pair, request};

    /// No vector is published; computed with `hmac` and `base64` of Python's standard library.
    #[test]
    fn aurora_as_python_has_it() {
        let mut request = request("GET", "https://api.auroradns.eu/zones", "");
        aurora(&pair("key", "secret"), &mut request, &moment("2023-01-01T02:03:04Z", "")).unwrap();
        assert_eq!(request.headers["x-auroradns-date"], "20230101T020304Z");
        assert_eq!(
            request.headers["authorization"],
            "AuroraDNSv1 a2V5OklUMUVUbWtuQ21ZVDJYRzZwdmVLUGVxVHJvei8vZ3M4Ry9mK2toaWdGdjQ9"
        );
    }

    /// No vector is published; computed with `hmac` of Python's standard library.
    #[test]
    fn constellix_as_python_has_it() {
        let mut request = request("GET", "https://api.dns.constellix.com/v1/domains", "");
        constellix(&pair("key", "secret"), &mut request, &moment("2023-11-14T22:13:20.123Z", "")).unwrap();
        assert_eq!(request.headers["x-cns-security-token"], "key:wM/x5OtJkw9gpeIAD/C+ySgHcak=:1700000000123");
    }

    /// The vendor's example.
    #[test]
    fn dnsmadeeasy_as_published() {
        let mut request = request("GET", "https://api.dnsmadeeasy.com/V2.0/dns/managed", "");
        let key = pair("1c1a3c91-4770-4ce7-96f4-54c0eb0e457a", "c9b5625f-9834-4ff8-baba-4ed5f32cae55");
        dnsmadeeasy(&key, &mut request, &moment("2011-02-12T20:59:04Z", "")).unwrap();
        assert_eq!(request.headers["x-dnsme-apikey"], "1c1a3c91-4770-4ce7-96f4-54c0eb0e457a");
        assert_eq!(request.headers["x-dnsme-requestdate"], "Sat, 12 Feb 2011 20:59:04 GMT");
        assert_eq!(request.headers["x-dnsme-hmac"], "b3502e6116a324f3cf4a8ed693d78bcee8d8fe3c");
    }

    /// No vector is published; computed with `hmac` of Python's standard library.
    #[test]
    fn iij_as_python_has_it() {
        let service = "https://do.api.iij.jp/r/20140601/do123/example.com";
        for (method, path, kind, signature) in [
            ("GET", "records/DETAIL.json", "", "rzWJ3C1hvD7qQogH3kFFhpt4RTxjQPdU091XIGTWjHE="),
            ("POST", "record.json", "application/json", "AOadIdXPGQ42BCP+iraQC8og1FbpBxeqyE36rw+c0FU="),
        ] {
            let mut request = request(method, &format!("{service}/{path}"), "");
            if !kind.is_empty() {
                request.put("content-type", kind).unwrap();
            }
            iij(&pair("key", "secret"), &mut request, &moment("2023-11-14T22:13:20Z", "")).unwrap();
            assert_eq!(request.headers["x-iijapi-expire"], "2023-11-14T23:13:20Z");
            assert_eq!(request.headers["authorization"], format!("IIJAPI key:{signature}").as_str());
        }
    }

    /// Cases of a second implementation's tests, `go-acme/lego`.
    #[test]
    fn nearlyfreespeech_as_lego_has_it() {
        for (path, now, salt, signature) in [
            ("/path", "2023-08-19T19:58:33Z", "0123456789ABCDEF", "417a9988c7ad7919b297884dd120b5808d8a1e6f"),
            ("/path", "2023-08-20T21:42:46Z", "0123456789ABCDEF", "b5c28286fd2e1a45a7c576dc2a6430116f721502"),
            ("/path", "2023-08-19T19:58:33Z", "FEDCBA9876543210", "0f766822bda4fdc09829be4e1ea5e27ae3ae334e"),
            ("/", "2023-08-19T19:58:33Z", "0123456789ABCDEF", "c7c241a4d15d04d92805631d58d4d72ac1c339a1"),
        ] {
            let mut request = request("POST", &format!("https://api.nearlyfreespeech.net{path}"), "data");
            let moment = moment(now, &format!("{salt}more"));
            nearlyfreespeech(&pair("user", "secret"), &mut request, &moment).unwrap();
            let expected = format!("user;{};{salt};{signature}", moment.now.as_second());
            assert_eq!(request.headers["x-nfsn-authentication"], expected.as_str());
        }
    }

    /// No vector is published; computed with `hmac` of Python's standard library.
    #[test]
    fn nifcloud_as_python_has_it() {
        let mut request = request("GET", "https://dns.api.nifcloud.com/2012-12-12N2013-12-16/hostedzone", "");
        nifcloud(&pair("key", "secret"), &mut request, &moment("2015-06-02T02:36:07Z", "")).unwrap();
        assert_eq!(request.headers["date"], "Tue, 02 Jun 2015 02:36:07 GMT");
        assert_eq!(
            request.headers["x-nifty-authorization"],
            "NIFTY3-HTTPS NiftyAccessKeyId=key,Algorithm=HmacSHA256,\
             Signature=Au0YMgHRmZntM8wG+JQMDuMJIigIbgOSiAc18lDZu40="
        );
    }

    /// The case of a second implementation's tests, `go-acme/lego`.
    #[test]
    fn websupport_as_lego_has_it() {
        let mut request = request("GET", "https://rest.websupport.sk/v1/user/self/service", "");
        websupport(&pair("user", "secret"), &mut request, &moment("2025-06-28T01:02:03Z", "")).unwrap();
        let expected = STANDARD.encode("user:743e2257421b260ed561f3e7af4b035414636393");
        assert_eq!(request.headers["authorization"], format!("Basic {expected}").as_str());
        assert_eq!(request.headers["x-date"], "20250628T010203Z");
    }
}
