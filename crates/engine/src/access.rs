//! Who may call: logins, tokens and blocks (contract §3).
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use certkeep_core::audit::{Action, Actor, Author, Outcome};
use certkeep_core::client::{
    ACCESS_TOKEN_LIFE, BLOCK, ClientKey, Digest, MAX_FAILED_LOGINS, MAX_LIVE_TOKENS, REFRESH_TOKEN_LIFE, ROTATION_GRACE, Session,
    TokenPair,
};
use certkeep_core::ports::{BlockSubject, Opening, Rotation, StoreError};
use ipnet::IpNet;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use secrecy::{ExposeSecret, SecretString};

use crate::Engine;
use crate::people::Known;

/// Most sessions that are remembered; further ones are read from the store at each call.
const REMEMBERED_SESSIONS: usize = 10_000;
/// Most blocks that are remembered, so that a blocked caller costs no write.
const REMEMBERED_BLOCKS: usize = 10_000;
/// Most tokens that are remembered as unknown, so that a client that loops with one costs no access to the store.
const REMEMBERED_UNKNOWN: usize = 10_000;

/// Letters of a token.
const TOKEN_LENGTH: usize = 32;

/// A pair of tokens as the client gets it.
#[derive(Debug)]
pub struct Tokens {
    /// 32 alphanumerics, lives [`ACCESS_TOKEN_LIFE`].
    pub access: SecretString,
    /// 32 alphanumerics, lives [`REFRESH_TOKEN_LIFE`].
    pub refresh: SecretString,
}

/// Why a caller is turned away.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Address or credential is blocked until this instant.
    #[error("blocked until {0}")]
    Blocked(Timestamp),
    /// The address is outside the client's permitted networks.
    #[error("the address is outside the client's permitted networks")]
    ForbiddenAddress,
    /// A fault of ours.
    #[error("no random number could be drawn")]
    Random,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The token is missing, unknown, revoked or expired.
    #[error("the token is not valid")]
    TokenExpired,
    /// So many access tokens of the client are live.
    #[error("the client has too many live tokens")]
    TooManyTokens,
    /// Client id or secret is wrong.
    #[error("client id or secret is wrong")]
    WrongCredentials,
}

/// What the hot path remembers, void when the store's epoch grows.
pub(crate) struct Remembered {
    sessions: Cache<Digest, Arc<Session>>,
    people: Cache<Digest, Arc<Known>>,
    blocks: Cache<BlockSubject, Timestamp>,
    /// Refresh tokens and access tokens that nobody was given, or that are dead: none of them ever comes to life.
    unknown_refresh: Cache<Digest, ()>,
    unknown_access: Cache<Digest, ()>,
    /// Grows whenever sessions are forgotten, so that one that was read before that is not remembered after it.
    generation: AtomicU64,
}

impl Default for Remembered {
    fn default() -> Self {
        Remembered {
            sessions: Cache::new(REMEMBERED_SESSIONS),
            people: Cache::new(REMEMBERED_SESSIONS),
            blocks: Cache::new(REMEMBERED_BLOCKS),
            unknown_refresh: Cache::new(REMEMBERED_UNKNOWN),
            unknown_access: Cache::new(REMEMBERED_UNKNOWN),
            generation: AtomicU64::new(0),
        }
    }
}

impl Remembered {
    pub(crate) fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.sessions.clear();
        self.people.clear();
        self.blocks.clear();
        self.unknown_refresh.clear();
        self.unknown_access.clear();
    }

    fn forget_sessions_of(&self, client: ClientKey) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.sessions.retain(|_, session| session.client.key != client);
    }

    pub(crate) fn forget_people(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.people.clear();
    }

    pub(crate) fn forget_person(&self, token: &Digest) {
        self.people.remove(token);
    }

    pub(crate) fn person(&self, token: &Digest) -> Option<Arc<Known>> {
        self.people.get(token)
    }

    pub(crate) fn is_unknown(&self, token: &Digest) -> bool {
        self.unknown_access.get(token).is_some()
    }

    pub(crate) fn remember_unknown(&self, token: Digest) {
        self.unknown_access.insert(token, ());
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Remembers somebody who was read when the generation was `read_at`.
    pub(crate) fn remember_person(&self, token: Digest, known: &Arc<Known>, read_at: u64) {
        self.people.insert(token, Arc::clone(known));
        if self.generation() != read_at {
            self.people.remove(&token);
        }
    }

    /// Remembers a session that was read when the generation was `read_at`.
    fn remember(&self, access: Digest, session: &Arc<Session>, read_at: u64) {
        self.sessions.insert(access, Arc::clone(session));
        if self.generation.load(Ordering::SeqCst) != read_at {
            self.sessions.remove(&access);
        }
    }
}

