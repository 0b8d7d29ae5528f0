//! The part of the store that holds users, API tokens and browser sessions.
use async_trait::async_trait;
use jiff::Timestamp;

use super::store::StoreError;
use crate::client::Digest;
use crate::people::password::PasswordHash;
use crate::people::totp::TotpSecret;
use crate::people::{ApiToken, BrowserSession, Rights, Role, TokenId, User, UserId};

/// A user to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// What it logs in by.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its password.
    pub password: PasswordHash,
    /// When it is added.
    pub created: Timestamp,
}

/// A user with what proves that it is one.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user.
    pub user: User,
    /// Its password.
    pub password: PasswordHash,
    /// The secret of its one-time passwords, also one that is not confirmed yet.
    pub totp: Option<TotpSecret>,
    /// The last step whose code was accepted.
    pub totp_step: Option<i64>,
}

/// A change of a user.
#[derive(Clone, Debug)]
pub enum UserChange {
    /// Locks it out, or lets it in again; its sessions end.
    Disabled(bool),
    /// Gives it another password; all its sessions end but the one that is named.
    Password {
        /// The password.
        hash: PasswordHash,
        /// The session's token.
        keep: Option<Digest>,
    },
    /// Deletes it with its sessions and its tokens.
    Remove,
    /// Gives it another role.
    Role(Role),
    /// Asks for one-time passwords from now on, of the secret that is kept; the step is the one whose code proved it.
    TotpConfirmed(i64),
    /// Asks for none any more.
    TotpOff,
    /// Keeps a secret that is to be confirmed; `TotpOff` comes first where one is confirmed already.
    TotpProposed(TotpSecret),
}

/// What became of a change of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserChanged {
    /// It was changed.
    Done,
    /// It is the last admin that is not locked out, and stays.
    LastAdmin,
    /// One-time passwords are on already, or there is no secret to confirm.
    TotpState,
    /// There is no such user.
    Unknown,
}

/// What became of the first user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstUser {
    /// It was added.
    Added(UserId),
    /// The setup token is another one, or none.
    Refused,
}

/// An API token to be added.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    /// What people call it.
    pub name: String,
    /// Its hash.
    pub token: Digest,
    /// What it may do.
    pub rights: Rights,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// Who makes it.
    pub owner: Option<UserId>,
    /// When it is made.
    pub created: Timestamp,
}

/// Users, API tokens, browser sessions. The epoch of access grows with every change that another process has to know.
#[async_trait]
pub trait People: Send + Sync {
    /// Whether there is any user.
    async fn has_users(&self) -> Result<bool, StoreError>;

    /// All users, by name.
    async fn users(&self) -> Result<Vec<User>, StoreError>;

    /// The user of this name.
    async fn user(&self, name: &str) -> Result<Option<Credentials>, StoreError>;

    /// Adds a user; `None` if its name is taken.
    async fn add_user(&self, user: &NewUser) -> Result<Option<UserId>, StoreError>;

    /// Lets whoever has this token make the first user, and nobody with an earlier one.
    async fn set_setup_token(&self, token: &Digest) -> Result<(), StoreError>;

    /// Adds the first user and uses the setup token up; refused once there is any user.
    async fn add_first_user(&self, token: &Digest, user: &NewUser) -> Result<FirstUser, StoreError>;

    /// Changes a user. The last admin that is not locked out stays one.
    async fn change_user(&self, user: UserId, change: &UserChange) -> Result<UserChanged, StoreError>;

    /// Notes that the code of this step was accepted; `false` if one of this step or a later one was before.
    async fn use_totp_step(&self, user: UserId, step: i64) -> Result<bool, StoreError>;

    /// Opens a session of a user whose password still has this hash and who is not locked out, and notes the login;
    /// `false` if it is not so any more.
    async fn open_browser_session(
        &self,
        user: UserId,
        password: &PasswordHash,
        token: &Digest,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// The session of this token, live or not.
    async fn browser_session(&self, token: &Digest) -> Result<Option<BrowserSession>, StoreError>;

    /// Notes that a session was seen.
    async fn see_browser_session(&self, token: &Digest, now: Timestamp) -> Result<(), StoreError>;

    /// Ends a session; `false` if there is none.
    async fn close_browser_session(&self, token: &Digest) -> Result<bool, StoreError>;

    /// Deletes sessions that were last seen, or opened, before these instants; answers how many.
    async fn sweep_browser_sessions(&self, seen_before: Timestamp, opened_before: Timestamp) -> Result<u64, StoreError>;

    /// Adds an API token; `None` if its name is taken or its owner is gone.
    async fn add_api_token(&self, token: &NewApiToken) -> Result<Option<TokenId>, StoreError>;

    /// All API tokens, by name.
    async fn api_tokens(&self) -> Result<Vec<ApiToken>, StoreError>;

    /// The API token with this hash, live or not.
    async fn api_token(&self, token: &Digest) -> Result<Option<ApiToken>, StoreError>;

    /// Notes that an API token was used.
    async fn see_api_token(&self, token: TokenId, now: Timestamp) -> Result<(), StoreError>;

    /// Deletes an API token; `false` if there is none.
    async fn revoke_api_token(&self, token: TokenId) -> Result<bool, StoreError>;
}
