//! What people look at: the inventory in outline, what came of its issuances, what is planned; and the little that they do
//! besides: a renewal now, a look into a file, a preflight.
use certkeep_core::application::Names;
use certkeep_core::audit::Action;
use certkeep_core::certificate::{ApplyStatus, CertificateId, Kind, Role};
use certkeep_core::failure::Failure;
use certkeep_core::issuance::IssuanceSummary;
use certkeep_core::ledger::Spending;
use certkeep_core::material::{Diagnosis, diagnose};
use certkeep_core::outline::{Calendar, Census, Found, Outline, Search};
use certkeep_core::people::Act;
use certkeep_core::ports::{Change, StoreError, Version};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use tokio::sync::watch;

use crate::acting::Acting;
use crate::error::{Invalid, UseCaseError};
use crate::inventory::{ApplicationInput, application};
use crate::preflight::{Authority, Finding, Preflight, Report};
use crate::{Cas, Engine, Settings};

impl Engine {
    /// One entry in outline.
    ///
    /// # Errors
    /// [`UseCaseError::NotFound`], or the store's.
    pub async fn outline(&self, id: CertificateId) -> Result<Outline, UseCaseError> {
        self.store().outline(id).await?.ok_or(UseCaseError::NotFound)
    }

    /// The number of the entry of this file name.
    ///
    /// # Errors
    /// [`UseCaseError::NotFound`], or the store's.
    pub async fn certificate_named(&self, name: &str) -> Result<CertificateId, UseCaseError> {
        Ok(self.store().certificate_by_name(name).await?.ok_or(UseCaseError::NotFound)?.id)
    }

    /// A page of what is looked for.
    ///
    /// # Errors
    /// The store's.
    pub async fn search(&self, search: &Search) -> Result<Found, UseCaseError> {
        Ok(self.store().search(search, self.now()).await?)
    }

    /// Those of the entries that need a human which end first, and how many there are.
    ///
    /// # Errors
    /// The store's.
    pub async fn concerns(&self, limit: u32) -> Result<Found, UseCaseError> {
        Ok(self.store().concerns(self.now(), limit).await?)
    }

    /// What the coming days bring.
    ///
    /// # Errors
    /// The store's.
    pub async fn calendar(&self, days: u32) -> Result<Calendar, UseCaseError> {
        Ok(self.store().calendar(self.now(), days).await?)
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// The store's.
    pub async fn census(&self) -> Result<Census, UseCaseError> {
        Ok(self.store().census().await?)
    }

    /// What came of an entry's issuances, the latest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn issuances(&self, id: CertificateId) -> Result<Vec<IssuanceSummary>, UseCaseError> {
        Ok(self.store().issuances(id).await?)
    }

    /// The last failure of an entry, with its evidence.
    ///
    /// # Errors
    /// The store's.
    pub async fn last_failure(&self, id: CertificateId) -> Result<Option<Failure>, UseCaseError> {
        Ok(self.store().last_failure(id).await?)
    }

    /// What an entry holds, with its key: whoever asks has to be one who may have it.
    ///
    /// # Errors
    /// [`UseCaseError::NotFound`], or the store's.
    pub async fn held_version(&self, id: CertificateId) -> Result<Version, UseCaseError> {
        self.store().current_version(id).await?.ok_or(UseCaseError::NotFound)
    }

    /// Begins the next issuance of an entry now.
    ///
    /// # Errors
    /// [`UseCaseError::NotFound`], [`UseCaseError::Busy`], [`UseCaseError::Invalid`] where there is nothing to apply for;
    /// the store's.
    pub async fn renew_now(&self, id: CertificateId) -> Result<(), UseCaseError> {
        let now = self.now();
        {
            let _alone = self.inner.changes.lock().await;
            let entry = self.store().certificate(id).await?.ok_or(UseCaseError::NotFound)?;
            let Role::Server(server) = &entry.role else {
                return Err(UseCaseError::Invalid(vec![Invalid::new("id", "oneof", "is not a server certificate")]));
            };
            if server.application.is_none() {
                return Err(UseCaseError::Invalid(vec![Invalid::new("id", "excluded", "has no application to renew it by")]));
            }
            if server.status == ApplyStatus::Issuing {
                return Err(UseCaseError::Busy);
            }
            let change = Change { next_issuance: Some(Some(now)), ..Change::default() };
            self.store().change(id, &change, now).await.map_err(|error| UseCaseError::from_change(error, None))?;
            self.inner.remembered_certificates.forget(id);
        }
        self.nudge();
        Ok(())
    }

    /// Takes a file apart without keeping anything of it.
    ///
    /// # Errors
    /// A fault of ours.
    pub async fn diagnose(
        &self,
        kind: Kind,
        content: SecretSlice<u8>,
        password: Option<SecretString>,
    ) -> Result<Diagnosis, UseCaseError> {
        let now = self.now();
        self.blocking(move || diagnose(kind, content.expose_secret(), password.as_ref(), now)).await
    }

    /// Whether an application would be accepted; its parameters as they would be kept.
    ///
    /// # Errors
    /// [`UseCaseError::Invalid`] with every problem there is.
    pub fn check_application(&self, names: &Names, input: ApplicationInput) -> Result<(), UseCaseError> {
        application(self.providers(), names.clone(), input).map(drop)
    }

    /// Tries everything that an application needs, without an order; `told` has what was found so far.
    ///
    /// # Errors
    /// [`UseCaseError::Invalid`] with every problem there is, before anything is tried.
    pub async fn preflight(
        &self,
        names: &Names,
        input: ApplicationInput,
        told: watch::Sender<Vec<Finding>>,
    ) -> Result<Report, UseCaseError> {
        let asked = application(self.providers(), names.clone(), input)?;
        let Settings { cas, delegations, propagation, .. } = &self.inner.settings;
        let ca = &cas.first.ca;
        let ports = &self.inner.ports;
        let preflight = Preflight {
            providers: ports.providers.as_ref(),
            resolver: ports.resolver.as_ref(),
            delegations,
            authority: Some(Authority { issuer: ports.issuer.as_ref(), ca, account: None }),
            propagation: *propagation,
            wait: true,
            stop: None,
        };
        let report = Report::told_to(told);
        Ok(preflight.run_on(report, names.as_slice(), &asked.dns_provider, &asked.auth).await)
    }

    /// The CAs, in the order in which they are asked.
    pub fn cas(&self) -> &Cas {
        &self.inner.settings.cas
    }

    /// What was spent at a CA.
    ///
    /// # Errors
    /// The store's.
    pub async fn spendings(&self, directory: &str) -> Result<Vec<Spending>, StoreError> {
        self.store().spendings(directory).await
    }

    /// What the operator decided.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The clients of the OpenAPI.
    ///
    /// # Errors
    /// The store's.
    pub async fn clients(&self) -> Result<Vec<certkeep_core::client::Client>, StoreError> {
        self.store().clients().await
    }
}

impl Acting {
    /// See [`Engine::renew_now`].
    ///
    /// # Errors
    /// Those of [`Engine::renew_now`]; [`UseCaseError::Forbidden`].
    pub async fn renew(&self, id: CertificateId) -> Result<(), UseCaseError> {
        let (_, subject) = self.named(id).await;
        let renewing = async {
            self.demand(Act::ChangeCertificates)?;
            self.engine().renew_now(id).await
        };
        self.audited(Action::CertificateUpdate, &subject, renewing).await
    }
}
