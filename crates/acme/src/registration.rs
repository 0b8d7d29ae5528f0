//! Registering an account under a key that was saved before (RFC 8555 §7.3).
use bytes::Bytes;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::ports::CertificateAuthority;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Uri};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::client::{Answer, ExchangeError};
use crate::credentials::Credentials;
use crate::jws::{self, AccountKey};
use crate::poll::Attempts;
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
    let internal = |fact: &str| Failure::new(Code::Internal, act.words()).about(&server).fact(fact);
    let url = session.directory().new_account.as_str();
    let key = AccountKey::new(credentials.key()).map_err(|_| internal("The account's key cannot be read."))?;

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
        let binding =
            key.binding(url, &external.kid, &mac).map_err(|_| internal("The external account binding cannot be signed."))?;
        payload.insert("externalAccountBinding".to_owned(), binding);
    }
    let payload = Value::Object(payload);

    let mut attempts = Attempts::at_what_can_be_repeated();
    let answer = loop {
        let posted = match session.nonce().await {
            Ok(nonce) => {
                let request = key.request(url, &nonce, &payload).map_err(|_| internal("The registration cannot be signed."))?;
                post(session, url, request.to_string()).await
            }
            Err(error) => Err(error),
        };
        match posted {
            Ok(answer) if answer.status.is_success() => break answer,
            Ok(bad) => attempts.bad_nonce().await.map_err(|_| problem::exchange(act, &server, &session.refusal(&bad)))?,
            Err(error) => attempts.exchange(&error).await.map_err(|_| problem::exchange(act, &server, &error))?,
        }
    };

    let account: AccountObject =
        serde_json::from_slice(&answer.body).map_err(|_| problem::exchange(act, &server, &answer.foreign(None)))?;
    if let Some(status) = account.status.filter(|status| status != "valid") {
        return Err(Failure::new(Code::AccountRefused, act.words())
            .about(server)
            .fact(format!("The account is {}.", status.chars().take(40).collect::<String>())));
    }
    answer
        .headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(Code::CaProtocol, act.words()).about(&server).fact("The CA did not tell the account's URL."))
}

async fn post(session: &Session, url: &str, body: String) -> Result<Answer, ExchangeError> {
    let url: Uri = url.parse().map_err(|_| ExchangeError::Insecure { server: session.server() })?;
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/jose+json"))]);
    session.post(&url, headers, Bytes::from(body)).await
}
