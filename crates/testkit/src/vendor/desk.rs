//! Where requests come in: who asks, what for, what is done and answered, and what goes wrong on request.
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use certkeep_core::time::{Clock as _, SystemClock};
use minijinja::Value;

use super::access::{self, Secrets};
use super::account::Account;
use super::expression::{self, eval};
use super::operation::{Work, job_id, refusal, request_id};
use super::reply::{self, Answer};
use super::request::{Incoming, path_matches, with_lets};
use super::scope::Scope;
use super::table::{Reply, Route, Table};

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is done, and the connection ends without an answer.
    AnswerLost,
    /// It is not done, and the connection ends without an answer.
    Dropped,
    /// It is not done; the answer is 500.
    ServerError,
    /// It is done, and no answer ever comes.
    Silence,
    /// It is not done; the answer asks for fewer requests, and after how many seconds to come again.
    TooMany(u32),
    /// It is not done; the answer is a web page with status 200.
    WebPage,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// The host it was sent to.
    pub host: String,
    /// Its path and query.
    pub target: String,
    /// Whether the vendor has such a host and route.
    pub known: bool,
    /// Why it was not let in; `None` if it was, or was not looked at.
    pub refused: Option<String>,
    /// The status that was answered; 0 for none.
    pub status: u16,
}

/// What becomes of a request.
pub(super) enum Verdict {
    Answer(Answer),
    HangUp,
    Silence,
}

pub(super) struct Inner {
    pub(super) account: Account,
    pub(super) seen: Vec<Seen>,
    pub(super) faults: BTreeMap<usize, Fault>,
    sessions: Vec<String>,
    /// When the latest requests came, as far as the limit looks back.
    came: VecDeque<Instant>,
}

/// A vendor at work.
pub(super) struct Desk {
    pub(super) table: Table,
    pub(super) secrets: Secrets,
    /// What is tried in the place of the account's secrets.
    pub(super) wrong: Secrets,
    inner: Mutex<Inner>,
}

