//! At which CA an issuance applies, as which account, and when it moves on to the next.
use certkeep_core::audit::{Action, Outcome};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::fallback::{self, Tried};
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::ports::{CertificateAuthority, Issuer, StoreError};

use super::{FIRST_LEASE, LEASE_MARGIN, Run, Stopped};
use crate::Choice;

/// How often an issuance may find its account gone at a CA and register anew.
const MAX_REGISTRATIONS: u32 = 1;

impl Run {
    /// Where the order stands, or is to be placed: at the first CA that this issuance has not tried.
    pub(super) fn choice(&self) -> &Choice {
        let cas = &self.engine.inner.settings.cas;
        let placed = self.issuance.directory.as_deref().and_then(|directory| cas.at(directory));
        let next = || fallback::next(directories(cas), &self.issuance.tried).and_then(|directory| cas.at(directory));
        placed.or_else(next).unwrap_or(&cas.first)
    }

    pub(super) fn ca(&self) -> &CertificateAuthority {
        &self.choice().ca
    }

    pub(super) fn issuer(&self) -> &dyn Issuer {
        self.engine.inner.ports.issuer.as_ref()
    }

    /// The account at the CA, made and registered at the first need. Its key is saved before the CA hears of it.
    pub(super) async fn account(&self) -> Result<AcmeAccount, Stopped> {
        let directory = &self.ca().directory;
        if let Some(account) = self.engine.store().acme_account(directory).await?.filter(|account| account.registered) {
            return Ok(account);
        }
        let account = {
            let _alone = self.engine.inner.accounts.lock().await;
            match self.engine.store().acme_account(directory).await? {
                Some(account) if account.registered => return Ok(account),
                Some(account) => account,
                None => {
                    let account = self.issuer().new_account(self.ca())?;
                    self.engine.store().first_acme_account(&account).await?
                }
            }
        };
        // Registering twice at once does no harm: the CA knows the account by its key.
        self.spend_registration().await?;
        let registering = self.issuer().register(self.ca(), &account);
        let account = self.notes.act("register the account", self.ca_host(), registering, |_| Vec::new()).await?;
        self.engine.store().keep_acme_account(&account).await?;
        Ok(account)
    }

    /// Whether the CA has forgotten an account that it knew (RFC 8555 §6.7, `accountDoesNotExist`), for the first time.
    pub(super) fn may_register_anew(&self, failure: &Failure) -> bool {
        let forgotten =
            failure.code == Code::AccountRefused && failure.evidence.their_code.as_deref() == Some("accountDoesNotExist");
        forgotten && self.registrations < MAX_REGISTRATIONS
    }

    /// The CA has forgotten the account: its key is registered again, and the order placed anew.
    pub(super) async fn register_anew(&mut self) -> Result<(), StoreError> {
        self.registrations += 1;
        if let Some(account) = self.engine.store().acme_account(&self.ca().directory).await? {
            self.engine.store().keep_acme_account(&AcmeAccount { registered: false, ..account }).await?;
        }
        self.forget_order();
        self.keep_lease(FIRST_LEASE).await
    }

    /// Heeds what the CA asks for, and begins again at the next CA, if there is one and the failure is this one's alone; answers whether it does. What is
    /// in the journal is taken down first: the next CA wants other values.
    pub(super) async fn move_on(&mut self, failure: &Failure) -> Result<bool, StoreError> {
        self.heed(failure).await?;
        let here = Tried { directory: self.ca().directory.clone(), failure: failure.clone() };
        let tried: Vec<Tried> = self.issuance.tried.iter().cloned().chain([here]).collect();
        let Some(next) = fallback::next(directories(&self.engine.inner.settings.cas), &tried) else { return Ok(false) };
        if !failure.moves_on() {
            return Ok(false);
        }
        tracing::warn!(issuance = self.issuance.id.0, next = fallback::host(next), %failure, "moving on to the next CA");
        self.keep_lease(LEASE_MARGIN).await?;
        self.take_down().await;
        self.issuance.tried = tried;
        self.forget_order();
        (self.key, self.registrations) = (None, 0);
        self.keep_lease(FIRST_LEASE).await?;
        let name = self.issuance.application.names.first().to_string();
        let detail = format!("{failure}; next is {}", self.ca_host());
        self.engine.note_own(Action::CertificateChangeCa, &name, Outcome::Done, detail).await;
        Ok(true)
    }
}

fn directories(cas: &crate::Cas) -> impl Iterator<Item = &str> {
    cas.iter().map(|choice| choice.ca.directory.as_str())
}
