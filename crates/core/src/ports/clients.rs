//! The part of the store that holds clients, their tokens, and blocks.
use std::net::IpAddr;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::store::StoreError;
use crate::client::{Client, ClientKey, ClientRole, Digest, Session, TokenPair};

/// A change of a client.
#[derive(Clone, Debug)]
pub enum ClientChange {
    /// Gives it another role or other networks; what is absent stays.
    Access {
        /// What it may do.
        role: Option<ClientRole>,
        /// Where it may call from.
        networks: Option<Vec<ipnet::IpNet>>,
    },
    /// Deletes it with all its tokens.
    Remove,
    /// Gives it another secret and revokes all its tokens.
    Rotate(Digest),
}

/// Who or what is blocked after failed logins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BlockSubject {
    /// The name of a user, whether there is one or not, hashed.
    Account(Digest),
    /// An address, or the /64 of an IPv6 address.
    Address(ipnet::IpNet),
    /// A pair of client id and secret that is wrong, hashed.
    Credential(Digest),
}

/// What became of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The session is open.
    Opened,
    /// The client is gone or has another secret by now.
    SecretChanged,
    /// As many as are allowed are live.
    TooMany,
}

/// What became of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The address is outside the client's networks; nothing was changed.
    Forbidden,
    /// The new pair is in place.
    Rotated(ClientKey),
    /// The session's access token had ended, and as many as are allowed are live without it; nothing was changed.
    TooMany,
    /// The refresh token is unknown or dead.
    Unknown,
}

/// Clients, tokens, blocks.
#[async_trait]
pub trait Clients: Send + Sync {
    /// Adds a client; `false` if its name or its client id is taken.
    async fn add_client(
        &self,
        name: &str,
        client_id: &str,
        secret: Digest,
        role: ClientRole,
        networks: &[ipnet::IpNet],
    ) -> Result<bool, StoreError>;

    /// All clients, by name.
    async fn clients(&self) -> Result<Vec<Client>, StoreError>;

    /// The client of this client id, with the hash of its secret.
    async fn client(&self, client_id: &str) -> Result<Option<(Client, Digest)>, StoreError>;

    /// Changes the client of this name; `false` if there is none. The epoch grows.
    async fn change_client(&self, name: &str, change: ClientChange) -> Result<bool, StoreError>;

    /// Opens a session with these tokens for a client whose secret still has this hash, unless `max_live` are live at
    /// `now`. A replaced pair in its grace does not count.
    async fn open_session(
        &self,
        client: ClientKey,
        secret: &Digest,
        pair: &TokenPair,
        now: Timestamp,
        max_live: u32,
    ) -> Result<Opening, StoreError>;

    /// What an access token stands for, dead or alive.
    async fn session(&self, access: &Digest) -> Result<Option<Session>, StoreError>;

    /// Puts a new pair in the place of the one whose refresh token this is; the old pair dies at `now + grace` at the
    /// latest. A second rotation of the same pair within its grace replaces the first one's pair: one session never has
    /// two current pairs. A session whose access token has ended counts as a new one against `max_live`.
    async fn rotate_session(
        &self,
        refresh: &Digest,
        pair: &TokenPair,
        address: IpAddr,
        now: Timestamp,
        grace: SignedDuration,
        max_live: u32,
    ) -> Result<Rotation, StoreError>;

    /// Revokes an access token with its refresh token and the pairs they replaced; answers whose it was, `None` if it
    /// never was valid. Revoking twice is no error.
    async fn revoke_session(&self, access: &Digest, now: Timestamp) -> Result<Option<ClientKey>, StoreError>;

    /// Counts a failed login; answers until when the subject is blocked, once `max` failed in a row. A failure while
    /// blocked prolongs the block, at most once a second.
    async fn failed_login(
        &self,
        subject: &BlockSubject,
        now: Timestamp,
        max: u32,
        block: SignedDuration,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Until when the subject is blocked, if it is.
    async fn blocked_until(&self, subject: &BlockSubject, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// Forgets the failed logins of a subject.
    async fn clear_failed_logins(&self, subject: &BlockSubject) -> Result<(), StoreError>;

    /// Deletes tokens that died before the instant given; answers how many.
    async fn sweep_sessions(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Deletes counters of failed logins that were last used before the instant given; answers how many.
    async fn sweep_failed_logins(&self, before: Timestamp) -> Result<u64, StoreError>;
}
