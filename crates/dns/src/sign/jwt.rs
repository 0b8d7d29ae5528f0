//! JSON Web Tokens (RFC 7519) signed with RSA: what a service account proves itself with.
//!
//! Sources: "Using OAuth 2.0 for server to server applications", Google identity documentation; "Getting an IAM token for
//! a service account", Yandex Cloud documentation.
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::key::{Given, InvalidKey, RsaKey};
use super::{Assertion, Moment, Outgoing, RequestSigner, Unsigned};

/// How long a token is good unless the page says otherwise, in seconds.
const LIFE: u32 = 3600;

/// Claims that never change, and the key that vouches for them.
pub(super) struct Jwt {
    algorithm: &'static str,
    padding: &'static dyn RsaEncoding,
    key: RsaKey,
    kid: Option<String>,
    claims: Vec<(&'static str, String)>,
    life: u32,
}

impl Jwt {
    pub(super) fn new(given: &Given) -> Result<Jwt, InvalidKey> {
        let account = given.optional("account").map(|text| account(text.expose_secret())).transpose()?.unwrap_or_default();
        let of_account = |name| {
            let spellings = ACCOUNT.iter().find(|(parameter, _)| *parameter == name)?.1;
            spellings.iter().find_map(|spelling| account.get(*spelling)?.as_str()).map(str::to_owned)
        };
        let optional = |name| given.optional(name).map(|v| v.expose_secret().to_owned()).or_else(|| of_account(name));
        let needed = |name| optional(name).ok_or(InvalidKey { parameter: name, problem: "is empty" });
        let (algorithm, padding): (_, &'static dyn RsaEncoding) = match optional("alg").as_deref() {
            None | Some("RS256") => ("RS256", &RSA_PKCS1_SHA256),
            Some("PS256") => ("PS256", &RSA_PSS_SHA256),
            Some(_) => return Err(InvalidKey { parameter: "alg", problem: "is neither RS256 nor PS256" }),
        };
        let life = match optional("life").map(|life| life.parse()) {
            None => LIFE,
            Some(Ok(life)) => life,
            Some(Err(_)) => return Err(InvalidKey { parameter: "life", problem: "is no number of seconds" }),
        };
        let mut claims = vec![("iss", needed("iss")?), ("aud", needed("aud")?)];
        claims.extend(["sub", "scope"].into_iter().filter_map(|name| Some((name, optional(name)?))));
        let key = RsaKey::parse(&needed("key")?, given.optional("pass").as_ref())?;
        Ok(Jwt { algorithm, padding, key, kid: optional("kid"), claims, life })
    }

    fn token(&self, now: Timestamp) -> Result<SecretString, Unsigned> {
        let mut header = json!({ "alg": self.algorithm, "typ": "JWT" });
        if let (Some(kid), Value::Object(header)) = (&self.kid, &mut header) {
            header.insert("kid".to_owned(), kid.as_str().into());
        }
        let mut claims: serde_json::Map<String, Value> =
            self.claims.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        claims.insert("iat".to_owned(), now.as_second().into());
        claims.insert("exp".to_owned(), now.as_second().saturating_add(self.life.into()).into());
        signed(&header.to_string(), &Value::Object(claims).to_string(), &self.key, self.padding)
    }
}

/// What the file of a service account says instead of the page, in the spellings of Google, Yandex and HyperOne.
const ACCOUNT: &[(&str, &[&str])] = &[
    ("key", &["private_key"]),
    ("iss", &["client_email", "service_account_id", "issuer"]),
    ("kid", &["private_key_id", "certificate_id", "id"]),
    ("sub", &["subject_id"]),
];

/// The file of a service account: JSON, or base64 of it.
fn account(text: &str) -> Result<serde_json::Map<String, Value>, InvalidKey> {
    let decoded = || STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).ok();
    serde_json::from_str(text)
        .ok()
        .or_else(|| serde_json::from_slice(&decoded()?).ok())
        .ok_or(InvalidKey { parameter: "account", problem: "is not the JSON of a service account's key" })
}

