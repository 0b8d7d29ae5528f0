//! How somebody becomes known: the first setup, logging in and out.
use std::net::IpAddr;

use certkeep_core::audit::{Action, Actor, Author, Outcome};
use certkeep_core::client::Digest;
use certkeep_core::people::password::PasswordHash;
use certkeep_core::people::{Role, User};
use certkeep_core::ports::{BlockSubject, Credentials, FirstUser, NewUser, StoreError};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{PeopleError, csrf_token, drawn_secret, managing, proving};
use crate::Engine;
use crate::access::{AccessError, network_of};

/// Somebody who has logged in.
#[derive(Debug)]
pub struct LoggedIn {
    /// The session's token.
    pub token: SecretString,
    /// Its CSRF token.
    pub csrf: SecretString,
    /// Who.
    pub user: User,
}

/// Why somebody is not logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Address, account or credential is blocked until this instant.
    #[error("blocked until {0}")]
    Blocked(Timestamp),
    /// The password is right, and a one-time password is asked for.
    #[error("a one-time password is needed")]
    CodeNeeded,
    /// A fault of ours.
    #[error("no secret can be made or compared now")]
    Secrets,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// Name, password or code is wrong.
    #[error("the name, the password or the code is wrong")]
    Wrong,
}

impl From<PeopleError> for LoginError {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::Store(error) => LoginError::Store(error),
            PeopleError::Wrong => LoginError::Wrong,
            _ => LoginError::Secrets,
        }
    }
}

impl From<AccessError> for LoginError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Blocked(until) => LoginError::Blocked(until),
            AccessError::Store(error) => LoginError::Store(error),
            AccessError::Random => LoginError::Secrets,
            AccessError::ForbiddenAddress
            | AccessError::TokenExpired
            | AccessError::TooManyTokens
            | AccessError::WrongCredentials => LoginError::Wrong,
        }
    }
}

impl Engine {
    /// A token by which the first user can be made, in place of any earlier one; `None` once there is a user.
    ///
    /// # Errors
    /// [`PeopleError::Secrets`], or the store's.
    pub async fn setup_token(&self) -> Result<Option<SecretString>, PeopleError> {
        if self.store().has_users().await? {
            return Ok(None);
        }
        let token = drawn_secret()?;
        self.store().set_setup_token(&Digest::of(token.expose_secret())).await?;
        Ok(Some(token))
    }

    /// Makes the first user, an admin, for whoever has the setup token.
    ///
    /// # Errors
    /// [`PeopleError::Wrong`] for another token or when there is a user; [`PeopleError::Name`]; [`PeopleError::Password`];
    /// [`PeopleError::Secrets`]; the store's.
    pub async fn set_up(
        &self,
        address: IpAddr,
        token: &SecretString,
        name: &str,
        password: &SecretString,
    ) -> Result<LoggedIn, PeopleError> {
        if self.store().has_users().await? {
            return Err(PeopleError::Wrong);
        }
        managing::check_name(name)?;
        let hash = proving::hashed(password).await?;
        let now = self.now();
        let new = NewUser { name: name.to_owned(), role: Role::Admin, password: hash, created: now };
        match self.store().add_first_user(&Digest::of(token.expose_secret()), &new).await? {
            FirstUser::Added(id) => {
                self.inner.remembered_access.forget_people();
                let author = Author::at(Actor::User(name.to_owned()), address);
                self.note(author, Action::Setup, name, Outcome::Done, "").await;
                let user = User {
                    id,
                    name: new.name.clone(),
                    role: new.role,
                    has_totp: false,
                    disabled: false,
                    created: now,
                    last_login: Some(now),
                };
                self.opened(user, &new.password, now).await?.ok_or(PeopleError::Wrong)
            }
            FirstUser::Refused => {
                self.note(Author::at(Actor::Nobody, address), Action::Setup, "", Outcome::Refused, "").await;
                Err(PeopleError::Wrong)
            }
        }
    }

