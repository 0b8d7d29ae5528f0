//! OVHcloud's signature.
//!
//! Source: "First steps with the OVHcloud API", OVHcloud help centre.
use secrecy::{ExposeSecret as _, SecretString};

use super::canonical::sha1;
use super::key::{Given, InvalidKey, Pair};
use super::{Moment, Outgoing, RequestSigner, Unsigned};

/// `id` and `secret` are the application's, `token` is the consumer key. Where there is none of them nothing is signed:
/// that account shows an access token instead.
pub(super) struct Ovh(Option<Keys>);

struct Keys {
    application: Pair,
    consumer: SecretString,
}

impl Ovh {
    pub(super) fn new(given: &Given) -> Result<Ovh, InvalidKey> {
        if ["id", "secret", "token"].into_iter().all(|name| given.optional(name).is_none()) {
            return Ok(Ovh(None));
        }
        Ok(Ovh(Some(Keys { application: given.pair()?, consumer: given.secret("token")? })))
    }
}

impl RequestSigner for Ovh {
    fn sign(&self, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
        let Some(Keys { application, consumer }) = &self.0 else { return Ok(()) };
        let now = moment.now.as_second().to_string();
        let (secret, consumer) = (application.secret.expose_secret(), consumer.expose_secret());
        let head = format!("{secret}+{consumer}+{}+{}+", request.method, request.url);
        let to_sign = [head.as_bytes(), &request.body, b"+", now.as_bytes()].concat();
        request.put("x-ovh-application", &application.id)?;
        request.put("x-ovh-consumer", consumer)?;
        request.put("x-ovh-timestamp", &now)?;
        request.put("x-ovh-signature", &format!("$1${}", sha1(&to_sign)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::key::tests::given;
    use crate::sign::tests::{moment, request};

    /// No vector is published; computed with `printf %s 'AS+CK+GET+https://…+body+time' | openssl dgst -sha1`.
    #[test]
    fn as_openssl_has_it() {
        let signer = Ovh::new(&given([("id", "AK"), ("secret", "AS"), ("token", "CK")])).unwrap();
        let mut request = request("GET", "https://eu.api.ovh.com/1.0/domain/zone?x=1", "");
        signer.sign(&mut request, &moment("2023-11-14T22:13:20Z", "")).unwrap();
        assert_eq!(request.headers["x-ovh-application"], "AK");
        assert_eq!(request.headers["x-ovh-consumer"], "CK");
        assert_eq!(request.headers["x-ovh-timestamp"], "1700000000");
        assert_eq!(request.headers["x-ovh-signature"], "$1$ab77301a7800f4e70263aa858215a94b12c5c76b");
    }

    #[test]
    fn an_account_with_another_key_signs_nothing() {
        let mut request = request("GET", "https://eu.api.ovh.com/1.0/domain/zone", "");
        let signer = Ovh::new(&given([("id", ""), ("secret", ""), ("token", "")])).unwrap();
        signer.sign(&mut request, &moment("2023-11-14T22:13:20Z", "")).unwrap();
        assert!(request.headers.is_empty());
        assert_eq!(Ovh::new(&given([("id", "AK")])).err().unwrap().parameter, "secret");
    }
}
