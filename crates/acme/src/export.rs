//! What an account's credentials hold, for people and for other clients.
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::material::PrivateKey;
use secrecy::SecretString;

use crate::credentials::Credentials;

/// What may be told of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    /// Its URL (RFC 8555 §7.1.2); `None` before it is registered.
    pub url: Option<String>,
    /// The thumbprint of its key (RFC 7638), by which challenges are met.
    pub thumbprint: String,
}

/// What may be told of an account; its CA is not asked.
///
/// # Errors
/// `internal` when the credentials were not made here.
pub fn account_facts(account: &AcmeAccount) -> Result<AccountFacts, Failure> {
    let credentials = Credentials::read(account)?;
    let url = credentials.url().ok().map(str::to_owned);
    Ok(AccountFacts { url, thumbprint: credentials.signing_key()?.thumbprint() })
}

/// The account's private key.
///
/// # Errors
/// As [`account_facts`].
pub fn account_key(account: &AcmeAccount) -> Result<PrivateKey, Failure> {
    Ok(PrivateKey::from_pkcs8(Credentials::read(account)?.key().to_vec()))
}

/// The account's private key as JWK, one line.
///
/// # Errors
/// As [`account_facts`].
pub fn account_jwk(account: &AcmeAccount) -> Result<SecretString, Failure> {
    let jwk = Credentials::read(account)?.signing_key()?.private_jwk();
    jwk.ok_or_else(|| Failure::new(Code::Internal, "export ACME account").fact("The key cannot be written as JWK."))
}
