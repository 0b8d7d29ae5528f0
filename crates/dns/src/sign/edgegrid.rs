//! Akamai's `EG1-HMAC-SHA256`.
//!
//! Source: "Authenticate with EdgeGrid", Akamai TechDocs.
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::HMAC_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};

use super::key::{Given, InvalidKey, Pair, hmac};
use super::{Moment, Outgoing, RequestSigner, Unsigned, host, target};

/// How much of a body is signed, in octets.
const LONGEST: usize = 131_072;

/// `id` and `secret` are the client's, `token` is what it was given access with.
pub(super) struct EdgeGrid {
    client: Pair,
    access: SecretString,
}

impl EdgeGrid {
    pub(super) fn new(given: &Given) -> Result<EdgeGrid, InvalidKey> {
        Ok(EdgeGrid { client: given.pair()?, access: given.secret("token")? })
    }
}

impl RequestSigner for EdgeGrid {
    fn sign(&self, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
        let now = moment.now.strftime("%Y%m%dT%H:%M:%S+0000").to_string();
        let head = format!(
            "EG1-HMAC-SHA256 client_token={};access_token={};timestamp={now};nonce={};",
            self.client.id,
            self.access.expose_secret(),
            moment.nonce
        );
        let body = match request.body.as_slice() {
            body if body.is_empty() || request.method != Method::POST => String::new(),
            body => STANDARD.encode(digest(&SHA256, body.get(..LONGEST).unwrap_or(body))),
        };
        let (method, url) = (request.method.as_str(), &request.url);
        // The field between address and body is for headers, of which the DNS interface asks for none.
        let to_sign = [method, url.scheme(), &host(url), &target(url), "", &body, &head].join("\t");
        let key = STANDARD.encode(self.client.hmac(HMAC_SHA256, now));
        let signature = STANDARD.encode(hmac(HMAC_SHA256, key, to_sign));
        request.put("authorization", &format!("{head}signature={signature}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::key::tests::given;
    use crate::sign::tests::{moment, request};

    /// The cases without signed headers of the test data that the vendor's own clients share.
    #[test]
    fn the_shared_test_data() {
        let client = "akab-client-token-xxx-xxxxxxxxxxxxxxxx";
        let access = "akab-access-token-xxx-xxxxxxxxxxxxxxxx";
        let secret = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx=";
        let nonce = "nonce-xx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
        let signer = EdgeGrid::new(&given([("id", client), ("secret", secret), ("token", access)])).unwrap();
        for (method, path, body, signature) in [
            ("GET", "", "", "tL+y4hxyHxgWVD30X3pWnGKHcPzmrIF+LThiAOhMxYU="),
            ("GET", "testapi/v1/t1?p1=1&p2=2", "", "hKDH1UlnQySSHjvIcZpDMbQHihTQ0XyVAKZaApabdeA="),
            ("POST", "testapi/v1/t3", "datadatadatadatadatadatadatadata", "hXm4iCxtpN22m4cbZb4lVLW5rhX8Ca82vCFqXzSTPe4="),
            ("POST", "testapi/v1/t6", "", "1gEDxeQGD5GovIkJJGcBaKnZ+VaPtrc4qBUHixjsPCQ="),
            ("PUT", "testapi/v1/t6", "PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP", "GNBWEYSEWOLtu+7dD52da2C39aX/Jchpon3K/AmBqBU="),
        ] {
            let url = format!("https://akaa-baseurl-xxxxxxxxxxx-xxxxxxxxxxxxx.luna.akamaiapis.net/{path}");
            let mut request = request(method, &url, body);
            signer.sign(&mut request, &moment("2014-03-21T19:34:21Z", nonce)).unwrap();
            let expected = format!(
                "EG1-HMAC-SHA256 client_token={client};access_token={access};\
                 timestamp=20140321T19:34:21+0000;nonce={nonce};signature={signature}"
            );
            assert_eq!(request.headers["authorization"], expected.as_str(), "{method} {path}");
        }
    }
}
