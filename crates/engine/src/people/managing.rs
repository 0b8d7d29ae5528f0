//! Users: adding, changing, removing.
use certkeep_core::audit::Action;
use certkeep_core::people::{Act, Rights, Role, User, UserId, is_proper_name};
use certkeep_core::ports::{NewUser, People, UserChange, UserChanged};
use jiff::Timestamp;
use secrecy::SecretString;

use super::{PeopleError, Who, proving};
use crate::acting::Acting;

/// A change of a user by somebody else.
#[derive(Debug)]
pub enum UserEdit {
    /// Locks it out, or lets it in again.
    Disabled(bool),
    /// Gives it another password.
    Password(SecretString),
    /// Removes it with its sessions and tokens.
    Remove,
    /// Gives it another role.
    Role(Role),
    /// Asks it for no one-time password any more.
    TotpOff,
}

impl UserEdit {
    /// What it is in the audit.
    pub const fn action(&self) -> Action {
        match self {
            UserEdit::Disabled(_) => Action::UserDisable,
            UserEdit::Password(_) => Action::UserPassword,
            UserEdit::Remove => Action::UserRemove,
            UserEdit::Role(_) => Action::UserRole,
            UserEdit::TotpOff => Action::UserTotp,
        }
    }
}

pub(super) fn check_name(name: &str) -> Result<(), PeopleError> {
    if is_proper_name(name) { Ok(()) } else { Err(PeopleError::Name) }
}

/// Adds a user. Whether that is allowed was decided before.
///
/// # Errors
/// [`PeopleError::Name`], [`PeopleError::NameTaken`], [`PeopleError::Password`], [`PeopleError::Secrets`], the store's.
pub async fn add_user(
    people: &dyn People,
    now: Timestamp,
    name: &str,
    role: Role,
    password: &SecretString,
) -> Result<UserId, PeopleError> {
    check_name(name)?;
    let new = NewUser { name: name.to_owned(), role, password: proving::hashed(password).await?, created: now };
    people.add_user(&new).await?.ok_or_else(|| PeopleError::NameTaken(new.name))
}

/// Changes a user. Whether that is allowed was decided before.
///
/// # Errors
/// [`PeopleError::LastAdmin`], [`PeopleError::NotFound`], [`PeopleError::Password`], [`PeopleError::Secrets`], the store's.
pub async fn edit_user(people: &dyn People, name: &str, edit: &UserEdit) -> Result<(), PeopleError> {
    let id = people.user(name).await?.ok_or(PeopleError::NotFound)?.user.id;
    let change = match edit {
        UserEdit::Disabled(disabled) => UserChange::Disabled(*disabled),
        UserEdit::Password(password) => UserChange::Password { hash: proving::hashed(password).await?, keep: None },
        UserEdit::Remove => UserChange::Remove,
        UserEdit::Role(role) => UserChange::Role(*role),
        UserEdit::TotpOff => UserChange::TotpOff,
    };
    told(people.change_user(id, &change).await?)
}

pub(super) fn told(changed: UserChanged) -> Result<(), PeopleError> {
    match changed {
        UserChanged::Done => Ok(()),
        UserChanged::LastAdmin => Err(PeopleError::LastAdmin),
        UserChanged::TotpState => Err(PeopleError::TotpState),
        UserChanged::Unknown => Err(PeopleError::NotFound),
    }
}

impl Acting {
    /// All users, by name.
    ///
    /// # Errors
    /// [`PeopleError::Forbidden`], or the store's.
    pub async fn users(&self) -> Result<Vec<User>, PeopleError> {
        self.demand_of_people(Act::ManageUsers)?;
        Ok(self.engine().store().users().await?)
    }

    /// Adds a user, who may do no more than the one who adds.
    ///
    /// # Errors
    /// Those of [`add_user`]; [`PeopleError::Forbidden`]; [`PeopleError::TooMuch`].
    pub async fn add_user(&self, name: &str, role: Role, password: &SecretString) -> Result<UserId, PeopleError> {
        let adding = async {
            self.demand_of_people(Act::ManageUsers)?;
            self.demand_cover(&Rights::of(role))?;
            add_user(self.engine().store(), self.engine().now(), name, role, password).await
        };
        self.audited(Action::UserAdd, name, adding).await
    }

    /// Changes a user, who may do no more than the one who changes.
    ///
    /// # Errors
    /// Those of [`edit_user`]; [`PeopleError::Forbidden`]; [`PeopleError::TooMuch`].
    pub async fn edit_user(&self, name: &str, edit: &UserEdit) -> Result<(), PeopleError> {
        let editing = async {
            self.demand_of_people(Act::ManageUsers)?;
            let user = self.engine().store().user(name).await?.ok_or(PeopleError::NotFound)?.user;
            self.demand_cover(&Rights::of(user.role))?;
            if let UserEdit::Role(role) = edit {
                self.demand_cover(&Rights::of(*role))?;
            }
            edit_user(self.engine().store(), name, edit).await
        };
        let edited = self.audited(edit.action(), name, editing).await;
        self.engine().inner.remembered_access.forget_people();
        edited
    }

    /// Gives whoever is logged in another password; all their other sessions end.
    ///
    /// # Errors
    /// [`PeopleError::Wrong`] when the present one is wrong; [`PeopleError::Password`]; [`PeopleError::NotFound`] for who is
    /// no user; [`PeopleError::Secrets`]; the store's.
    pub async fn change_own_password(
        &self,
        session: &str,
        present: &SecretString,
        next: &SecretString,
    ) -> Result<(), PeopleError> {
        let name = self.own_name()?;
        let changing = async {
            let own = self.proved(&name, present).await?;
            let keep = Some(certkeep_core::client::Digest::of(session));
            let hash = proving::hashed(next).await?;
            told(self.engine().store().change_user(own.user.id, &UserChange::Password { hash, keep }).await?)
        };
        let changed = self.audited(Action::UserPassword, &name, changing).await;
        self.engine().inner.remembered_access.forget_people();
        changed
    }

    /// The name of whoever is logged in with a browser.
    pub(super) fn own_name(&self) -> Result<String, PeopleError> {
        match self.identity().map(|identity| &identity.who) {
            Some(Who::User(user)) => Ok(user.name.clone()),
            Some(Who::Token(_)) | None => Err(PeopleError::NotFound),
        }
    }
}
