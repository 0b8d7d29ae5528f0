//! A signed request of our own, tried again where that is right.
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Uri};
use serde_json::Value;

use crate::client::{Answer, ExchangeError};
use crate::jws::{By, SigningKey};
use crate::poll::Attempts;
use crate::session::Session;

/// Who posts.
pub(crate) struct Sender<'a> {
    pub(crate) session: &'a Session,
    pub(crate) key: &'a SigningKey,
    pub(crate) by: By<'a>,
}

impl Sender<'_> {
    /// Posts; without a payload it is a POST-as-GET (RFC 8555 §6.3). Answers a success only.
    pub(crate) async fn post(&self, url: &str, payload: Option<&Value>, mut attempts: Attempts) -> Result<Answer, ExchangeError> {
        loop {
            match self.once(url, payload).await {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(bad_nonce) => attempts.bad_nonce().await.map_err(|_| self.session.refusal(&bad_nonce))?,
                Err(error) => attempts.exchange(&error).await.map_err(|_| error)?,
            }
        }
    }

    /// Posts once; an answer that is no success is a bad nonce.
    async fn once(&self, url: &str, payload: Option<&Value>) -> Result<Answer, ExchangeError> {
        let target: Uri = url.parse().map_err(|_| ExchangeError::Insecure { server: self.session.server() })?;
        let nonce = self.session.nonce().await?;
        let request = self.key.request(self.by, url, Some(&nonce), payload).map_err(|_| ExchangeError::Unsigned)?;
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/jose+json"))]);
        self.session.post(&target, headers, Bytes::from(request.to_string())).await
    }
}
