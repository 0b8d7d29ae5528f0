//! Oracle Cloud's HTTP signatures (draft-cavage-http-signatures-08, RSA with SHA-256).
//!
//! Source: "Request signatures", Oracle Cloud Infrastructure documentation.
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use super::canonical::http_date;
use super::key::{Given, InvalidKey, RsaKey};
use super::{Moment, Outgoing, RequestSigner, Unsigned, host, target};

/// `id` is tenancy, user and fingerprint with `/` between them.
pub(super) struct Oracle {
    id: String,
    key: RsaKey,
}

impl Oracle {
    pub(super) fn new(given: &Given) -> Result<Oracle, InvalidKey> {
        Ok(Oracle { id: given.text("id")?, key: given.rsa()? })
    }
}

/// Puts in the headers that are signed; their names, and the lines that go into the signature.
fn lines(request: &mut Outgoing, moment: &Moment) -> Result<(String, String), Unsigned> {
    let method = request.method.as_str().to_ascii_lowercase();
    let mut lines = vec![
        ("date", http_date(moment.now)),
        ("(request-target)", format!("{method} {}", target(&request.url))),
        ("host", host(&request.url)),
    ];
    request.put("date", &http_date(moment.now))?;
    if [Method::PATCH, Method::POST, Method::PUT].contains(&request.method) {
        if !request.headers.contains_key(CONTENT_TYPE) {
            request.put("content-type", "application/json")?;
        }
        let kind = request.headers.get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
        let body = STANDARD.encode(digest(&SHA256, &request.body));
        request.put("x-content-sha256", &body)?;
        lines.push(("content-length", request.body.len().to_string()));
        lines.push(("content-type", kind.unwrap_or_default()));
        lines.push(("x-content-sha256", body));
        request.put("content-length", &request.body.len().to_string())?;
    }
    let names = lines.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
    let lines = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n");
    Ok((names, lines))
}

impl RequestSigner for Oracle {
    fn sign(&self, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
        let (names, lines) = lines(request, moment)?;
        let signature = STANDARD.encode(self.key.sign(&RSA_PKCS1_SHA256, lines.as_bytes())?);
        let id = &self.id;
        let authorization = format!(
            "Signature version=\"1\",keyId=\"{id}\",algorithm=\"rsa-sha256\",headers=\"{names}\",signature=\"{signature}\""
        );
        request.put("authorization", &authorization)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
    use rustls::pki_types::SubjectPublicKeyInfoDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;
    use crate::sign::key::tests::given;
    use crate::sign::tests::{moment, request};

    /// The public half of the key of the vendor's examples, which is that of the draft. Its 1024 bits are too few to
    /// sign with here: the published signatures are checked over the lines made here instead.
    const PUBLISHED: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDCFENGw33yGihy92pDjZQhl0C3
6rPJj+CvfSC8+q28hxA161QFNUd13wuCTUcq0Qd2qsBe/2hFyc2DCJJg0h1L78+6
Z4UMR7EOcpfdUE9Hf3m/hs+FUR45uBJeDK1HSFHD8bHKD6kv8FPGfJTotc+2xjJw
oYi+1hqp1fIekaxsyQIDAQAB
-----END PUBLIC KEY-----";

    fn is_published(request: &mut Outgoing, signature: &str) {
        let (_, lines) = lines(request, &moment("2014-01-05T21:31:40Z", "")).unwrap();
        // The vendor's examples call that day a Thursday; it was a Sunday.
        let lines = lines.replace("Sun, 05 Jan 2014", "Thu, 05 Jan 2014");
        let key = SubjectPublicKeyInfoDer::from_pem_slice(PUBLISHED.as_bytes()).unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, key.as_ref())
            .verify(lines.as_bytes(), &STANDARD.decode(signature).unwrap())
            .unwrap_or_else(|_| panic!("not what was signed: {lines}"));
    }