impl Desk {
    pub(super) fn new(table: Table, account: Account) -> Desk {
        let inner = Inner { account, seen: Vec::new(), faults: BTreeMap::new(), sessions: Vec::new(), came: VecDeque::new() };
        let secrets = Secrets::new(&table);
        Desk { wrong: secrets.wrong(), secrets, table, inner: Mutex::new(inner) }
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request. One that was not sent through a proxy is for the vendor's first host.
    pub(super) fn take(&self, request: &Incoming, direct: bool, strayed: bool) -> Verdict {
        let mut guard = self.inner();
        let inner = &mut *guard;
        let number = inner.seen.len();
        let ours = !strayed && (self.table.serves(without_port(&request.host)) || direct && request.uri.authority().is_none());
        let mut seen = Seen {
            method: request.method.to_string(),
            host: request.host.clone(),
            target: request.target(),
            known: true,
            refused: None,
            status: 0,
        };
        let fault = inner.faults.remove(&number);
        let verdict = match fault {
            Some(Fault::Dropped) => Verdict::HangUp,
            Some(Fault::ServerError) => Verdict::Answer(page(500)),
            Some(Fault::TooMany(seconds)) => Verdict::Answer(self.too_many(seconds, number)),
            Some(Fault::WebPage) => Verdict::Answer(page(200)),
            _ if ours && self.is_too_fast(inner) => Verdict::Answer(self.too_many(1, number)),
            _ if !ours => {
                seen.known = false;
                Verdict::Answer(page(502))
            }
            _ => {
                let answer = self.answer(inner, request, number, &mut seen);
                if matches!(fault, Some(Fault::AnswerLost | Fault::Silence)) {
                    inner.account.forget_job(&job_id(number));
                }
                match fault {
                    Some(Fault::AnswerLost) => Verdict::HangUp,
                    Some(Fault::Silence) => Verdict::Silence,
                    _ => Verdict::Answer(answer),
                }
            }
        };
        if let Verdict::Answer(answer) = &verdict {
            seen.status = answer.status;
        }
        if std::env::var_os("VENDOR_TRACE").is_some() {
            eprintln!("{} {} {}{} -> {}", self.table.flag, seen.method, seen.host, seen.target, describe(&verdict, &seen));
            eprintln!("    {}", String::from_utf8_lossy(&request.body));
        }
        inner.seen.push(seen);
        verdict
    }

    /// Whether this is one request more than the vendor's limit allows.
    fn is_too_fast(&self, inner: &mut Inner) -> bool {
        let Some(limit) = self.table.limit else { return false };
        let now = Instant::now();
        inner.came.push_back(now);
        while inner.came.front().is_some_and(|came| now.duration_since(*came).as_secs_f64() >= limit.seconds) {
            inner.came.pop_front();
        }
        inner.came.len() > limit.requests
    }

    fn answer(&self, inner: &mut Inner, request: &Incoming, number: usize, seen: &mut Seen) -> Answer {
        let mut scope = request.scope();
        scope.extend(&self.surroundings(number));
        scope.insert("account", Value::from(inner.account.zones()));
        let scope = with_lets(scope, &self.table.lets);
        let found = self.table.routes.iter().find_map(|route| self.fits(route, request, &scope).map(|scope| (route, scope)));
        let route = found.as_ref().map(|(route, _)| *route);
        let mut scope = found.as_ref().map_or(scope, |(_, scope)| scope.clone());
        let auth = access::wanted(&self.table, route);
        if let Err(why) = access::check(auth, request, &scope, &inner.sessions, &self.secrets) {
            // An unknown route of somebody unknown is an unknown route.
            seen.known = route.is_some();
            scope.insert("why", Value::from(why.as_str()));
            seen.refused = Some(why);
            return self.finished(&refusal(&self.table, route, "unauthorized"), &scope);
        }
        let Some(route) = route else {
            seen.known = false;
            return self.finished(&refusal(&self.table, None, "no_route"), &scope);
        };
        if route.opens {
            let session = request_id(number + 1_000_000).replace('-', "");
            scope.insert("sid", Value::from(session.as_str()));
            inner.sessions.push(session);
        }
        let closed = route.closes.as_deref().and_then(|source| expression::text(source, &scope));
        let mut work = Work { table: &self.table, route, account: &mut inner.account, scope: scope.clone(), number };
        let answer = match work.run() {
            Ok(scope) => self.finished(&route.reply, &scope),
            Err(name) => {
                let reply = work.refusal(&name);
                scope.insert("refusal", Value::from(name));
                self.finished(&reply, &scope)
            }
        };
        if let Some(session) = closed {
            inner.sessions.retain(|open| *open != session);
        }
        answer
    }

    /// What is known beside the request itself.
    fn surroundings(&self, number: usize) -> Scope {
        let now = SystemClock.now();
        Scope::from([
            ("secret", self.secrets.value()),
            ("reqid", Value::from(request_id(number))),
            ("number", Value::from(number + 1)),
            ("now", Value::from(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())),
            ("unix", Value::from(now.as_second())),
        ])
    }

    /// The scope with the path's parts if this is the route.
    fn fits(&self, route: &Route, request: &Incoming, scope: &Scope) -> Option<Scope> {
        let right = |method: Option<&str>| method.is_none_or(|method| request.method == method);
        let found = route.paths().filter(|(method, _)| right(*method)).find_map(|(_, pattern)| {
            let (pattern, host) = match pattern.strip_prefix("//").and_then(|rest| rest.split_once('/')) {
                // A route of one host alone begins with it.
                Some((host, _)) => (&pattern[2 + host.len()..], Some(host)),
                None => (pattern, None),
            };
            if host.is_some_and(|host| !expression::matches(host, without_port(&request.host))) {
                return None;
            }
            path_matches(pattern, request.uri.path())
        });
        let mut scope = scope.clone();
        scope.insert("path", Value::from(found?));
        route.when.as_ref().is_none_or(|when| eval(when, &scope).is_true()).then_some(scope)
    }

    fn finished(&self, reply: &Reply, scope: &Scope) -> Answer {
        let mut answer = reply::answer(reply, scope);
        if let (true, Some(kind)) = (reply.content_type.is_none() && !answer.body.is_empty(), &self.table.content_type) {
            answer.content_type = Some(kind.clone());
        }
        answer
    }

    fn too_many(&self, seconds: u32, number: usize) -> Answer {
        let mut answer = self.finished(&refusal(&self.table, None, "throttled"), &self.surroundings(number));
        if answer.status == 429 {
            answer.headers.push(("Retry-After".to_owned(), seconds.to_string()));
        }
        answer
    }
}

fn without_port(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

fn page(status: u16) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: "<!DOCTYPE html><html><body>One moment, please</body></html>".to_owned(),
        content_type: Some("text/html".to_owned()),
    }
}

fn describe(verdict: &Verdict, seen: &Seen) -> String {
    let known = if seen.known { "" } else { " NO ROUTE" };
    let refused = seen.refused.as_deref().map(|why| format!(" refused: {why}")).unwrap_or_default();
    match verdict {
        Verdict::Answer(answer) => format!("{}{known}{refused} {}", answer.status, answer.body),
        Verdict::HangUp => format!("hung up{known}"),
        Verdict::Silence => format!("silence{known}"),
    }
}
