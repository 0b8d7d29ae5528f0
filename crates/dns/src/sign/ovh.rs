//! OVHcloud's signature.
//!
//! Source: "First steps with the OVHcloud API", OVHcloud help centre.
use secrecy::{ExposeSecret as _, SecretString};

use super::canonical::sha1;
use super::key::{Given, InvalidKey, Pair};
use super::{Moment, Outgoing, RequestSigner, Unsigned};

/// `id` and `secret` are the application's, `token` is the consumer key.
pub(super) struct Ovh {
    application: Pair,
    consumer: SecretString,
}

impl Ovh {
    pub(super) fn new(given: &Given) -> Result<Ovh, InvalidKey> {
        Ok(Ovh { application: given.pair()?, consumer: given.secret("token")? })
    }
}

impl RequestSigner for Ovh {
    fn sign(&self, request: &mut Outgoing, moment: &Moment) -> Result<(), Unsigned> {
        let now = moment.now.as_second().to_string();
        let (secret, consumer) = (self.application.secret.expose_secret(), self.consumer.expose_secret());
        let head = format!("{secret}+{consumer}+{}+{}+", request.method, request.url);
        let to_sign = [head.as_bytes(), &request.body, b"+", now.as_bytes()].concat();
        request.put("x-ovh-application", &self.application.id)?;
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
}