impl Engine {
    /// Opens a session for a client (contract §3, `get_token`).
    ///
    /// # Errors
    /// [`AccessError::WrongCredentials`], counted against the address and the credential; [`AccessError::Blocked`];
    /// [`AccessError::ForbiddenAddress`]; [`AccessError::TooManyTokens`]; the store's.
    pub async fn login(&self, address: IpAddr, client_id: &str, secret: &SecretString) -> Result<Tokens, AccessError> {
        let now = self.now();
        let credential = BlockSubject::Credential(Digest::of(&format!("{client_id}\0{}", secret.expose_secret())));
        let address_block = BlockSubject::Address(network_of(address));
        self.refuse_blocked(&credential, &address_block, now).await?;
        let found = self.store().client(client_id).await?;
        let given = Digest::of(secret.expose_secret());
        let named = found.as_ref().map(|(client, _)| client.name.clone()).unwrap_or_default();
        let refused = async |why| {
            self.note(Author::at(Actor::Nobody, address), Action::Login, &named, Outcome::Refused, why).await;
        };
        let Some((client, _)) = found.filter(|(_, expected)| expected.matches(&given)) else {
            self.count_failed_login(&credential, now).await?;
            self.count_failed_login(&address_block, now).await?;
            refused("wrong client id or secret").await;
            return Err(AccessError::WrongCredentials);
        };
        if !client.permits(address) {
            refused("the address is outside the client's permitted networks").await;
            return Err(AccessError::ForbiddenAddress);
        }
        self.store().clear_failed_logins(&address_block).await?;
        let (tokens, pair) = new_pair(now)?;
        match self.store().open_session(client.key, &given, &pair, now, MAX_LIVE_TOKENS).await? {
            Opening::Opened => Ok(tokens),
            Opening::SecretChanged => Err(AccessError::WrongCredentials),
            Opening::TooMany => Err(AccessError::TooManyTokens),
        }
    }

    /// Turns away a blocked credential or address.
    ///
    /// A blocked credential is turned away first, and does not count against its address: so a client that loops with a dead
    /// secret keeps only itself out once its address is free again. Its own block is prolonged, but not by a write for each
    /// of its calls.
    pub(crate) async fn refuse_blocked(
        &self,
        credential: &BlockSubject,
        address: &BlockSubject,
        now: Timestamp,
    ) -> Result<(), AccessError> {
        if let Some(mut until) = self.blocked_until(credential, now).await? {
            if until.duration_since(now) < BLOCK / 2 {
                until = self.count_failed_login(credential, now).await?.unwrap_or(until);
            }
            return Err(AccessError::Blocked(until));
        }
        match self.blocked_until(address, now).await? {
            Some(until) => Err(AccessError::Blocked(until)),
            None => Ok(()),
        }
    }

    pub(crate) async fn count_failed_login(
        &self,
        subject: &BlockSubject,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let until = self.store().failed_login(subject, now, MAX_FAILED_LOGINS, BLOCK).await?;
        if let Some(until) = until {
            self.inner.remembered_access.blocks.insert(subject.clone(), until);
        }
        Ok(until)
    }

    /// Exchanges a refresh token for a new pair (contract §3, `refresh_token`).
    ///
    /// # Errors
    /// [`AccessError::TokenExpired`], [`AccessError::ForbiddenAddress`], [`AccessError::TooManyTokens`], or the store's.
    pub async fn refresh(&self, address: IpAddr, refresh: &SecretString) -> Result<Tokens, AccessError> {
        if !looks_like_token(refresh.expose_secret()) {
            return Err(AccessError::TokenExpired);
        }
        let digest = Digest::of(refresh.expose_secret());
        let unknown = &self.inner.remembered_access.unknown_refresh;
        if unknown.get(&digest).is_some() {
            return Err(AccessError::TokenExpired);
        }
        let now = self.now();
        let (tokens, pair) = new_pair(now)?;
        let rotation = self.store().rotate_session(&digest, &pair, address, now, ROTATION_GRACE, MAX_LIVE_TOKENS).await?;
        match rotation {
            Rotation::Forbidden => Err(AccessError::ForbiddenAddress),
            Rotation::Rotated(client) => {
                // The old access token dies earlier now than what is remembered of it.
                self.inner.remembered_access.forget_sessions_of(client);
                Ok(tokens)
            }
            Rotation::TooMany => Err(AccessError::TooManyTokens),
            Rotation::Unknown => {
                unknown.insert(digest, ());
                Err(AccessError::TokenExpired)
            }
        }
    }

