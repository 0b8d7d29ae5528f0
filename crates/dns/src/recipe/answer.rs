//! What a provider answered, judged.
use std::error::Error as _;
use std::time::Duration;

use certkeep_core::failure::{Code, Failure};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::blank::Blank;
use super::classify::{Stage, Verdict, is_passing, judge};
use super::template::{self, Scope};
use crate::page::{Body, Page};

/// The longest answer that is read; the longest list of 200 zones is a tenth of it.
const LARGEST: usize = 4 << 20;

/// How much of a text that is no JSON is kept as the vendor's message.
const LONGEST_TEXT: usize = 300;

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Reply {
    /// What was asked for is not there.
    Absent,
    /// It was done; the answer, or null.
    Done(Value),
    /// What was to be added is there already.
    Present,
}

/// A call that failed, and what is to be thought of another try.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// What happened.
    pub(crate) failure: Failure,
    /// The same call may do better at once.
    pub(crate) passing: bool,
    /// The pause that the provider asked for.
    pub(crate) pause: Option<Duration>,
    /// What was asked for may have been done nevertheless.
    pub(crate) unsure: bool,
}

impl Trouble {
    /// What no further try can mend.
    pub(crate) fn lasting(failure: Failure) -> Trouble {
        Trouble { failure, passing: false, pause: None, unsure: false }
    }
}

/// What is needed to judge an answer.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'a> {
    pub(crate) page: &'a Page,
    pub(crate) stage: Stage,
    pub(crate) server: &'a str,
    pub(crate) blank: &'a Blank,
    pub(crate) now: Timestamp,
}

impl Judge<'_> {
    /// A call that was not answered.
    pub(crate) fn unanswered(&self, error: reqwest::Error) -> Trouble {
        let unsure = !error.is_connect();
        let fact = if error.is_timeout() { "no answer in time" } else { "no answer" };
        let mut failure = self.failure(Code::ProviderUnreachable).fact(fact);
        let error = error.without_url();
        // The innermost cause says what happened: refused, reset, not trusted.
        let mut cause = error.source();
        while let Some(inner) = cause.and_then(|cause| cause.source()) {
            cause = Some(inner);
        }
        if let Some(cause) = cause {
            failure = failure.fact(self.blank.blank(&cause.to_string()));
        }
        Trouble { failure, passing: true, pause: None, unsure }
    }

    /// Reads an answer and judges it.
    pub(crate) async fn read(&self, mut response: Response) -> Result<Reply, Trouble> {
        let status = response.status();
        let retry_after = retry_after(response.headers(), self.now);
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= LARGEST => body.extend_from_slice(&chunk),
                Ok(Some(_)) => {
                    let failure = self.failure(Code::ProviderUnreadable).status(status.as_str());
                    return Err(Trouble::lasting(failure.fact("the answer is larger than 4 MB")));
                }
                Ok(None) => break,
                Err(error) => return Err(self.unanswered(error)),
            }
        }
        self.judge(status, retry_after, &body)
    }

    fn judge(&self, status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Result<Reply, Trouble> {
        let http = self.page.http.as_ref();
        let any = http.is_some_and(|http| http.answer == Body::Any);
        // A web page is what a portal or a proxy answers in the place of whoever was asked.
        if status.is_success() && any && !is_web_page(body) {
            return Ok(Reply::Done(Value::Null));
        }
        let json = if body.is_empty() { Some(Value::Null) } else { serde_json::from_slice::<Value>(body).ok() };
        if status.is_success() {
            let Some(json) = &json else {
                return Err(self.failed(Code::ProviderUnreadable, status, retry_after, None, body));
            };
            let ok = http.and_then(|http| http.ok.as_deref());
            let scope = Scope::of_answer(json, 1);
            if ok.is_none_or(|ok| template::is_true(ok, &scope).unwrap_or(false)) {
                return Ok(Reply::Done(json.clone()));
            }
        }
        let code = self.said(json.as_ref(), http.and_then(|http| http.fails.code.as_deref()));
        let meaning = code.as_ref().and_then(|code| self.page.errors.get(code)).copied();
        let unlisted = self.page.zone.as_ref().is_some_and(|zone| zone.unlisted);
        // Asked for zones, an API has a list; who says in plain text that nothing is there is a web server without it.
        if self.stage == Stage::Zone && status == StatusCode::NOT_FOUND && json.is_none() {
            return Err(self.failed(Code::ProviderUnreadable, status, retry_after, None, body));
        }
        match judge(self.stage, status, meaning) {
            // Nobody knows of zones here: it is the address that does not fit.
            Verdict::Failed(Code::ZoneNotFound) if unlisted => {
                Err(self.failed(Code::ProviderUnreadable, status, retry_after, json.as_ref(), body))
            }
            Verdict::Absent => Ok(Reply::Absent),
            Verdict::Present => Ok(Reply::Present),
            Verdict::Failed(failure) => Err(self.failed(failure, status, retry_after, json.as_ref(), body)),
        }
    }

    fn failed(
        &self,
        code: Code,
        status: StatusCode,
        retry_after: Option<Duration>,
        json: Option<&Value>,
        body: &[u8],
    ) -> Trouble {
        let fails = self.page.http.as_ref().map(|http| &http.fails);
        let their_code = self.said(json, fails.and_then(|fails| fails.code.as_deref()));
        let mut their_message = self.said(json, fails.and_then(|fails| fails.message.as_deref()));
        let mut failure = self.failure(code).status(status.as_str());
        if json.is_none() {
            if is_web_page(body) {
                failure = failure.fact("the answer is a web page");
            } else {
                let text = String::from_utf8_lossy(body);
                their_message = Some(self.blank.blank(&text).trim().chars().take(LONGEST_TEXT).collect());
            }
        }
        if status.is_redirection() {
            failure = failure.fact("the answer leads to another address, which is not followed");
        }
        let passing = is_passing(&failure, Some(status));
        // What was refused for its rate was not done; whatever else failed on the other side may have been.
        let unsure = code != Code::ProviderRateLimited;
        let not_before = retry_after.and_then(|pause| self.now.checked_add(pause).ok());
        let failure = failure.said(their_code, their_message).not_before(not_before);
        Trouble { failure, passing, pause: retry_after, unsure }
    }

    /// What an expression finds in an answer, as text without secrets.
    fn said(&self, json: Option<&Value>, source: Option<&str>) -> Option<String> {
        let scope = Scope::of_answer(json?, 1);
        let found = template::expression(source?, &scope).ok()??;
        Some(self.blank.blank(&as_text(&found)))
    }

    /// A failure of this call.
    pub(crate) fn failure(&self, code: Code) -> Failure {
        Failure::new(code, self.stage.doing()).about(self.server)
    }
}

/// A JSON value as a text: a string without its quotes, anything else as JSON has it.
pub(crate) fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_web_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// How long to wait (RFC 9110 §10.2.3): seconds, or an instant.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let instant = rfc2822::parse(value).ok()?.timestamp();
    Duration::try_from(instant.duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_in_seconds_and_as_an_instant() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for (value, expected) in [
            ("7", Some(7)),
            ("Tue, 24 Nov 2026 12:00:30 GMT", Some(30)),
            ("Tue, 24 Nov 2026 11:00:00 GMT", None),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{value}");
        }
    }
}
