//! Who works with certkeep itself: logins, browser sessions, API tokens, users.
//!
//! A request brings a token; [`Engine::browser`] or [`Engine::bearer`] tells whose it is. What that somebody does then goes
//! through [`crate::acting::Acting`].
mod login;
mod managing;
pub mod proving;
mod second;
mod tokens;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certkeep_core::audit::Actor;
use certkeep_core::client::Digest;
use certkeep_core::people::{Act, ApiToken, BrowserSession, Rights, User};
use certkeep_core::ports::StoreError;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

pub use login::{LoggedIn, LoginError};
pub use managing::{UserEdit, add_user, edit_user};
pub use tokens::{MadeToken, TokenWish, add_api_token, revoke_api_token};

use crate::Engine;
use crate::access::AccessError;
use crate::audit::Ending;

/// What an API token begins with, so that people and scanners recognise one.
pub const TOKEN_PREFIX: &str = "ck_";
/// Letters of a drawn secret: 32 octets in base64url.
const SECRET_LETTERS: usize = 43;
/// How often it is written down that a browser session was seen: well below the time that it may rest.
const SESSION_SEEN_EVERY: SignedDuration = SignedDuration::from_mins(10);
/// The same of an API token.
const TOKEN_SEEN_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// What the HMAC of a CSRF token is over.
const CSRF: &[u8] = b"certkeep csrf 1";

/// Why users, tokens or passwords are not changed.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// This is not allowed.
    #[error("this is not allowed: {} is missing", .0.as_str())]
    Forbidden(Act),
    /// It is the last admin.
    #[error("this is the last admin that can log in, and has to stay one")]
    LastAdmin,
    /// Nobody can see such a name.
    #[error("a name has 1 to 100 characters, none of them a control character, and no space at its ends")]
    Name,
    /// The name is taken.
    #[error("the name {0:?} is taken")]
    NameTaken(String),
    /// There is no such user or token.
    #[error("there is no such user or token")]
    NotFound,
    /// A password is too short, or far too long.
    #[error("a password has at least 12 characters and at most 1024 octets")]
    Password,
    /// A fault of ours.
    #[error("no secret can be made or compared now")]
    Secrets,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// More is asked for than the one who asks may.
    #[error("nobody can give more rights than they have")]
    TooMuch,
    /// One-time passwords are on already, or there is none to confirm.
    #[error("one-time passwords are on already, or there is nothing to confirm")]
    TotpState,
    /// Password, code or setup token is wrong.
    #[error("the password, the code or the setup token is wrong")]
    Wrong,
}

impl Ending for PeopleError {
    fn is_refusal(&self) -> bool {
        matches!(self, PeopleError::Forbidden(_) | PeopleError::TooMuch | PeopleError::Wrong)
    }
}

/// By what somebody is known.
#[derive(Clone, Debug)]
pub enum Who {
    /// A program, by an API token.
    Token(ApiToken),
    /// Somebody at a browser.
    User(User),
}

/// Somebody who is known.
#[derive(Clone, Debug)]
pub struct Identity {
    /// By what.
    pub who: Who,
    /// What they may do.
    pub rights: Rights,
}

impl Identity {
    /// Whether they may do this.
    pub fn may(&self, act: Act) -> bool {
        self.rights.may(act)
    }

    /// Their name in the audit.
    pub fn actor(&self) -> Actor {
        match &self.who {
            Who::Token(token) => Actor::Token(token.name.clone()),
            Who::User(user) => Actor::User(user.name.clone()),
        }
    }

    /// The user, who may be the owner of a token.
    pub fn user(&self) -> Option<&User> {
        match &self.who {
            Who::Token(token) => token.owner.as_ref(),
            Who::User(user) => Some(user),
        }
    }
}

/// Somebody who is remembered.
pub(crate) struct Known {
    identity: Arc<Identity>,
    proof: Proof,
    /// The instant of which the store knows that it was seen, in seconds.
    seen: AtomicI64,
}

enum Proof {
    Browser(BrowserSession),
    Token(ApiToken),
}

impl Known {
    fn browser(session: BrowserSession) -> Known {
        let (user, seen) = (session.user.clone(), session.last_seen.as_second());
        let rights = Rights::of(user.role);
        let identity = Arc::new(Identity { who: Who::User(user), rights });
        Known { identity, proof: Proof::Browser(session), seen: AtomicI64::new(seen) }
    }

    fn token(token: ApiToken) -> Known {
        let seen = token.last_used.unwrap_or(Timestamp::MIN).as_second();
        let identity = Arc::new(Identity { rights: token.effective_rights(), who: Who::Token(token.clone()) });
        Known { identity, proof: Proof::Token(token), seen: AtomicI64::new(seen) }
    }