    /// Revokes an access token with its refresh token (contract §3, `del_token`); one that is dead already is no error.
    ///
    /// # Errors
    /// [`AccessError::TokenExpired`] for a token that never was valid; the store's.
    pub async fn logout(&self, access: &str) -> Result<(), AccessError> {
        if !looks_like_token(access) {
            return Err(AccessError::TokenExpired);
        }
        let client = self.store().revoke_session(&Digest::of(access), self.now()).await?.ok_or(AccessError::TokenExpired)?;
        self.inner.remembered_access.forget_sessions_of(client);
        Ok(())
    }

    /// The live session of an access token. Costs no write, and no read of the store once the token is remembered.
    ///
    /// # Errors
    /// [`AccessError::TokenExpired`], [`AccessError::ForbiddenAddress`], or the store's.
    pub async fn session(&self, address: IpAddr, access: &str) -> Result<Arc<Session>, AccessError> {
        if !looks_like_token(access) {
            return Err(AccessError::TokenExpired);
        }
        let digest = Digest::of(access);
        let now = self.now();
        let remembered = &self.inner.remembered_access;
        let session = match remembered.sessions.get(&digest) {
            Some(session) => session,
            None if remembered.unknown_access.get(&digest).is_some() => return Err(AccessError::TokenExpired),
            None => {
                let read_at = remembered.generation.load(Ordering::SeqCst);
                let Some(session) = self.store().session(&digest).await? else {
                    remembered.unknown_access.insert(digest, ());
                    return Err(AccessError::TokenExpired);
                };
                let session = Arc::new(session);
                if session.is_live(now) {
                    remembered.remember(digest, &session, read_at);
                }
                session
            }
        };
        if !session.is_live(now) {
            remembered.sessions.remove(&digest);
            return Err(AccessError::TokenExpired);
        }
        if session.client.permits(address) { Ok(session) } else { Err(AccessError::ForbiddenAddress) }
    }

    /// Until when a subject is blocked; asks the store only for what is not remembered.
    pub(crate) async fn blocked_until(&self, subject: &BlockSubject, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let blocks = &self.inner.remembered_access.blocks;
        if let Some(until) = blocks.get(subject) {
            if until > now {
                return Ok(Some(until));
            }
            blocks.remove(subject);
        }
        let until = self.store().blocked_until(subject, now).await?;
        if let Some(until) = until {
            blocks.insert(subject.clone(), until);
        }
        Ok(until)
    }
}

/// What counts as one address: itself, or the /64 that a site commonly has in IPv6.
pub(crate) fn network_of(address: IpAddr) -> IpNet {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpNet::from(IpAddr::V4(v4)),
        IpAddr::V6(v6) => ipnet::Ipv6Net::new(v6, 64).map_or(IpNet::from(IpAddr::V6(v6)), |net| IpNet::V6(net.trunc())),
    }
}

/// Every token has this form; anything else need not be looked up.
fn looks_like_token(text: &str) -> bool {
    text.len() == TOKEN_LENGTH && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// A random text of 32 alphanumerics, about 190 bits.
///
/// # Errors
/// The system's source of randomness failed.
pub fn random_token() -> Result<SecretString, AccessError> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut token = String::with_capacity(TOKEN_LENGTH);
    while token.len() < TOKEN_LENGTH {
        let mut octets = [0u8; 64];
        aws_lc_rs::rand::fill(&mut octets).map_err(|_| AccessError::Random)?;
        // Octets from 248 on would make the first letters of the alphabet likelier.
        let letters = octets.iter().filter(|b| **b < 248).filter_map(|b| ALPHABET.get(usize::from(b % 62)));
        for letter in letters.take(TOKEN_LENGTH - token.len()) {
            token.push(char::from(*letter));
        }
    }
    Ok(token.into())
}

fn new_pair(now: Timestamp) -> Result<(Tokens, TokenPair), AccessError> {
    let tokens = Tokens { access: random_token()?, refresh: random_token()? };
    let pair = TokenPair {
        access: Digest::of(tokens.access.expose_secret()),
        refresh: Digest::of(tokens.refresh.expose_secret()),
        access_ends: now.saturating_add(ACCESS_TOKEN_LIFE).unwrap_or(now),
        refresh_ends: now.saturating_add(REFRESH_TOKEN_LIFE).unwrap_or(now),
    };
    Ok((tokens, pair))
}
