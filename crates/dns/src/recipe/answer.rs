//! What a provider answered, judged.
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use certkeep_core::failure::{Code, Failure};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::blank::Blank;
use super::classify::{Stage, Verdict, is_passing, judge};
use super::reply;
use super::template::{self, Scope};
use super::xml;
use crate::page::{Body, Call, Meaning, Page};

/// The longest answer that is read; the longest list of 200 zones is a tenth of it.
const LARGEST: usize = 4 << 20;

/// How much of a text that is no JSON is kept as the vendor's message.
const LONGEST_TEXT: usize = 300;

/// An answer that was read, or an element of it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Its body as plain values, or null.
    pub(crate) body: Value,
    /// Status and headers of the answer that it came with.
    pub(crate) reply: Arc<Value>,
}

impl Answer {
    /// A body alone.
    #[cfg(test)]
    pub(crate) fn of(body: Value) -> Answer {
        Answer { body, reply: Arc::default() }
    }

    /// An element of this answer.
    pub(crate) fn element(&self, body: Value) -> Answer {
        Answer { body, reply: Arc::clone(&self.reply) }
    }
}

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Reply {
    /// What was asked for is not there.
    Absent,
    /// The set was changed since it was read.
    Conflict,
    /// It was done.
    Done(Answer),
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
    /// The session may be over.
    pub(crate) expired: bool,
}

impl Trouble {
    /// What no further try can mend.
    pub(crate) fn lasting(failure: Failure) -> Trouble {
        Trouble { failure, passing: false, pause: None, unsure: false, expired: false }
    }
}

/// What is needed to judge an answer.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'a> {
    pub(crate) page: &'a Page,
    pub(crate) call: Option<&'a Call>,
    pub(crate) stage: Stage,
    pub(crate) server: &'a str,
    pub(crate) blank: &'a Blank,
    /// What certkeep knows, for expressions.
    pub(crate) scope: &'a Scope,
    pub(crate) now: Timestamp,
}

