//! Users, API tokens and browser sessions. Passwords and tokens are here as hashes only.
mod sessions;
mod tokens;
mod users;

use async_trait::async_trait;
use certkeep_core::client::Digest;
use certkeep_core::people::password::PasswordHash;
use certkeep_core::people::{ApiToken, BrowserSession, TokenId, User, UserId};
use certkeep_core::ports::{Credentials, FirstUser, NewApiToken, NewUser, People, StoreError, UserChange, UserChanged};
use jiff::Timestamp;

use crate::SqlStore;
use crate::again::repeated;

#[async_trait]
impl People for SqlStore {
    async fn has_users(&self) -> Result<bool, StoreError> {
        users::any(self).await
    }

    async fn users(&self) -> Result<Vec<User>, StoreError> {
        users::all(self).await
    }

    async fn user(&self, name: &str) -> Result<Option<Credentials>, StoreError> {
        users::named(self, name).await
    }

    async fn add_user(&self, user: &NewUser) -> Result<Option<UserId>, StoreError> {
        repeated(|| users::add(self, user)).await
    }

    async fn set_setup_token(&self, token: &Digest) -> Result<(), StoreError> {
        repeated(|| users::set_setup_token(self, token)).await
    }

    async fn add_first_user(&self, token: &Digest, user: &NewUser) -> Result<FirstUser, StoreError> {
        repeated(|| users::add_first(self, token, user)).await
    }

    async fn change_user(&self, user: UserId, change: &UserChange) -> Result<UserChanged, StoreError> {
        repeated(|| users::change(self, user, change)).await
    }

    async fn use_totp_step(&self, user: UserId, step: i64) -> Result<bool, StoreError> {
        repeated(|| users::use_totp_step(self, user, step)).await
    }

    async fn open_browser_session(
        &self,
        user: UserId,
        password: &PasswordHash,
        token: &Digest,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        repeated(|| sessions::open(self, user, password, token, now)).await
    }

    async fn browser_session(&self, token: &Digest) -> Result<Option<BrowserSession>, StoreError> {
        sessions::session(self, token).await
    }

    async fn see_browser_session(&self, token: &Digest, now: Timestamp) -> Result<(), StoreError> {
        repeated(|| sessions::see(self, token, now)).await
    }

    async fn close_browser_session(&self, token: &Digest) -> Result<bool, StoreError> {
        repeated(|| sessions::close(self, token)).await
    }

    async fn sweep_browser_sessions(&self, seen_before: Timestamp, opened_before: Timestamp) -> Result<u64, StoreError> {
        repeated(|| sessions::sweep(self, seen_before, opened_before)).await
    }

    async fn add_api_token(&self, token: &NewApiToken) -> Result<Option<TokenId>, StoreError> {
        repeated(|| tokens::add(self, token)).await
    }

    async fn api_tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        tokens::all(self).await
    }

    async fn api_token(&self, token: &Digest) -> Result<Option<ApiToken>, StoreError> {
        tokens::with_digest(self, token).await
    }

    async fn see_api_token(&self, token: TokenId, now: Timestamp) -> Result<(), StoreError> {
        repeated(|| tokens::see(self, token, now)).await
    }

    async fn revoke_api_token(&self, token: TokenId) -> Result<bool, StoreError> {
        repeated(|| tokens::revoke(self, token)).await
    }
}
