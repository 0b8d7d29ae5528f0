//! One call of a recipe: rendered, signed, sent, judged, and tried again where that may help.
use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::rand;
use certkeep_core::failure::{Code, Failure};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret as _;
use serde_json::json;
use url::form_urlencoded;

use super::address::ELSEWHERE;
use super::answer::{Judge, Reply, Trouble};
use super::blank::Blank;
use super::classify::Stage;
use super::template::{self, Scope};
use super::{Recipe, named_in, xml};
use crate::page::{Assert, Call, Method, Sign};
use crate::sign::{Given, InvalidKey, Moment, Outgoing, RequestSigner, Unsigned, hexadecimal};

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
        self.call_at(stage, call, scope, None).await
    }

    /// As `call`, at an address that an answer named.
    pub(super) async fn call_at(
        &self,
        stage: Stage,
        call: &Call,
        scope: &Scope,
        address: Option<&str>,
    ) -> Result<Reply, Trouble> {
        let mut patience = Patience::default();
        loop {
            let trouble = match self.once(stage, call, scope, address).await {
                Ok(reply) => return Ok(reply),
                Err(trouble) => trouble,
            };
            let Some(pause) = patience.pause(&trouble) else { return Err(trouble) };
            tracing::debug!(flag = self.page.flag, failure = %trouble.failure, "tried again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes a call once; where the session turns out to be over, a second time in a new one.
    pub(super) async fn once(&self, stage: Stage, call: &Call, scope: &Scope, address: Option<&str>) -> Result<Reply, Trouble> {
        // Where no login is due the session is there from the beginning, and empty.
        let due = stage != Stage::Login && !self.scope.has("session");
        let Some(login) = self.page.login.as_ref().filter(|_| due) else {
            return self.exchange(stage, call, scope, address, &self.blank_of(scope)).await;
        };
        // The login is itself made of calls, each of which comes through here once.
        let (session, new) = Box::pin(self.session(login, None)).await?;
        let within = scope.clone().with_json("session", &session.kept);
        match self.exchange(stage, call, &within, address, &session.blank).await {
            Err(trouble) if trouble.expired && !new => {
                tracing::debug!(flag = self.page.flag, "the session is over");
                let (session, _) = Box::pin(self.session(login, Some(&session))).await?;
                let within = scope.clone().with_json("session", &session.kept);
                self.exchange(stage, call, &within, address, &session.blank).await
            }
            other => other,
        }
    }

    async fn exchange(
        &self,
        stage: Stage,
        call: &Call,
        scope: &Scope,
        address: Option<&str>,
        blank: &Blank,
    ) -> Result<Reply, Trouble> {
        let turn = self.shared.pace.turn(&self.account, self.paced).await;
        if let Some(limit) = self.page.http.as_ref().and_then(|http| http.limit.as_ref()) {
            let turn = self.shared.quota.turn(&self.account, limit).await;
            turn.map_err(|wait| self.over_limit(stage, limit, wait))?;
        }
        let now = self.shared.clock.now();
        let fact = |trouble: Unsendable| trouble.told(self, stage);
        let mut scope = momentary(scope, now).map_err(fact)?;
        if let Some(assertion) = &call.assertion {
            scope = asserted(assertion, scope, now).map_err(fact)?;
        }
        let (request, server) = self.request(call, &scope, address, now).map_err(fact)?;
        let judge = Judge { page: &self.page, call: Some(call), stage, server: &server, blank, scope: &scope, now };
        let client = self
            .client
            .as_ref()
            .map_or_else(|| self.shared.client.ready(), Ok)
            .map_err(|why| Trouble::lasting(judge.failure(Code::Internal).fact(format!("no HTTP client: {why}"))))?;
        self.shared.client.count();
        let sent = client.request(request.method, request.url).headers(request.headers).body(request.body).send().await;
        let (reply, demanded) = match sent {
            Ok(response) => judge.read(response).await?,
            Err(error) => (Err(judge.unanswered(error)), None),
        };
        turn.over(self.delay.max(demanded.unwrap_or_default()));
        reply
    }

    /// A failure of a stage, without an answer.
    pub(super) fn failure(&self, stage: Stage, code: Code) -> Failure {
        Failure::new(code, stage.doing()).about(self.server.as_str())
    }

    /// A template that cannot be rendered: a fault of the page, or a value that it did not expect.
    pub(super) fn fault(&self, stage: Stage, error: &minijinja::Error) -> Trouble {
        let fact = format!("the page of {} cannot be applied: {error}", self.page.flag);
        Trouble::lasting(self.failure(stage, Code::Internal).fact(self.blank.blank(&fact)))
    }

    /// The request of a call, and the server that it goes to.
    fn request(
        &self,
        call: &Call,
        scope: &Scope,
        address: Option<&str>,
        now: Timestamp,
    ) -> Result<(Outgoing, String), Unsendable> {
        let Some((method, path)) = call.methods().next() else { return Err(Unsendable::Page("the page names no call")) };
        let real = self.endpoint_of(call, scope)?;
        let endpoint = self.reached(&real);
        let mut url = endpoint.at(&template::path(path, scope)?).ok_or(ELSEWHERE)?;
        if let Some(address) = address {
            url = self.following(&real, &url, address)?;
        } else {
            let http = self.page.http.as_ref().map(|http| &http.query);
            let common = http.into_iter().flatten().filter(|(key, _)| !call.query.contains_key(*key));
            let query = fields(common.chain(&call.query), scope)?;
            if !query.is_empty() {
                url.query_pairs_mut().extend_pairs(query);
            }
        }
        let mut headers = self.headers.clone();
        let body = self.body(method, call, scope, &mut headers)?;
        let method = reqwest_method(method);
        let request = json!({
            "method": method.as_str(),
            "host": url.host_str(),
            "path": url.path(),
            "query": url.query().unwrap_or_default(),
            "url": url.as_str(),
            "body": String::from_utf8_lossy(&body),
        });
        let last = scope.clone().with_json("request", &request);
        let live = self.live.iter().filter(|(_, source)| renderable(source, &last));
        for (name, source) in live.map(|(name, source)| (name, source)).chain(&call.header) {
            let value = template::text(source, &last)?;
            put_headers(&mut headers, std::iter::once((name.as_str(), value.as_str()))).map_err(Unsendable::header)?;
        }
        let mut request = Outgoing { method, url, headers, body };
        let moment = Moment { now, nonce: random()? };
        match (&call.sign, &self.signer, self.page.http.as_ref().and_then(|http| http.sign.as_ref())) {
            (None, Some(signer), _) => signer.sign(&mut request, &moment)?,
            (Some(sign), ..) => signer(sign, scope)?.sign(&mut request, &moment)?,
            (None, None, Some(sign)) if sign.with.values().all(|source| renderable(source, scope)) => {
                signer(sign, scope)?.sign(&mut request, &moment)?;
            }
            (None, None, _) => {}
        }
        Ok((request, endpoint.server()))
    }

    fn body(&self, method: Method, call: &Call, scope: &Scope, headers: &mut HeaderMap) -> Result<Vec<u8>, Unsendable> {
        let bare = call.bodies().next().is_none() && matches!(method, Method::Post | Method::Put | Method::Patch);
        let http = self.page.http.as_ref();
        let json = http.map(|http| &http.json).filter(|json| !json.is_empty());
        let form = http.map(|http| &http.form).filter(|form| !form.is_empty());
        let (body, kind) = if call.json.is_some() || (bare && json.is_some()) {
            let mut body = call.json.as_ref().map_or(Ok(json!({})), |json| template::json(json, scope))?;
            if let (Some(body), Some(common)) = (body.as_object_mut(), json) {
                for (key, source) in common.iter().filter(|(_, source)| renderable_body(source, scope)) {
                    if !body.contains_key(key) {
                        body.insert(key.clone(), template::json(source, scope)?);
                    }
                }
            }
            (body.to_string(), "application/json")
        } else if call.form.is_some() || (bare && form.is_some()) {
            let own = call.form.iter().flatten();
            let common = form.into_iter().flatten();
            let common = common.filter(|(key, _)| !call.form.as_ref().is_some_and(|own| own.contains_key(*key)));
            let pairs = fields(common.chain(own), scope)?;
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            (body, "application/x-www-form-urlencoded")
        } else if let Some(source) = &call.xml {
            (template::xml(source, scope)?, "text/xml; charset=utf-8")
        } else if let Some(rpc) = &call.xmlrpc {
            let params = rpc.params.iter().map(|param| template::json(param, scope)).collect::<Result<Vec<_>, _>>()?;
            (xml::rpc_call(&rpc.method, &params), "text/xml; charset=utf-8")
        } else if let Some(source) = &call.text {
            (template::text(source, scope)?, "text/plain; charset=utf-8")
        } else {
            return Ok(Vec::new());
        };
        // A page's own word on it stands in a header of the call or of all calls.
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        Ok(body.into_bytes())
    }
}

/// A signer with its key.
pub(super) fn signer(sign: &Sign, scope: &Scope) -> Result<Box<dyn RequestSigner>, Unsendable> {
    sign.by.ready(&given(&sign.with, scope)?).map_err(|error| Unsendable::key(&sign.with, error))
}

/// What signers and assertions are made of.
fn given(with: &BTreeMap<String, String>, scope: &Scope) -> Result<Given, minijinja::Error> {
    with.iter().map(|(name, source)| Ok((name.as_str(), template::text(source, scope)?))).collect()
}

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsendable {
    /// A parameter that goes into this header cannot be sent.
    #[error("{}", unfit(.0))]
    Header(String),
    /// A parameter that no key can be made of.
    #[error("{0}")]
    Key(String),
    /// A fault of the page.
    #[error("{0}")]
    Page(&'static str),
    /// A template that cannot be rendered.
    #[error(transparent)]
    Template(#[from] minijinja::Error),
}

impl From<Unsigned> for Unsendable {
    fn from(error: Unsigned) -> Unsendable {
        Unsendable::Key(error.to_string())
    }
}

impl Unsendable {
    fn header(name: &str) -> Unsendable {
        Unsendable::Header(name.to_owned())
    }

    /// Says it by the names that the page's users know.
    fn key(with: &BTreeMap<String, String>, error: InvalidKey) -> Unsendable {
        let named = with.get(error.parameter).map(|source| named_in(source)).filter(|names| !names.is_empty());
        Unsendable::Key(named.map_or_else(|| error.to_string(), |names| format!("{names} {}", error.problem)))
    }

    fn told(self, recipe: &Recipe, stage: Stage) -> Trouble {
        let code = match self {
            Unsendable::Header(_) | Unsendable::Key(_) => Code::ProviderParameter,
            Unsendable::Page(_) => Code::Internal,
            Unsendable::Template(error) => return recipe.fault(stage, &error),
        };
        Trouble::lasting(recipe.failure(stage, code).fact(recipe.blank.blank(&self.to_string())))
    }
}

/// The scope with a new assertion.
fn asserted(assertion: &Assert, scope: Scope, now: Timestamp) -> Result<Scope, Unsendable> {
    let given = given(&assertion.with, &scope)?;
    let maker = assertion.by.ready(&given).map_err(|error| Unsendable::key(&assertion.with, error))?;
    let made = maker.assertion(&Moment { now, nonce: random()? })?;
    Ok(scope.with("assertion", made.expose_secret()))
}

/// The scope of one request: the instant, and what is used once.
fn momentary(scope: &Scope, now: Timestamp) -> Result<Scope, Unsendable> {
    let nonce = random()?;
    let part = |from: usize, to: usize| nonce.get(from..to).unwrap_or_default();
    // Version 4, variant 10 (RFC 9562 §5.4).
    let uuid = format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32));
    let scope = scope.clone().with("now", now.as_second()).with("now_ms", now.as_millisecond()).with("uuid", uuid);
    Ok(scope.with("nonce", nonce))
}

fn random() -> Result<String, Unsendable> {
    let mut octets = [0; 16];
    rand::fill(&mut octets).map_err(|_| Unsendable::Page("there is no randomness"))?;
    Ok(hexadecimal(&octets))
}

/// Whether all is there that a template of all calls wants: at login there is no session yet.
fn renderable(source: &str, scope: &Scope) -> bool {
    scope.has("session") || !template::wanted(source).is_ok_and(|wanted| wanted.contains("session"))
}

fn renderable_body(source: &toml::Value, scope: &Scope) -> bool {
    match source {
        toml::Value::Array(list) => list.iter().all(|item| renderable_body(item, scope)),
        toml::Value::String(text) => renderable(text, scope),
        toml::Value::Table(table) => table.values().all(|value| renderable_body(value, scope)),
        _ => true,
    }
}

/// Renders the fields of a query or form; one without a value is left out.
fn fields<'a>(
    sources: impl Iterator<Item = (&'a String, &'a String)>,
    scope: &Scope,
) -> Result<Vec<(&'a str, String)>, minijinja::Error> {
    let rendered = sources
        .filter(|(_, source)| renderable(source, scope))
        .map(|(key, source)| Ok(template::field(source, scope)?.map(|value| (key.as_str(), value))));
    rendered.filter_map(Result::transpose).collect()
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

fn reqwest_method(method: Method) -> reqwest::Method {
    match method {
        Method::Delete => reqwest::Method::DELETE,
        Method::Get => reqwest::Method::GET,
        Method::Patch => reqwest::Method::PATCH,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
    }
}
