//! TransIP's login: the body, signed with the account's RSA key and SHA-512.
//!
//! Source: "Authentication", TransIP API v6 documentation.
use aws_lc_rs::signature::RSA_PKCS1_SHA512;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::{Given, InvalidKey, RsaKey};
use super::{Moment, Outgoing, RequestSigner, Unsigned};

/// Signs the body and nothing else; it has to hold what makes it another one each time.
pub(super) struct TransIp(RsaKey);

impl TransIp {
    pub(super) fn new(given: &Given) -> Result<TransIp, InvalidKey> {
        given.rsa().map(TransIp)
    }
}

impl RequestSigner for TransIp {
    fn sign(&self, request: &mut Outgoing, _: &Moment) -> Result<(), Unsigned> {
        let signature = self.0.sign(&RSA_PKCS1_SHA512, &request.body)?;
        request.put("signature", &STANDARD.encode(signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::key::tests::given;
    use crate::sign::tests::{moment, request};

    /// No vector is published; computed with `openssl dgst -sha512 -sign`.
    #[test]
    fn as_openssl_has_it() {
        let signer = TransIp::new(&given([("key", include_str!("testdata/rfc7515-a2.pem"))])).unwrap();
        let mut request = request("POST", "https://api.transip.nl/v6/auth", r#"{"login":"me","nonce":"1"}"#);
        signer.sign(&mut request, &moment("2023-11-14T22:13:20Z", "")).unwrap();
        assert_eq!(
            request.headers["signature"],
            "K7Z/OcGdocjaNniP+WpHtgug46fyq4HqLcE2BEndkrq0+4TPbXCa864m6ln6o0CFo36XAIXFdHh6CfDNPTH42Hg7bS2QG4phMYw6pmbXCVh\
             pAa1YZ5826kMd7FHdp1pwRXCrbTN1Ld7/YmKn9LIZG2Snhqb36PM/xd6tzzPd9GPbXkAVnUQkhrcEK2/MnFeKatsqrFnc3qDIF3HBnlGdbS\
             BgmlJAzA81CadQV6LVPi8cVXL9CJGZRxSHWXtR+pMtD6oEwW6+Gd/ES7nRxZJPdZl5kXfTXxVsSho/dchGuMvZtTLCgNwQKuMulNqC3tgfq\
             zNqSxySL9wwlS0/AdrXvw=="
        );
    }
}
