//! How instant-acme is made to speak through our own client: as its `HttpClient`, one for each call of the port.
//!
//! Three things happen on the way. The directory and, where one is left, the nonce are answered without asking the CA.
//! An error is read here, with its status and `Retry-After`, which instant-acme does not tell. And a bad nonce alone is
//! passed on, because only instant-acme can sign anew.
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use certkeep_core::time::Clock;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use jiff::Timestamp;

use crate::authority::{Authority, Directory};
use crate::client::{self, Answer, ExchangeError};
use crate::problem;
use crate::retry_after;

/// One call to a CA; clones are the same call.
#[derive(Clone)]
pub(crate) struct Session {
    authority: Arc<Authority>,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    asked_to_wait: Arc<Mutex<Option<Timestamp>>>,
}

impl Session {
    pub(crate) fn new(authority: Arc<Authority>, directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Self {
        Session { authority, directory, clock, asked_to_wait: Arc::default() }
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Whether the CA offers this certificate profile.
    pub(crate) fn offers(&self, profile: &str) -> bool {
        self.directory.profiles.iter().any(|offered| offered == profile)
    }

    /// Has the directory read anew for the next call.
    pub(crate) fn distrust_directory(&self) {
        self.authority.distrust_directory();
    }

    /// Host and port of the CA.
    pub(crate) fn server(&self) -> String {
        client::server_of(&self.directory.url.to_string())
    }

    pub(crate) async fn nonce(&self) -> Result<String, ExchangeError> {
        self.authority.nonce(&self.directory, &*self.clock).await
    }

    /// The pause that the last successful answer asked for.
    pub(crate) fn asked_to_wait(&self) -> Option<Duration> {
        let instant = (*self.asked_to_wait.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(retry_after::wait(instant, self.clock.now()))
    }

    /// Posts a signed request. An error of the CA is an error, a bad nonce an answer.
    pub(crate) async fn post(&self, url: &Uri, headers: HeaderMap, body: Bytes) -> Result<Answer, ExchangeError> {
        let answer = self.authority.post(url, headers, body).await?;
        if answer.problem().is_some_and(|problem| problem::is_bad_nonce(&problem)) {
            self.authority.distrust_nonces();
            return Ok(answer);
        }
        let now = self.clock.now();
        let answer = answer.success(now)?;
        *self.asked_to_wait.lock().unwrap_or_else(PoisonError::into_inner) = answer.retry_after(now);
        Ok(answer)
    }

    /// Asks without a signature, whatever the answer.
    pub(crate) async fn get(&self, url: &Uri) -> Result<Answer, ExchangeError> {
        self.authority.get(url).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What an answer that is no success says.
    pub(crate) fn refusal(&self, answer: &Answer) -> ExchangeError {
        answer.refusal(self.clock.now())
    }

    async fn answer(self, request: Request<BodyWrapper<Bytes>>) -> Result<Response<Bytes>, ExchangeError> {
        let (parts, body) = request.into_parts();
        if parts.method == Method::GET && parts.uri == self.directory.url {
            return Ok(Response::new(self.directory.document.clone()));
        }
        if parts.method == Method::HEAD && parts.uri == self.directory.new_nonce {
            let mut response = Response::new(Bytes::new());
            if let Ok(nonce) = HeaderValue::try_from(self.nonce().await?) {
                response.headers_mut().insert("replay-nonce", nonce);
            }
            return Ok(response);
        }
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        let answer = self.post(&parts.uri, parts.headers, body).await?;
        let mut response = Response::new(answer.body);
        *response.status_mut() = match answer.status {
            // instant-acme looks for a bad nonce only where RFC 8555 §6.5 puts it.
            status if !status.is_success() => StatusCode::BAD_REQUEST,
            status => status,
        };
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

impl HttpClient for Session {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let session = self.clone();
        Box::pin(async move {
            let response = session.answer(request).await.map_err(|error| Error::Other(Box::new(error)))?;
            let (parts, body) = response.into_parts();
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}
