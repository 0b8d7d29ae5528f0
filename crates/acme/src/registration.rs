//! Registering an account under a key that was saved before, and giving it another (RFC 8555 §7.3).
use certkeep_core::failure::{Code, Failure};
use certkeep_core::ports::CertificateAuthority;
use http::header::LOCATION;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::client::{Answer, ExchangeError};
use crate::credentials::Credentials;
use crate::jws::{self, By, SigningKey};
use crate::poll::Attempts;
use crate::post::Sender;
use crate::problem::{self, Act};
use crate::session::Session;

/// What an account object says of itself (RFC 8555 §7.1.2).
#[derive(Deserialize)]
struct AccountObject {
    #[serde(default)]
    status: Option<String>,
}

/// Registers the key and answers the account's URL, an old one if the CA knows the key.
pub(crate) async fn register(session: &Session, ca: &CertificateAuthority, credentials: &Credentials) -> Result<String, Failure> {
    let act = Act::Register { bound: ca.external_account.is_some() };
    let server = session.server();
    let url = session.directory().new_account.as_str();
    let key = credentials.signing_key()?;

    let mut payload = Map::from_iter([("termsOfServiceAgreed".to_owned(), json!(true))]);
    if !ca.contact.is_empty() {
        payload.insert("contact".to_owned(), json!(ca.contact));
    }
    if let Some(external) = &ca.external_account {
        let mac = jws::mac_key(&external.hmac_key).ok_or_else(|| {
            Failure::new(Code::AccountBindingRejected, act.words())
                .about(&external.kid)
                .fact("The HMAC key is not base64url; the CA was not asked.")
        })?;
        let binding = key
            .binding(url, &external.kid, &mac)
            .map_err(|_| Failure::new(Code::Internal, act.words()).fact("The external account binding cannot be signed."))?;
        payload.insert("externalAccountBinding".to_owned(), binding);
    }
    let sender = Sender { session, key: &key, by: By::Key };
    let posted = sender.post(url, Some(&Value::Object(payload)), Attempts::at_what_can_be_repeated()).await;
    account_url(session, act, &posted.map_err(|error| problem::exchange(act, &server, &error))?)
}

/// Gives the account the key of `next` (RFC 8555 §7.3.5); answers the account's URL.
pub(crate) async fn roll_over(session: &Session, account: &Credentials, next: &Credentials) -> Result<String, Failure> {
    let act = Act::RollOver;
    let server = session.server();
    let (old_key, new_key) = (account.signing_key()?, next.signing_key()?);
    let account_url = account.url()?;
    let Some(url) = session.directory().key_change.as_deref() else {
        return Err(Failure::new(Code::CaProtocol, act.words())
            .about(server)
            .fact("The CA does not let an account change its key."));
    };
    let change = json!({ "account": account_url, "oldKey": old_key.jwk() });
    // The new key consents by its own signature, which has no nonce.
    let consent = new_key
        .request(By::Key, url, None, Some(&change))
        .map_err(|_| problem::exchange(act, &server, &ExchangeError::Unsigned))?;
    let sender = Sender { session, key: &old_key, by: By::Account(account_url) };
    match sender.post(url, Some(&consent), Attempts::at_what_can_be_repeated()).await {
        Ok(_) => Ok(account_url.to_owned()),
        // The change may have been made already, by a call whose answer was lost: the old key then signs nothing any more.
        Err(error) if is_refusal(&error) && holder(session, &new_key).await.as_deref() == Some(account_url) => {
            Ok(account_url.to_owned())
        }
        Err(error) => Err(problem::exchange(act, &server, &error)),
    }
}

/// Whether the CA said no and may be asked further questions.
fn is_refusal(error: &ExchangeError) -> bool {
    matches!(error, ExchangeError::Refused { retry_after: None, .. })
}

/// The URL of the account that has this key, if there is one.
async fn holder(session: &Session, key: &SigningKey) -> Option<String> {
    let sender = Sender { session, key, by: By::Key };
    let looking = json!({ "onlyReturnExisting": true });
    let url = session.directory().new_account.as_str();
    let found = sender.post(url, Some(&looking), Attempts::at_what_can_be_repeated()).await.ok()?;
    account_url(session, Act::RollOver, &found).ok()
}

/// The URL of an account that is valid.
fn account_url(session: &Session, act: Act, answer: &Answer) -> Result<String, Failure> {
    let server = session.server();
    let account: AccountObject =
        serde_json::from_slice(&answer.body).map_err(|_| problem::exchange(act, &server, &answer.foreign(None)))?;
    if let Some(status) = account.status.filter(|status| status != "valid") {
        return Err(Failure::new(Code::AccountRefused, act.words())
            .about(server)
            .fact(format!("The account is {}.", status.chars().take(40).collect::<String>())));
    }
    let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    location
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(Code::CaProtocol, act.words()).about(server).fact("The CA did not tell the account's URL."))
}
