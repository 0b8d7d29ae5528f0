//! What all calls to one CA share: its client, its directory, and the nonces that are left over.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use certkeep_core::time::Clock;
use http::{HeaderMap, Method, Request, Uri};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;
use url::Url;

use crate::client::{self, Answer, Client, ExchangeError};
use crate::session::Session;

/// How long a directory is believed.
const DIRECTORY_LIFE: Duration = Duration::from_secs(3600);
/// Nonces older than this are not tried: a CA may have forgotten them.
const NONCE_LIFE: Duration = Duration::from_secs(60);
const MOST_NONCES: usize = 32;
const REPLAY_NONCE: &str = "replay-nonce";

/// One CA.
pub(crate) struct Authority {
    client: Client,
    url: Url,
    directory: Mutex<Option<(Arc<Directory>, Instant)>>,
    nonces: Mutex<Vec<(String, Instant)>>,
}

/// A directory (RFC 8555 §7.1.1).
pub(crate) struct Directory {
    /// Where it stands.
    pub(crate) url: Uri,
    /// As the CA gave it.
    pub(crate) document: Bytes,
    pub(crate) new_account: String,
    pub(crate) new_nonce: Uri,
    pub(crate) key_change: Option<String>,
    /// RFC 9773 §4.1.
    pub(crate) renewal_info: Option<String>,
    pub(crate) revoke_cert: Option<String>,
    /// The names of the certificate profiles on offer (draft-ietf-acme-profiles).
    pub(crate) profiles: Vec<String>,
    /// The names by which the CA goes in CAA records.
    pub(crate) caa_identities: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entries {
    new_account: String,
    new_nonce: String,
    #[serde(default)]
    key_change: Option<String>,
    #[serde(default)]
    renewal_info: Option<String>,
    #[serde(default)]
    revoke_cert: Option<String>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    caa_identities: Vec<String>,
    #[serde(default)]
    profiles: BTreeMap<String, IgnoredAny>,
}

impl Authority {
    pub(crate) async fn new(directory: &str, roots: &[String]) -> Result<Authority, ExchangeError> {
        let url = client::secure(directory)?;
        let client = Client::new(&url, roots).await?;
        Ok(Authority { client, url, directory: Mutex::default(), nonces: Mutex::default() })
    }

    /// Begins a call.
    pub(crate) async fn session(self: Arc<Self>, clock: Arc<dyn Clock>) -> Result<Session, ExchangeError> {
        let directory = self.directory(&*clock).await?;
        Ok(Session::new(self, directory, clock))
    }

    async fn directory(&self, clock: &dyn Clock) -> Result<Arc<Directory>, ExchangeError> {
        let kept = lock(&self.directory).clone();
        if let Some((directory, read)) = kept
            && read.elapsed() < DIRECTORY_LIFE
        {
            return Ok(directory);
        }
        // Nobody waits for somebody else's reading: against a CA that is down the waits would add up.
        let insecure = |_| ExchangeError::Insecure { server: client::server_of(self.url.as_str()) };
        let url: Uri = self.url.as_str().parse().map_err(insecure)?;
        let (answer, nonce) = self.exchange(Method::GET, &url, HeaderMap::new(), Bytes::new()).await?;
        let answer = answer.success(clock.now())?;
        let entries: Entries = serde_json::from_slice(&answer.body).map_err(|_| answer.foreign(None))?;
        let directory = Arc::new(Directory {
            url,
            new_account: entries.new_account,
            new_nonce: entries.new_nonce.parse().map_err(|_| answer.foreign(None))?,
            key_change: entries.key_change,
            renewal_info: entries.renewal_info,
            revoke_cert: entries.revoke_cert,
            profiles: entries.meta.profiles.into_keys().collect(),
            caa_identities: entries.meta.caa_identities,
            document: answer.body,
        });
        *lock(&self.directory) = Some((Arc::clone(&directory), Instant::now()));
        self.keep_nonce(nonce);
        Ok(directory)
    }

    /// Forgets the directory, for one who has reason to believe that it has changed.
    pub(crate) fn distrust_directory(&self) {
        *lock(&self.directory) = None;
    }

    /// Asks without a signature, whatever the answer.
    pub(crate) async fn get(&self, url: &Uri) -> Result<Answer, ExchangeError> {
        let (answer, nonce) = self.exchange(Method::GET, url, HeaderMap::new(), Bytes::new()).await?;
        self.keep_nonce(nonce);
        Ok(answer)
    }

    /// Posts a signed request, whatever the answer; the nonce that comes with it is kept for the next request.
    pub(crate) async fn post(&self, url: &Uri, headers: HeaderMap, body: Bytes) -> Result<Answer, ExchangeError> {
        let (answer, nonce) = self.exchange(Method::POST, url, headers, body).await?;
        self.keep_nonce(nonce);
        Ok(answer)
    }

    /// A nonce that was not used yet: a kept one, else a new one (RFC 8555 §7.2).
    pub(crate) async fn nonce(&self, directory: &Directory, clock: &dyn Clock) -> Result<String, ExchangeError> {
        if let Some(nonce) = self.kept_nonce() {
            return Ok(nonce);
        }
        let (answer, nonce) = self.exchange(Method::HEAD, &directory.new_nonce, HeaderMap::new(), Bytes::new()).await?;
        let answer = answer.success(clock.now())?;
        nonce.ok_or_else(|| answer.foreign(None))
    }

    /// One exchange: its answer, and the nonce taken out of it.
    async fn exchange(
        &self,
        method: Method,
        url: &Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(Answer, Option<String>), ExchangeError> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = url.clone();
        *request.headers_mut() = headers;
        let mut answer = self.client.exchange(request).await?;
        let nonce = answer.headers.remove(REPLAY_NONCE);
        Ok((answer, nonce.and_then(|nonce| nonce.to_str().map(str::to_owned).ok())))
    }

    fn keep_nonce(&self, nonce: Option<String>) {
        let Some(nonce) = nonce else { return };
        let mut nonces = lock(&self.nonces);
        if nonces.len() >= MOST_NONCES {
            nonces.remove(0);
        }
        nonces.push((nonce, Instant::now()));
    }

    /// Forgets all kept nonces but the newest, which came with the news that one was bad.
    pub(crate) fn distrust_nonces(&self) {
        let mut nonces = lock(&self.nonces);
        let newest = nonces.pop();
        nonces.clear();
        nonces.extend(newest);
    }

    fn kept_nonce(&self) -> Option<String> {
        let mut nonces = lock(&self.nonces);
        let (nonce, since) = nonces.pop()?;
        if since.elapsed() < NONCE_LIFE {
            return Some(nonce);
        }
        // The newest is the last; the rest is older still.
        nonces.clear();
        None
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
