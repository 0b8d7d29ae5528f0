//! External account binding (RFC 8555 §7.3.4).

use serde_json::Value;

use super::Ca;
use super::jwk::Jwk;
use super::jws::Jws;
use super::problem::{Kind, Problem};

impl Ca {
    /// Checks the binding of a new account, if this CA asks for one.
    pub(super) fn check_binding(&self, binding: Option<&Value>, key: &Jwk, url: &str) -> Result<(), Problem> {
        let Some((kid, hmac_key)) = &self.setup.external_account else {
            return Ok(());
        };
        let binding =
            binding.ok_or_else(|| Problem::new(Kind::ExternalAccountRequired, "accounts here need an external account"))?;
        let jws = Jws::parse(binding.to_string().as_bytes())?;
        if jws.header.nonce.is_some() || jws.header.url.as_deref() != Some(url) {
            return Err(Problem::malformed("externalAccountBinding: wrong header"));
        }
        let bound: Value = serde_json::from_slice(&jws.payload)
            .map_err(|_| Problem::malformed("externalAccountBinding: the payload is not a key"))?;
        if Jwk::parse(&bound)? != *key {
            return Err(Problem::malformed("externalAccountBinding: another account's key"));
        }
        if jws.header.kid.as_ref() != Some(kid) || !jws.verifies_hs256(hmac_key) {
            return Err(Problem::new(Kind::Unauthorized, "externalAccountBinding: unknown kid or wrong HMAC"));
        }
        Ok(())
    }
}