    fn is_live(&self, now: Timestamp) -> bool {
        match &self.proof {
            Proof::Browser(session) => {
                let last_seen = Timestamp::from_second(self.seen.load(Ordering::Relaxed)).unwrap_or(session.last_seen);
                BrowserSession { last_seen, ..session.clone() }.is_live(now)
            }
            Proof::Token(token) => token.is_live(now),
        }
    }

    /// Whether the store has to be told that it was seen now. Of those who ask at once one is told so.
    fn is_news(&self, now: Timestamp) -> bool {
        let every = match &self.proof {
            Proof::Browser(_) => SESSION_SEEN_EVERY,
            Proof::Token(_) => TOKEN_SEEN_EVERY,
        };
        let (seen, now) = (self.seen.load(Ordering::Relaxed), now.as_second());
        now.saturating_sub(seen) >= every.as_secs()
            && self.seen.compare_exchange(seen, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Engine {
    /// Whose browser session this is. Costs no read of the store once it is remembered, and a write every ten minutes.
    ///
    /// # Errors
    /// [`AccessError::TokenExpired`], or the store's.
    pub async fn browser(&self, token: &str) -> Result<Arc<Identity>, AccessError> {
        if !looks_drawn(token) {
            return Err(AccessError::TokenExpired);
        }
        let digest = Digest::of(token);
        let read = async { Ok(self.store().browser_session(&digest).await?.map(Known::browser)) };
        self.known(digest, read).await
    }

    /// Whose API token this is. Costs no read of the store once it is remembered, and a write every hour.
    ///
    /// # Errors
    /// [`AccessError::TokenExpired`], or the store's.
    pub async fn bearer(&self, token: &str) -> Result<Arc<Identity>, AccessError> {
        if !token.strip_prefix(TOKEN_PREFIX).is_some_and(looks_drawn) {
            return Err(AccessError::TokenExpired);
        }
        let digest = Digest::of(token);
        let read = async { Ok(self.store().api_token(&digest).await?.map(Known::token)) };
        self.known(digest, read).await
    }

    async fn known(
        &self,
        digest: Digest,
        read: impl Future<Output = Result<Option<Known>, StoreError>>,
    ) -> Result<Arc<Identity>, AccessError> {
        let (now, remembered) = (self.now(), &self.inner.remembered_access);
        let known = match remembered.person(&digest) {
            Some(known) => known,
            None if remembered.is_unknown(&digest) => return Err(AccessError::TokenExpired),
            None => {
                let read_at = remembered.generation();
                let Some(known) = read.await? else {
                    remembered.remember_unknown(digest);
                    return Err(AccessError::TokenExpired);
                };
                let known = Arc::new(known);
                remembered.remember_person(digest, &known, read_at);
                known
            }
        };
        if !known.is_live(now) {
            return Err(AccessError::TokenExpired);
        }
        if known.is_news(now) {
            let noted = match &known.proof {
                Proof::Browser(_) => self.store().see_browser_session(&digest, now).await,
                Proof::Token(token) => self.store().see_api_token(token.id, now).await,
            };
            if let Err(error) = noted {
                tracing::warn!(error = &error as &dyn std::error::Error, "not noted when a token was used");
            }
        }
        Ok(Arc::clone(&known.identity))
    }
}

/// The CSRF token of a browser session: whoever knows it has read a page that only the session can read.
pub fn csrf_token(session: &str) -> SecretString {
    let key = hmac::Key::new(hmac::HMAC_SHA256, session.as_bytes());
    SecretString::from(URL_SAFE_NO_PAD.encode(hmac::sign(&key, CSRF)))
}

/// Whether this is the CSRF token of a browser session, compared in constant time.
pub fn is_csrf_token(session: &str, given: &str) -> bool {
    let expected = csrf_token(session);
    constant_time::verify_slices_are_equal(expected.expose_secret().as_bytes(), given.as_bytes()).is_ok()
}

/// 32 random octets in base64url.
fn drawn_secret() -> Result<SecretString, PeopleError> {
    let mut octets = zeroize::Zeroizing::new([0u8; 32]);
    aws_lc_rs::rand::fill(octets.as_mut_slice()).map_err(|_| PeopleError::Secrets)?;
    Ok(SecretString::from(URL_SAFE_NO_PAD.encode(octets.as_slice())))
}

/// Anything else need not be looked up.
fn looks_drawn(text: &str) -> bool {
    text.len() == SECRET_LETTERS && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csrf_token_belongs_to_its_session() {
        let (one, other) = (drawn_secret().unwrap(), drawn_secret().unwrap());
        assert!(looks_drawn(one.expose_secret()));
        assert_ne!(one.expose_secret(), other.expose_secret());
        let token = csrf_token(one.expose_secret());
        assert!(is_csrf_token(one.expose_secret(), token.expose_secret()));
        assert!(!is_csrf_token(other.expose_secret(), token.expose_secret()));
        assert!(!is_csrf_token(one.expose_secret(), ""));
        assert!(!token.expose_secret().contains(one.expose_secret()));
    }
}
