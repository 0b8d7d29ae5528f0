//! Who calls the API: clients, their tokens, and what happens to those who guess (contract §3).
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

/// How long an access token lives.
pub const ACCESS_TOKEN_LIFE: SignedDuration = SignedDuration::from_secs(1800);
/// How long a refresh token lives.
pub const REFRESH_TOKEN_LIFE: SignedDuration = SignedDuration::from_secs(86_400);
/// How long a token is accepted beyond its announced end, for clients without a margin.
pub const EXPIRY_GRACE: SignedDuration = SignedDuration::from_secs(5);
/// How long a replaced pair is still accepted.
pub const ROTATION_GRACE: SignedDuration = SignedDuration::from_secs(30);
/// Live access tokens a client may have.
pub const MAX_LIVE_TOKENS: u32 = 8;
/// Failed logins in a row that block.
pub const MAX_FAILED_LOGINS: u32 = 5;
/// How long a block lasts.
pub const BLOCK: SignedDuration = SignedDuration::from_mins(10);

/// The number of a client in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientKey(pub i64);

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientRole {
    /// Everything the API has.
    Admin,
    /// Reading only; other calls are refused with 10005.
    Viewer,
}

/// A client of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its number in the store.
    pub key: ClientKey,
    /// The name a person gave it, unique.
    pub name: String,
    /// The API's `username`: public, unique.
    pub client_id: String,
    /// What it may do.
    pub role: ClientRole,
    /// Where it may call from; anywhere if empty. Elsewhere it is refused with 70087.
    pub networks: Vec<IpNet>,
}

impl Client {
    /// Whether it may call from this address.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&address))
    }
}

/// SHA-256 of a random secret or token; the only form in which either is stored.
///
/// `Debug` shows nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The hash of a secret's or token's octets.
    pub fn of(text: &str) -> Digest {
        let mut hash = [0; 32];
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        hash.copy_from_slice(digest.as_ref());
        Digest(hash)
    }

    /// Equality in constant time.
    pub fn matches(&self, other: &Digest) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// A pair of tokens as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenPair {
    /// Of the access token.
    pub access: Digest,
    /// Of the refresh token.
    pub refresh: Digest,
    /// Announced end of the access token.
    pub access_ends: Timestamp,
    /// Announced end of the refresh token.
    pub refresh_ends: Timestamp,
}

/// What an access token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub client: Client,
    /// When it dies: its announced end, or earlier when it was replaced or revoked. Without the grace.
    pub ends: Timestamp,
}

impl Session {
    /// Whether the token is accepted at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now.duration_since(self.ends) <= EXPIRY_GRACE
    }
}