    #[test]
    fn the_published_get() {
        let url = "https://iaas.us-phoenix-1.oraclecloud.com/20160918/instances?availabilityDomain=Pjwf%3A%20PHX-AD-1\
            &compartmentId=ocid1.compartment.oc1..aaaaaaaam3we6vgnherjq5q2idnccdflvjsnog7mlr6rtdb25gilchfeyjxa\
            &displayName=TeamXInstances\
            &volumeId=ocid1.volume.oc1.phx.abyhqljrgvttnlx73nmrwfaux7kcvzfs3s66izvxf2h4lgvyndsdsnoiwr5q";
        is_published(
            &mut request("GET", url, ""),
            "GBas7grhyrhSKHP6AVIj/h5/Vp8bd/peM79H9Wv8kjoaCivujVXlpbKLjMPeDUhxkFIWtTtLBj3sUzaFj34XE6YZAHc9r2DmE4pMwOAy/\
             kiITcZxa1oHPOeRheC0jP2dqbTll8fmTZVwKZOKHYPtrLJIJQHJjNvxFWeHQjMaR7M=",
        );
    }

    #[test]
    fn the_published_post() {
        let body = r#"{
    "compartmentId": "ocid1.compartment.oc1..aaaaaaaam3we6vgnherjq5q2idnccdflvjsnog7mlr6rtdb25gilchfeyjxa",
    "instanceId": "ocid1.instance.oc1.phx.abuw4ljrlsfiqw6vzzxb43vyypt4pkodawglp3wqxjqofakrwvou52gb6s5a",
    "volumeId": "ocid1.volume.oc1.phx.abyhqljrgvttnlx73nmrwfaux7kcvzfs3s66izvxf2h4lgvyndsdsnoiwr5q"
}"#;
        let url = "https://iaas.us-phoenix-1.oraclecloud.com/20160918/volumeAttachments";
        is_published(
            &mut request("POST", url, body),
            "Mje8vIDPlwIHmD/cTDwRxE7HaAvBg16JnVcsuqaNRim23fFPgQfLoOOxae6WqKb1uPjYEl0qIdazWaBy/Ml8DRhqlocMwoSXv0fbukP8J5\
             N80LCmzT/FFBvIvTB91XuXI3hYfP9Zt1l7S6ieVadHUfqBedWH0itrtPJBgKmrWso=",
        );
    }

    /// The signature was computed with `openssl dgst -sha256 -sign` over the three lines.
    #[test]
    fn the_authorization() {
        let pem = include_str!("testdata/rfc7515-a2.pem");
        let signer = Oracle::new(&given([("id", "tenancy/user/20:3b"), ("key", pem)])).unwrap();
        let mut request = request("GET", "https://dns.eu-frankfurt-1.oraclecloud.com/20180115/zones?limit=1", "");
        signer.sign(&mut request, &moment("2014-01-05T21:31:40Z", "")).unwrap();
        assert_eq!(
            request.headers["authorization"],
            "Signature version=\"1\",keyId=\"tenancy/user/20:3b\",algorithm=\"rsa-sha256\",\
             headers=\"date (request-target) host\",signature=\"\
             UOEA6JSdbCTdZCr/msxh2yBBCxLKvE2XxO2bizOWzSx1+2+n4+8ZYPSfrpz7d2G6e3ddSyIjLibAGKQiRFddEIJ7CAuPrVEC6mhb\
             O59S3umrWPoB0qIG62lsDgNE1zjQmWqwvESJpsZahHevYxU7n+UdlqBodOrgahnzF0PYvwHUSt8FcUdYkcm6jqhNPRvu12HqV5n+\
             jgm97+c70TdJFDjnlGkXvyvHi++KMSd5/yHBFydYWMf6j5VqPI1ilEIlCOPuJCOSF8CeW+R81tBh1pFsqbNElJWVDighwU9vL24Q\
             MI0A64/mpCZLEdQUd03a8Z238DWQAoR+fH+fNMKXLA==\""
        );
    }
}
