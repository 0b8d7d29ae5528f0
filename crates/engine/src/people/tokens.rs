//! API tokens.
use certkeep_core::audit::Action;
use certkeep_core::client::Digest;
use certkeep_core::people::{Act, ApiToken, Rights, TokenId, UserId};
use certkeep_core::ports::{NewApiToken, People};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::managing::check_name;
use super::{Identity, PeopleError, TOKEN_PREFIX, Who, drawn_secret};
use crate::acting::Acting;

/// An API token that is to be made.
#[derive(Clone, Debug)]
pub struct TokenWish {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub rights: Rights,
    /// When it ends, if ever.
    pub expires: Option<Timestamp>,
}

/// An API token that was made.
#[derive(Debug)]
pub struct MadeToken {
    /// Its number.
    pub id: TokenId,
    /// The token itself, which is kept nowhere.
    pub token: SecretString,
}

/// Makes an API token. Whether that is allowed was decided before.
///
/// # Errors
/// [`PeopleError::Name`], [`PeopleError::NameTaken`], [`PeopleError::Secrets`], the store's.
pub async fn add_api_token(
    people: &dyn People,
    now: Timestamp,
    wish: &TokenWish,
    owner: Option<UserId>,
) -> Result<MadeToken, PeopleError> {
    check_name(&wish.name)?;
    let token = SecretString::from(format!("{TOKEN_PREFIX}{}", drawn_secret()?.expose_secret()));
    let new = NewApiToken {
        name: wish.name.clone(),
        token: Digest::of(token.expose_secret()),
        rights: wish.rights.clone(),
        expires: wish.expires,
        owner,
        created: now,
    };
    let id = people.add_api_token(&new).await?.ok_or_else(|| PeopleError::NameTaken(new.name))?;
    Ok(MadeToken { id, token })
}

/// Revokes an API token by its name. Whether that is allowed was decided before.
///
/// # Errors
/// [`PeopleError::NotFound`], or the store's.
pub async fn revoke_api_token(people: &dyn People, name: &str) -> Result<(), PeopleError> {
    let found = people.api_tokens().await?.into_iter().find(|token| token.name == name).ok_or(PeopleError::NotFound)?;
    match people.revoke_api_token(found.id).await? {
        true => Ok(()),
        false => Err(PeopleError::NotFound),
    }
}

impl Acting {
    /// Makes an API token, which may do no more, and lasts no longer, than the one who makes it.
    ///
    /// # Errors
    /// Those of [`add_api_token`]; [`PeopleError::Forbidden`]; [`PeopleError::TooMuch`].
    pub async fn add_api_token(&self, wish: &TokenWish) -> Result<MadeToken, PeopleError> {
        let adding = async {
            self.demand_of_people(Act::MakeTokens)?;
            self.demand_cover(&wish.rights)?;
            if let Some(Who::Token(own)) = self.identity().map(|identity| &identity.who)
                && own.expires.is_some_and(|end| wish.expires.is_none_or(|wished| wished > end))
            {
                return Err(PeopleError::TooMuch);
            }
            let owner = self.identity().and_then(Identity::user).map(|user| user.id);
            add_api_token(self.engine().store(), self.engine().now(), wish, owner).await
        };
        let made = self.audited(Action::TokenAdd, &wish.name, adding).await;
        self.engine().inner.remembered_access.forget_people();
        made
    }

    /// API tokens, by name: one's own, or everybody's for who manages users.
    ///
    /// # Errors
    /// The store's.
    pub async fn api_tokens(&self) -> Result<Vec<ApiToken>, PeopleError> {
        let all = self.engine().store().api_tokens().await?;
        Ok(all.into_iter().filter(|token| self.may_touch(token)).collect())
    }

    /// Revokes an API token: one's own, or anybody's for who manages users.
    ///
    /// # Errors
    /// [`PeopleError::NotFound`], also for one that is somebody else's; the store's.
    pub async fn revoke_api_token(&self, id: TokenId) -> Result<(), PeopleError> {
        let token = self.api_tokens().await?.into_iter().find(|token| token.id == id).ok_or(PeopleError::NotFound)?;
        let revoking = async {
            match self.engine().store().revoke_api_token(id).await? {
                true => Ok(()),
                false => Err(PeopleError::NotFound),
            }
        };
        let revoked = self.audited(Action::TokenRevoke, &token.name, revoking).await;
        self.engine().inner.remembered_access.forget_people();
        revoked
    }

    fn may_touch(&self, token: &ApiToken) -> bool {
        let own = self.identity().and_then(Identity::user).map(|user| user.id);
        self.may(Act::ManageUsers) || (own.is_some() && own == token.owner.as_ref().map(|owner| owner.id))
    }
}
