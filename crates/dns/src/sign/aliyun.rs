//! Alibaba Cloud's signature method V3.
//!
//! Source: "V3 request structure and signature", Alibaba Cloud SDK documentation, read 2026-11-24.
use aws_lc_rs::{digest, hmac};
use reqwest::header::{AUTHORIZATION, HeaderValue, InvalidHeaderValue};
use secrecy::ExposeSecret;

use super::{Moment, Outgoing, SigningKey, hexadecimal, host, percent_encoded};

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// Signs `host` and every header that begins with `x-acs-`, as the method asks for.
pub(super) fn sign(request: &mut Outgoing, key: &SigningKey, moment: &Moment) -> Result<(), InvalidHeaderValue> {
    let body = sha256(&request.body);
    let date = moment.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    request.headers.insert("x-acs-content-sha256", HeaderValue::from_str(&body)?);
    request.headers.insert("x-acs-date", HeaderValue::from_str(&date)?);
    request.headers.insert("x-acs-signature-nonce", HeaderValue::from_str(&moment.nonce)?);

    let mut signed: Vec<(&str, String)> = request
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-acs-"))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default().trim().to_owned()))
        .collect();
    signed.push(("host", host(&request.url)));
    signed.sort_unstable();
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let headers: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();

    let mut query: Vec<(String, String)> =
        request.url.query_pairs().map(|(k, v)| (percent_encoded(&k), percent_encoded(&v))).collect();
    query.sort_unstable();
    let query = query.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("&");

    let canonical = [request.method.as_str(), request.url.path(), &query, &headers, &names, &body].join("\n");
    let to_sign = format!("{ALGORITHM}\n{}", sha256(canonical.as_bytes()));
    let secret = hmac::Key::new(hmac::HMAC_SHA256, key.secret.expose_secret().as_bytes());
    let signature = hexadecimal(hmac::sign(&secret, to_sign.as_bytes()).as_ref());
    let authorization = format!("{ALGORITHM} Credential={},SignedHeaders={names},Signature={signature}", key.id);
    request.headers.insert(AUTHORIZATION, HeaderValue::from_str(&authorization)?);
    Ok(())
}

fn sha256(octets: &[u8]) -> String {
    hexadecimal(digest::digest(&digest::SHA256, octets).as_ref())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    /// The example of the vendor's documentation, "Example of fixed parameters".
    #[test]
    fn the_published_example() {
        let mut headers = HeaderMap::new();
        headers.insert("x-acs-action", HeaderValue::from_static("RunInstances"));
        headers.insert("x-acs-version", HeaderValue::from_static("2014-05-26"));
        let query = "RegionId=cn-shanghai&ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd";
        let mut request = Outgoing {
            method: reqwest::Method::POST,
            url: format!("https://ecs.cn-shanghai.aliyuncs.com/?{query}").parse().unwrap(),
            headers,
            body: Vec::new(),
        };
        let key = SigningKey { id: "YourAccessKeyId".into(), secret: "YourAccessKeySecret".into() };
        let moment = Moment { now: "2023-10-26T10:22:32Z".parse().unwrap(), nonce: "3156853299f313e23d1673dc12e1703d".into() };
        sign(&mut request, &key, &moment).unwrap();
        assert_eq!(
            request.headers[AUTHORIZATION],
            "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,\
             SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,\
             Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
        );
    }
}
