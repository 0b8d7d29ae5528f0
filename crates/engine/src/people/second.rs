//! One-time passwords: switched on and off by the user.
use std::net::{IpAddr, Ipv4Addr};

use certkeep_core::audit::Action;
use certkeep_core::client::Digest;
use certkeep_core::people::totp::{SECRET_LEN, TotpSecret};
use certkeep_core::ports::{BlockSubject, Credentials, UserChange};
use secrecy::SecretString;

use super::managing::told;
use super::{PeopleError, proving};
use crate::access::network_of;
use crate::acting::Acting;

impl Acting {
    /// Proposes a secret to whoever is logged in; it is asked for once [`Acting::confirm_totp`] has seen a code of it.
    ///
    /// # Errors
    /// [`PeopleError::Wrong`] for a wrong password; [`PeopleError::TotpState`] when they are on; [`PeopleError::NotFound`]
    /// for who is no user; [`PeopleError::Secrets`]; the store's.
    pub async fn propose_totp(&self, password: &SecretString) -> Result<TotpSecret, PeopleError> {
        let own = self.proved(&self.own_name()?, password).await?;
        let mut octets = vec![0; SECRET_LEN];
        aws_lc_rs::rand::fill(&mut octets).map_err(|_| PeopleError::Secrets)?;
        let secret = TotpSecret::new(octets);
        let proposal = UserChange::TotpProposed(secret.clone());
        told(self.engine().store().change_user(own.user.id, &proposal).await?)?;
        Ok(secret)
    }

    /// Asks whoever is logged in for one-time passwords from now on.
    ///
    /// # Errors
    /// [`PeopleError::Wrong`] for a wrong code; [`PeopleError::TotpState`]; [`PeopleError::NotFound`]; the store's.
    pub async fn confirm_totp(&self, code: &SecretString) -> Result<(), PeopleError> {
        let name = self.own_name()?;
        let confirming = async {
            let own = self.engine().store().user(&name).await?.ok_or(PeopleError::NotFound)?;
            let secret = own.totp.as_ref().filter(|_| !own.user.has_totp).ok_or(PeopleError::TotpState)?;
            let step = secret.accepted_step(code, self.engine().now(), None).ok_or(PeopleError::Wrong)?;
            told(self.engine().store().change_user(own.user.id, &UserChange::TotpConfirmed(step)).await?)
        };
        let confirmed = self.audited(Action::UserTotp, &name, confirming).await;
        self.engine().inner.remembered_access.forget_people();
        confirmed
    }

    /// Asks whoever is logged in for none any more.
    ///
    /// # Errors
    /// [`PeopleError::Wrong`] for a wrong password; [`PeopleError::NotFound`]; [`PeopleError::Secrets`]; the store's.
    pub async fn drop_totp(&self, password: &SecretString) -> Result<(), PeopleError> {
        let name = self.own_name()?;
        let dropping = async {
            let own = self.proved(&name, password).await?;
            told(self.engine().store().change_user(own.user.id, &UserChange::TotpOff).await?)
        };
        let dropped = self.audited(Action::UserTotp, &name, dropping).await;
        self.engine().inner.remembered_access.forget_people();
        dropped
    }

    /// The user of this name, whose password this has to be. Wrong ones count against the account and the address: a
    /// session that was stolen does not let its thief guess.
    pub(super) async fn proved(&self, name: &str, password: &SecretString) -> Result<Credentials, PeopleError> {
        let (engine, now) = (self.engine(), self.engine().now());
        let address = self.author().address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let subjects = [BlockSubject::Account(Digest::of(name)), BlockSubject::Address(network_of(address))];
        for subject in &subjects {
            if engine.blocked_until(subject, now).await?.is_some() {
                return Err(PeopleError::Wrong);
            }
        }
        let own = engine.store().user(name).await?.ok_or(PeopleError::NotFound)?;
        if proving::matches(Some(&own.password), password).await? {
            return Ok(own);
        }
        for subject in &subjects {
            engine.count_failed_login(subject, now).await?;
        }
        Err(PeopleError::Wrong)
    }
}