/// An answer that is being judged.
struct Came<'a> {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: &'a [u8],
    /// What was made of the body; `None` where it is not what the page says.
    answer: Option<Answer>,
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
        Trouble { failure, passing: true, pause: None, unsure, expired: false }
    }

    /// Reads an answer and judges it; the second half is the pause that the vendor demands before the next call.
    pub(crate) async fn read(&self, mut response: Response) -> Result<(Result<Reply, Trouble>, Option<Duration>), Trouble> {
        let status = response.status();
        let headers = response.headers().clone();
        let retry_after = retry_after(&headers, self.now);
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
        let kind = self.kind();
        let json = match kind {
            Body::Any if status.is_success() && !is_web_page(&body) => Some(Value::Null),
            Body::Any | Body::Json if body.trim_ascii().is_empty() => Some(Value::Null),
            Body::Any | Body::Json => serde_json::from_slice(&body).ok(),
            Body::Text if is_web_page(&body) => None,
            Body::Html | Body::Text => Some(String::from_utf8_lossy(&body).trim().into()),
            Body::Xml | Body::Xmlrpc if is_html(&body) => None,
            Body::Xml => xml::tree(&body),
            Body::Xmlrpc => xml::tree(&body).and_then(|tree| xml::rpc_answer(&tree)),
        };
        let reply = Arc::new(reply::seen(status, &headers));
        let answer = json.map(|body| Answer { body, reply });
        let mut came = Came { status, retry_after, body: &body, answer };
        let demanded = self.demanded(&came);
        came.retry_after = came.retry_after.or(demanded);
        Ok((self.judge(&came), demanded))
    }

    fn kind(&self) -> Body {
        let of_call = self.call.and_then(|call| call.answer);
        of_call.or_else(|| self.page.http.as_ref().map(|http| http.answer)).unwrap_or_default()
    }

    /// The pause that the vendor demands before the next call.
    fn demanded(&self, came: &Came<'_>) -> Option<Duration> {
        let source = self.page.http.as_ref()?.pause.as_deref()?;
        let found = template::expression(source, &Scope::opened(came.answer.as_ref()?, self.scope)).ok()??;
        let seconds = found.as_f64().or_else(|| found.as_str()?.trim().parse().ok())?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    fn judge(&self, came: &Came<'_>) -> Result<Reply, Trouble> {
        let http = self.page.http.as_ref();
        if came.status.is_success() {
            let Some(answer) = &came.answer else { return Err(self.failed(Code::ProviderUnreadable, came)) };
            let opened = Scope::opened(answer, self.scope);
            let holds = |source: &str| template::is_true(source, &opened).unwrap_or(false);
            let ok = self.call.and_then(|call| call.ok.as_deref()).or_else(|| http.and_then(|http| http.ok.as_deref()));
            let fails = http.and_then(|http| http.fails.when.as_deref());
            if ok.is_none_or(holds) && !fails.is_some_and(holds) {
                return Ok(Reply::Done(answer.clone()));
            }
        }
        let unlisted = self.page.zone.as_ref().is_some_and(|zone| zone.unlisted);
        // Asked for zones, an API has a list; who says in plain text that nothing is there is a web server without it.
        if self.stage == Stage::Zone && came.status == StatusCode::NOT_FOUND && came.answer.is_none() {
            return Err(self.failed(Code::ProviderUnreadable, came));
        }
        let meaning = self.meaning(came);
        if self.kind() == Body::Html && came.status.is_success() && meaning.is_none() {
            return Err(self.failed(Code::ProviderUnreadable, came));
        }
        match judge(self.stage, came.status, meaning) {
            // Nobody knows of zones here: it is the address that does not fit.
            Verdict::Failed(Code::ZoneNotFound) if unlisted && meaning.is_none() => {
                Err(self.failed(Code::ProviderUnreadable, came))
            }
            Verdict::Absent => Ok(Reply::Absent),
            Verdict::Conflict => Ok(Reply::Conflict),
            Verdict::Present => Ok(Reply::Present),
            Verdict::Expired => {
                let trouble = self.failed(Code::CredentialsRejected, came);
                Err(Trouble { expired: true, ..trouble })
            }
            Verdict::Failed(code) => {
                let trouble = self.failed(code, came);
                Err(Trouble { expired: came.status == StatusCode::UNAUTHORIZED, ..trouble })
            }
        }
    }

    /// What the page says of an answer that is an error: by the vendor's code, by the status, by words in its message.
    fn meaning(&self, came: &Came<'_>) -> Option<Meaning> {
        let fails = self.page.http.as_ref().map(|http| &http.fails);
        let said = |source: Option<&str>| self.said(came.answer.as_ref(), source);
        let code = said(fails.and_then(|fails| fails.code.as_deref()));
        let message = said(fails.and_then(|fails| fails.message.as_deref()));
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(came.body).into_owned()).to_lowercase();
        let status = format!("http {}", came.status.as_u16());
        let tables = self.call.map(|call| &call.errors).into_iter().chain([&self.page.errors]);
        tables.into_iter().find_map(|errors| {
            let by_words = || {
                let words = |key: &String| key.strip_prefix('~').is_some_and(|words| message.contains(&words.to_lowercase()));
                errors.iter().find(|(key, _)| words(key)).map(|(_, meaning)| meaning)
            };
            let by_code = code.as_ref().and_then(|code| errors.get(code));
            by_code.or_else(by_words).or_else(|| errors.get(&status)).copied()
        })
    }

    fn failed(&self, code: Code, came: &Came<'_>) -> Trouble {
        let fails = self.page.http.as_ref().map(|http| &http.fails);
        let their_code = self.said(came.answer.as_ref(), fails.and_then(|fails| fails.code.as_deref()));
        let mut their_message = self.said(came.answer.as_ref(), fails.and_then(|fails| fails.message.as_deref()));
        let mut failure = self.failure(code).status(came.status.as_str());
        if came.answer.is_none() || self.kind() == Body::Html {
            if is_web_page(came.body) {
                failure = failure.fact("the answer is a web page");
            } else {
                let text = String::from_utf8_lossy(came.body);
                their_message = Some(self.blank.blank(&text).trim().chars().take(LONGEST_TEXT).collect());
            }
        }
        if came.status.is_redirection() {
            failure = failure.fact("the answer leads to another address, which is not followed");
        }
        let passing = is_passing(&failure, Some(came.status));
        // What was refused for its rate was not done; whatever else failed on the other side may have been.
        let unsure = code != Code::ProviderRateLimited;
        let not_before = came.retry_after.and_then(|pause| self.now.checked_add(pause).ok());
        let failure = failure.said(their_code, their_message).not_before(not_before);
        Trouble { failure, passing, pause: came.retry_after, unsure, expired: false }
    }

    /// What an expression finds in an answer, as text without secrets.
    fn said(&self, answer: Option<&Answer>, source: Option<&str>) -> Option<String> {
        let found = template::expression(source?, &Scope::opened(answer?, self.scope)).ok()??;
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

/// A portal or a proxy answers in the place of whoever was asked.
fn is_web_page(body: &[u8]) -> bool {
    is_html(body) || (body.trim_ascii_start().starts_with(b"<") && !begins(body, b"<?xml"))
}

/// As `is_web_page`, where XML is what was asked for.
fn is_html(body: &[u8]) -> bool {
    begins(body, b"<!doctype html") || begins(body, b"<html")
}

fn begins(body: &[u8], word: &[u8]) -> bool {
    body.trim_ascii_start().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
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
