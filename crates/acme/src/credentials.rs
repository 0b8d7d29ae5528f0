//! An account's key and URL, as the engine keeps them.
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::ports::CertificateAuthority;
use instant_acme::{Account, Key};
use rustls_pki_types::PrivatePkcs8KeyDer;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};

use crate::jws::SigningKey;
use crate::problem::{self, Act};
use crate::session::Session;

const DOING: &str = "read ACME account";

/// A key that may have been registered.
pub(crate) struct Credentials {
    key_pkcs8: SecretSlice<u8>,
    url: Option<String>,
}

/// The members of instant-acme's own `AccountCredentials`, but that `id` is absent before the registration.
#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    key_pkcs8: String,
    directory: String,
}

impl Credentials {
    /// A new ES256 key.
    pub(crate) fn generate() -> Result<Credentials, Failure> {
        let (_, key) = Key::generate_pkcs8()
            .map_err(|_| Failure::new(Code::Internal, "make ACME account").fact("No account key can be made."))?;
        Ok(Credentials { key_pkcs8: key.secret_pkcs8_der().to_vec().into(), url: None })
    }

    /// Reads what [`Credentials::seal`] wrote.
    pub(crate) fn open(ca: &CertificateAuthority, account: &AcmeAccount) -> Result<Credentials, Failure> {
        if account.directory != ca.directory {
            let failure = Failure::new(Code::Internal, DOING).about(&ca.directory);
            return Err(failure.fact("The account belongs to another CA."));
        }
        Credentials::read(account)
    }

    /// The same, of whatever CA.
    pub(crate) fn read(account: &AcmeAccount) -> Result<Credentials, Failure> {
        let broken = |fact: &str| Failure::new(Code::Internal, DOING).about(&account.directory).fact(fact);
        let saved: Saved = serde_json::from_str(account.credentials.expose_secret())
            .map_err(|_| broken("The account's credentials cannot be read."))?;
        let key =
            BASE64_URL_SAFE_NO_PAD.decode(saved.key_pkcs8.as_bytes()).map_err(|_| broken("The account's key cannot be read."))?;
        Ok(Credentials { key_pkcs8: key.into(), url: saved.id })
    }

    pub(crate) fn seal(&self, directory: &str) -> Result<AcmeAccount, Failure> {
        let saved = Saved {
            id: self.url.clone(),
            key_pkcs8: BASE64_URL_SAFE_NO_PAD.encode(self.key_pkcs8.expose_secret()),
            directory: directory.to_owned(),
        };
        let text = serde_json::to_string(&saved)
            .map_err(|_| Failure::new(Code::Internal, DOING).fact("The account's credentials cannot be written."))?;
        let credentials = SecretString::from(text);
        Ok(AcmeAccount { directory: directory.to_owned(), credentials, registered: self.url.is_some() })
    }

    /// Notes the account's URL, which is its key identifier (RFC 8555 §6.2).
    pub(crate) fn registered_as(&mut self, url: String) {
        self.url = Some(url);
    }

    /// The key, PKCS#8 in DER.
    pub(crate) fn key(&self) -> &[u8] {
        self.key_pkcs8.expose_secret()
    }

    /// The key as it signs.
    pub(crate) fn signing_key(&self) -> Result<SigningKey, Failure> {
        SigningKey::new(self.key()).ok_or_else(|| Failure::new(Code::Internal, DOING).fact("The account's key cannot be read."))
    }

    /// The account's URL.
    pub(crate) fn url(&self) -> Result<&str, Failure> {
        let unregistered = || Failure::new(Code::Internal, DOING).fact("The account was never registered.");
        self.url.as_deref().ok_or_else(unregistered)
    }

    /// The account as instant-acme knows it; asks the CA nothing.
    pub(crate) async fn account(&self, session: &Session) -> Result<Account, Failure> {
        let directory = session.directory().url.to_string();
        let url = self.url()?.to_owned();
        Account::builder_with_http(Box::new(session.clone()))
            .from_parts(url, PrivatePkcs8KeyDer::from(self.key()), directory)
            .await
            .map_err(|error| problem::failure(Act::Directory, &session.server(), &error))
    }
}
