//! Sessions: opened once for an account, shared by all that happens there, opened again when they are over.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::Mutex as Turn;
use tokio::time::Instant;

use super::Recipe;
use super::answer::{Reply, Trouble, as_text};
use super::blank::Blank;
use super::classify::Stage;
use super::template::Scope;
use crate::page::Call;
use crate::registry::Account;

/// How long before its end a session is not used any more, at most: a call takes its time.
const MARGIN: Duration = Duration::from_secs(30);

/// What a login gave. It is secret and so has no `Debug`.
pub(super) struct Session {
    /// What was kept.
    pub(super) kept: Map<String, Value>,
    /// The recipe's secrets, and these.
    pub(super) blank: Blank,
    until: Option<Instant>,
}

/// The sessions of all accounts.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Account, Arc<Place>>>);

/// The session of one account; who holds the lock is logging in.
type Place = Turn<Option<Arc<Session>>>;

impl Sessions {
    fn place(&self, account: &Account) -> Arc<Place> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(account.clone()).or_default())
    }
}

impl Recipe {
    /// The session, and whether it was opened just now. `over` is one that the vendor does not take any more.
    pub(super) async fn session(&self, login: &Call, over: Option<&Arc<Session>>) -> Result<(Arc<Session>, bool), Trouble> {
        let place = self.shared.sessions.place(&self.account);
        let mut place = place.lock().await;
        if let Some(session) = &*place {
            let good = session.until.is_none_or(|until| Instant::now() < until);
            if good && !over.is_some_and(|over| Arc::ptr_eq(over, session)) {
                return Ok((Arc::clone(session), false));
            }
        }
        *place = None;
        let session = Arc::new(self.open_session(login).await?);
        *place = Some(Arc::clone(&session));
        Ok((session, true))
    }

    async fn open_session(&self, login: &Call) -> Result<Session, Trouble> {
        let scope = self.prepared(Stage::Login, login, self.scope.clone()).await?;
        let scope = scope.ok_or_else(|| self.not_there(Stage::Login))?;
        let asked = Instant::now();
        let Reply::Done(answer) = self.call(Stage::Login, login, &scope).await? else {
            return Err(self.not_there(Stage::Login));
        };
        let opened = Scope::opened(&answer, &scope);
        let mut kept = self.kept(Stage::Login, login, &opened)?;
        let lasts = match &login.lasts {
            Some(source) => self.found(Stage::Login, source, &opened)?,
            None => None,
        };
        let lasts = lasts.and_then(|lasts| lasts.as_f64().or_else(|| as_text(&lasts).trim().parse().ok()));
        let lasts = lasts.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let until = lasts.and_then(|lasts| asked.checked_add(lasts - MARGIN.min(lasts / 2)));
        for step in &login.then {
            let scope = scope.clone().with_json("session", &kept).with_json("got", &kept);
            match self.step(Stage::Login, step, &scope).await? {
                Some(more) => kept.extend(more),
                None => return Err(self.not_there(Stage::Login)),
            }
        }
        let mut blank = self.blank.clone();
        kept.values().map(as_text).filter(|text| text.len() >= 8).for_each(|text| blank.add(&text));
        Ok(Session { kept, blank, until })
    }
}