/// The compact form of a signature (RFC 7515 §7.1).
fn signed(header: &str, claims: &str, key: &RsaKey, padding: &'static dyn RsaEncoding) -> Result<SecretString, Unsigned> {
    let to_sign = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(padding, to_sign.as_bytes())?;
    Ok(format!("{to_sign}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
}

impl Assertion for Jwt {
    fn assertion(&self, moment: &Moment) -> Result<SecretString, Unsigned> {
        self.token(moment.now)
    }
}

impl RequestSigner for Jwt {
    fn sign(&self, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
        request.put("authorization", &format!("Bearer {}", self.token(moment.now)?.expose_secret()))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;
    use crate::sign::key::tests::given;
    use crate::sign::tests::{moment, request};

    const PEM: &str = include_str!("testdata/rfc7515-a2.pem");

    /// RFC 7515 A.2.
    #[test]
    fn the_published_signature() {
        let claims = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
        let key = given([("key", PEM)]).rsa().unwrap();
        let token = signed("{\"alg\":\"RS256\"}", claims, &key, &RSA_PKCS1_SHA256).unwrap();
        assert_eq!(
            token.expose_secret(),
            "eyJhbGciOiJSUzI1NiJ9.\
             eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
             cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9C\
             UAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6\
             _dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp\
             0igcN_IoypGlUPQGe77Rw"
        );
    }

    fn part(token: &str, at: usize) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn a_service_account_of_google() {
        let account = json!({ "client_email": "me@project.iam.gserviceaccount.com", "private_key": PEM }).to_string();
        let maker = Jwt::new(&given([
            ("account", &account),
            ("aud", "https://oauth2.googleapis.com/token"),
            ("scope", "https://www.googleapis.com/auth/ndev.clouddns.readwrite"),
        ]));
        let token = maker.unwrap().assertion(&moment("2023-11-14T22:13:20Z", "")).unwrap();
        assert_eq!(part(token.expose_secret(), 0), json!({ "alg": "RS256", "typ": "JWT" }));
        assert_eq!(
            part(token.expose_secret(), 1),
            json!({
                "iss": "me@project.iam.gserviceaccount.com",
                "aud": "https://oauth2.googleapis.com/token",
                "scope": "https://www.googleapis.com/auth/ndev.clouddns.readwrite",
                "iat": 1_700_000_000,
                "exp": 1_700_003_600,
            })
        );
    }

    #[test]
    fn a_service_account_of_yandex() {
        // The vendor puts a line of its own in front of the key.
        let key = format!("PLEASE DO NOT REMOVE THIS LINE! Yandex.Cloud SA Key ID <ajek>\n{PEM}");
        let account = json!({ "id": "ajek", "service_account_id": "ajes", "private_key": key }).to_string();
        let maker = Jwt::new(&given([
            ("alg", "PS256"),
            ("account", &STANDARD.encode(account)),
            ("aud", "https://iam.api.cloud.yandex.net/iam/v1/tokens"),
        ]));
        let token = maker.unwrap().assertion(&moment("2023-11-14T22:13:20Z", "")).unwrap();
        assert_eq!(part(token.expose_secret(), 0), json!({ "alg": "PS256", "typ": "JWT", "kid": "ajek" }));
        assert_eq!(part(token.expose_secret(), 1)["iss"], "ajes");
        let (to_sign, signature) = token.expose_secret().rsplit_once('.').unwrap();
        let key = RsaKeyPair::from_pkcs8(PrivatePkcs8KeyDer::from_pem_slice(PEM.as_bytes()).unwrap().secret_pkcs8_der());
        UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key.unwrap().public_key().as_ref())
            .verify(to_sign.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .unwrap();
    }

    #[test]
    fn a_token_for_every_call() {
        let mut request = request("GET", "https://api.hyperone.com/v2/dns", "");
        let signer = Jwt::new(&given([("key", PEM), ("iss", "i"), ("sub", "s"), ("aud", "a"), ("life", "300")])).unwrap();
        signer.sign(&mut request, &moment("2023-11-14T22:13:20Z", "")).unwrap();
        let token = request.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
        let claims = json!({ "iss": "i", "aud": "a", "sub": "s", "iat": 1_700_000_000, "exp": 1_700_000_300 });
        assert_eq!(part(&token, 1), claims);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let told = |given: Given| Jwt::new(&given).err().unwrap().to_string();
        assert_eq!(told(given([("alg", "none"), ("key", PEM)])), "alg is neither RS256 nor PS256");
        assert_eq!(told(given([("life", "long"), ("key", PEM)])), "life is no number of seconds");
        assert_eq!(told(given([("iss", "i"), ("key", PEM)])), "aud is empty");
        assert_eq!(told(given([("account", "s3cr3t")])), "account is not the JSON of a service account's key");
        assert_eq!(told(given([("account", "{}"), ("aud", "a")])), "iss is empty");
    }
}
