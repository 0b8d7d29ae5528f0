//! One call of a recipe: rendered, signed, sent, judged, and tried again where that may help.
use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::rand;
use certkeep_core::failure::Code;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::form_urlencoded;

use super::Recipe;
use super::answer::{Judge, Reply, Trouble};
use super::classify::Stage;
use super::template::{self, Scope};
use crate::page::{Call, Method};
use crate::sign::{Moment, Outgoing, hexadecimal};

/// The pauses between the tries of one call.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];

/// The longest pause that a provider may ask for and still be waited for; beyond it the failure says when.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often one call was tried.
#[derive(Default)]
pub(super) struct Patience(usize);

impl Patience {
    /// The pause before another try, or `None` if there is to be none.
    pub(super) fn pause(&mut self, trouble: &Trouble) -> Option<Duration> {
        let ours = *PAUSES.get(self.0)?;
        self.0 += 1;
        let pause = trouble.pause.map_or(ours, |theirs| theirs.max(ours));
        (trouble.passing && pause <= LONGEST_PAUSE).then_some(pause)
    }
}

impl Recipe {
    /// Makes a call, up to three times. Only for calls that may be made twice.
    pub(super) async fn call(&self, stage: Stage, call: &Call, scope: &Scope) -> Result<Reply, Trouble> {
        let mut patience = Patience::default();
        loop {
            let trouble = match self.once(stage, call, scope).await {
                Ok(reply) => return Ok(reply),
                Err(trouble) => trouble,
            };
            let Some(pause) = patience.pause(&trouble) else { return Err(trouble) };
            tracing::debug!(flag = self.page.flag, failure = %trouble.failure, "tried again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes a call once.
    pub(super) async fn once(&self, stage: Stage, call: &Call, scope: &Scope) -> Result<Reply, Trouble> {
        let request = self.request(stage, call, scope)?;
        let judge = self.judge(stage);
        let client = self
            .shared
            .client
            .ready()
            .map_err(|why| Trouble::lasting(judge.failure(Code::Internal).fact(format!("no HTTP client: {why}"))))?;
        let sent = client.request(request.method, request.url).headers(request.headers).body(request.body).send().await;
        match sent {
            Ok(response) => judge.read(response).await,
            Err(error) => Err(judge.unanswered(error)),
        }
    }

    /// What judges the answers of a stage.
    pub(super) fn judge(&self, stage: Stage) -> Judge<'_> {
        Judge { page: &self.page, stage, server: &self.server, blank: &self.blank, now: self.shared.clock.now() }
    }

    /// A template that cannot be rendered: a fault of the page, or a value that it did not expect.
    pub(super) fn fault(&self, stage: Stage, error: &minijinja::Error) -> Trouble {
        let fact = format!("the page of {} cannot be applied: {error}", self.page.flag);
        Trouble::lasting(self.judge(stage).failure(Code::Internal).fact(self.blank.blank(&fact)))
    }

    fn request(&self, stage: Stage, call: &Call, scope: &Scope) -> Result<Outgoing, Trouble> {
        let fault = |error: minijinja::Error| self.fault(stage, &error);
        let judge = self.judge(stage);
        let Some((method, path)) = call.methods().next() else {
            return Err(Trouble::lasting(judge.failure(Code::Internal).fact("the page names no call")));
        };
        let path = template::path(path, scope).map_err(fault)?;
        let Some(mut url) = self.endpoint.at(&path) else {
            return Err(Trouble::lasting(judge.failure(Code::Internal).fact("the page leads to another server")));
        };
        if !call.query.is_empty() {
            let query = rendered(&call.query, scope).map_err(fault)?;
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut headers = self.headers.clone();
        let own = rendered(&call.header, scope).map_err(fault)?;
        put_headers(&mut headers, own.iter().map(|(name, value)| (*name, value.as_str())))
            .map_err(|name| Trouble::lasting(judge.failure(Code::ProviderParameter).fact(unfit(name))))?;
        let mut body = Vec::new();
        if let Some(json) = &call.json {
            body = template::json(json, scope).map_err(fault)?.to_string().into_bytes();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        } else if let Some(form) = &call.form {
            let form = rendered(form, scope).map_err(fault)?;
            body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into_bytes();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        let mut request = Outgoing { method: reqwest_method(method), url, headers, body };
        if let Some(signer) = &self.signer {
            let mut nonce = [0; 16];
            rand::fill(&mut nonce).map_err(|_| Trouble::lasting(judge.failure(Code::Internal).fact("there is no randomness")))?;
            let moment = Moment { now: judge.now, nonce: hexadecimal(&nonce) };
            signer
                .sign(&mut request, &moment)
                .map_err(|why| Trouble::lasting(judge.failure(Code::ProviderParameter).fact(why.to_string())))?;
        }
        Ok(request)
    }
}

/// Puts headers in, in the place of those of the same name; an empty value takes the header out.
///
/// # Errors
/// The name of the first header that cannot be sent.
pub(super) fn put_headers<'a>(headers: &mut HeaderMap, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), &'a str> {
    for (name, value) in pairs {
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| name)?;
        if value.is_empty() {
            headers.remove(key);
        } else {
            let mut value = HeaderValue::from_str(value).map_err(|_| name)?;
            // Any of them may hold a secret; this keeps it out of `Debug` and out of HTTP/2's tables.
            value.set_sensitive(true);
            headers.insert(key, value);
        }
    }
    Ok(())
}

/// Says that a parameter has characters in it that no header may have.
pub(super) fn unfit(header: &str) -> String {
    format!("a parameter that goes into the header {header} holds a character that cannot be sent")
}

/// Renders every template of a table.
pub(super) fn rendered<'a>(
    sources: &'a BTreeMap<String, String>,
    scope: &Scope,
) -> Result<Vec<(&'a str, String)>, minijinja::Error> {
    sources.iter().map(|(key, source)| Ok((key.as_str(), template::text(source, scope)?))).collect()
}

fn reqwest_method(method: Method) -> reqwest::Method {
    match method {
        Method::Delete => reqwest::Method::DELETE,
        Method::Get => reqwest::Method::GET,
        Method::Patch => reqwest::Method::PATCH,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
    }
}