    /// Opens a browser session for a user.
    ///
    /// Five failures in a row block the address, and the wrong pair of name and password, as they do for clients (contract
    /// §3). Wrong one-time passwords after the right password block the account as well, wherever they come from.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn log_in(
        &self,
        address: IpAddr,
        name: &str,
        password: &SecretString,
        code: Option<&SecretString>,
    ) -> Result<LoggedIn, LoginError> {
        let now = self.now();
        let credential = BlockSubject::Credential(Digest::of(&format!("user\0{name}\0{}", password.expose_secret())));
        let account = BlockSubject::Account(Digest::of(name));
        let at = BlockSubject::Address(network_of(address));
        self.refuse_blocked(&credential, &at, now).await?;
        if let Some(until) = self.blocked_until(&account, now).await? {
            return Err(LoginError::Blocked(until));
        }
        let found = self.store().user(name).await?;
        let is_right = proving::matches(found.as_ref().map(|found| &found.password), password).await?;
        let Some(found) = found.filter(|found| is_right && !found.user.disabled) else {
            // What stands in the place of a name may be a password.
            return Err(self.failed(address, None, &[&credential, &at], now).await?);
        };
        if found.user.has_totp {
            let code = code.ok_or(LoginError::CodeNeeded)?;
            if !self.is_right_code(&found, code, now).await? {
                return Err(self.failed(address, Some(name), &[&account, &at], now).await?);
            }
        }
        let Credentials { user, password: hash, .. } = found;
        let logged_in = self.opened(user, &hash, now).await?.ok_or(LoginError::Wrong)?;
        for subject in [&account, &at] {
            self.store().clear_failed_logins(subject).await?;
        }
        self.note(Author::at(Actor::User(name.to_owned()), address), Action::Login, name, Outcome::Done, "").await;
        Ok(logged_in)
    }

    /// Counts a failed login.
    async fn failed(
        &self,
        address: IpAddr,
        user: Option<&str>,
        subjects: &[&BlockSubject],
        now: Timestamp,
    ) -> Result<LoginError, StoreError> {
        for subject in subjects {
            self.count_failed_login(subject, now).await?;
        }
        let detail = if user.is_some() { "wrong one-time password" } else { "wrong name or password" };
        let author = Author::at(Actor::Nobody, address);
        self.note(author, Action::Login, user.unwrap_or_default(), Outcome::Refused, detail).await;
        Ok(LoginError::Wrong)
    }

    /// Whether a code is right, and is used for the first time.
    pub(super) async fn is_right_code(&self, of: &Credentials, code: &SecretString, now: Timestamp) -> Result<bool, StoreError> {
        let step = of.totp.as_ref().and_then(|secret| secret.accepted_step(code, now, of.totp_step));
        match step {
            Some(step) => self.store().use_totp_step(of.user.id, step).await,
            None => Ok(false),
        }
    }

    async fn opened(&self, user: User, hash: &PasswordHash, now: Timestamp) -> Result<Option<LoggedIn>, PeopleError> {
        let token = drawn_secret()?;
        let is_open = self.store().open_browser_session(user.id, hash, &Digest::of(token.expose_secret()), now).await?;
        let csrf = csrf_token(token.expose_secret());
        Ok(is_open.then_some(LoggedIn { token, csrf, user }))
    }

    /// Ends a browser session; one that is over is no error.
    ///
    /// # Errors
    /// The store's.
    pub async fn log_out(&self, address: IpAddr, token: &str) -> Result<(), StoreError> {
        let digest = Digest::of(token);
        let whose = self.browser(token).await.ok();
        self.inner.remembered_access.forget_person(&digest);
        if self.store().close_browser_session(&digest).await?
            && let Some(identity) = whose
        {
            let actor = identity.actor();
            let name = actor.name().to_owned();
            self.note(Author::at(actor, address), Action::Logout, &name, Outcome::Done, "").await;
        }
        // It may have been remembered anew while it was being closed.
        self.inner.remembered_access.forget_people();
        Ok(())
    }
}
