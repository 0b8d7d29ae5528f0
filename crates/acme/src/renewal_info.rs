//! Renewal information (RFC 9773 §4), asked for without a signature.
use certkeep_core::failure::{Code, Failure};
use certkeep_core::renewal_info::{RenewalId, RenewalInfo, Window};
use http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use url::Url;

use crate::client::{Answer, ExchangeError};
use crate::poll::Attempts;
use crate::problem::{self, Act};
use crate::session::Session;

/// A CA that asks to be asked sooner is not, and one that asks for a longer pause is heeded for a day.
const SOONEST: SignedDuration = SignedDuration::from_mins(1);
const LATEST: SignedDuration = SignedDuration::from_hours(24);
/// When to ask again where the CA does not say.
const USUAL: SignedDuration = SignedDuration::from_hours(6);
const LONGEST_URL: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    suggested_window: Suggested,
    #[serde(default, rename = "explanationURL")]
    explanation_url: Option<String>,
}

#[derive(Deserialize)]
struct Suggested {
    start: Timestamp,
    end: Timestamp,
}

/// What the CA says of one certificate; `None` where its directory has no renewal information.
pub(crate) async fn read(session: &Session, id: &RenewalId) -> Result<Option<RenewalInfo>, Failure> {
    let Some(base) = session.directory().renewal_info.as_deref() else { return Ok(None) };
    let subject = id.to_string();
    let told = |error: &ExchangeError| problem::exchange(Act::RenewalInfo, &subject, error);
    let url: Uri = format!("{}/{id}", base.trim_end_matches('/'))
        .parse()
        .map_err(|_| told(&ExchangeError::Insecure { server: session.server() }))?;
    let answer = get(session, &url).await.map_err(|error| told(&error))?;
    let document: Document = serde_json::from_slice(&answer.body).map_err(|_| told(&answer.foreign(None)))?;
    let Suggested { start, end } = document.suggested_window;
    let window = Window::new(start, end).ok_or_else(|| {
        Failure::new(Code::CaProtocol, Act::RenewalInfo.words())
            .about(&subject)
            .fact(format!("The window ends before it begins: {start} to {end}."))
    })?;
    let now = session.now();
    Ok(Some(RenewalInfo { window, explanation_url: page(document.explanation_url), poll_after: poll_after(&answer, now) }))
}

async fn get(session: &Session, url: &Uri) -> Result<Answer, ExchangeError> {
    let mut attempts = Attempts::at_what_can_be_repeated();
    loop {
        let answered = match session.get(url).await {
            Ok(answer) => answer.success(session.now()),
            Err(error) => Err(error),
        };
        match answered {
            Ok(answer) => return Ok(answer),
            Err(error) => attempts.exchange(&error).await.map_err(|_| error)?,
        }
    }
}

fn poll_after(answer: &Answer, now: Timestamp) -> Timestamp {
    let wish = answer.retry_after(now).map_or(USUAL, |instant| instant.duration_since(now));
    now.saturating_add(wish.clamp(SOONEST, LATEST)).unwrap_or(now)
}

/// A page that can be shown to people as a link. In a URL that was parsed a terminal finds nothing to obey.
fn page(url: Option<String>) -> Option<String> {
    let url = Url::parse(&url.filter(|url| url.len() <= LONGEST_URL)?).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.into())
}
