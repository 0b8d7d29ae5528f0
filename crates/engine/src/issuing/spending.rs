//! What an issuance costs at its CA: counted before it is spent, and never spent where the CA would surely refuse.
use std::collections::BTreeSet;

use certkeep_core::authority::limits_at;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::fallback::host;
use certkeep_core::ledger::{Act, Asked, Event, Standing};
use certkeep_core::name::DnsName;
use certkeep_core::ports::StoreError;
use certkeep_core::renewal_info::RenewalId;

use super::{Run, Stopped};

/// What an order is in the CA's eyes, and what it replaces there.
pub(super) struct Place {
    pub(super) standing: Standing,
    pub(super) replaces: Option<RenewalId>,
}

impl Run {
    /// Looks at what the entry holds: a certificate of this CA's is replaced (RFC 9773 §5), and counts for the next one.
    pub(super) async fn place(&self) -> Result<Place, StoreError> {
        let nothing = Place { standing: Standing::NEW, replaces: None };
        let Some(held) = self.engine.store().current_version(self.issuance.certificate).await? else { return Ok(nothing) };
        if held.directory.as_deref() != Some(self.ca().directory.as_str()) {
            return Ok(nothing);
        }
        let borne = held.chain.facts().map(|facts| facts.dns_names).unwrap_or_default();
        let borne: BTreeSet<&str> = borne.iter().map(String::as_str).collect();
        let asked: BTreeSet<&str> = self.names().iter().map(DnsName::as_str).collect();
        let last = (borne == asked).then_some(held.held.validity.not_before);
        let replaces = RenewalId::of(&held.chain);
        Ok(Place { standing: Standing::of(last, replaces.is_some(), self.engine.now()), replaces })
    }

    /// Counts an order that is about to be placed.
    pub(super) async fn spend_order(&self, standing: Standing) -> Result<(), Stopped> {
        let account = self.ca_host();
        let act = Act::Order { account, names: self.names(), standing };
        self.spend_if_free(act, Event::Ordered { account, standing }, "place the order").await
    }

    /// Counts an order that the CA took as one like any other, though it was counted as one that replaces a certificate.
    pub(super) async fn spend_exemption(&self, counted: Standing) -> Result<(), StoreError> {
        if !counted.replaces {
            return Ok(());
        }
        let standing = Standing { replaces: false, ..counted };
        self.spend(&[Event::Ordered { account: self.ca_host(), standing }]).await
    }

    /// Counts an account that is about to be registered.
    pub(super) async fn spend_registration(&self) -> Result<(), Stopped> {
        self.spend_if_free(Act::Register, Event::Registered, "register the account").await
    }

    async fn spend_if_free(&self, act: Act<'_>, event: Event<'_>, doing: &str) -> Result<(), Stopped> {
        let directory = &self.ca().directory;
        let asked = Asked { act, overridden: false };
        let now = self.engine.now();
        match self.engine.store().spend_if_free(directory, limits_at(directory), &asked, &event, now).await? {
            Some(refusal) => Err(refusal.failure(doing).into()),
            None => Ok(()),
        }
    }

    /// Counts the certificate that was issued.
    pub(super) async fn spend_certificate(&self) -> Result<(), StoreError> {
        if limits_at(&self.ca().directory).is_empty() {
            return Ok(());
        }
        let standing = self.place().await?.standing;
        self.spend(&[Event::Issued { names: self.names(), standing }]).await
    }

    /// Counts what the CA has found out about the names.
    pub(super) async fn spend_validation(&self, failure: Option<&Failure>) -> Result<(), StoreError> {
        let account = self.ca_host();
        let told = |name| match failure {
            None => Some(Event::AuthorizationValid { account, name }),
            Some(failure) if is_about(failure, name) => Some(Event::AuthorizationFailed { account, name }),
            Some(_) => None,
        };
        self.spend(&self.names().iter().filter_map(told).collect::<Vec<_>>()).await
    }

    /// Keeps until when the CA wants to be left alone with these names. Whether it means the account is not told by the
    /// protocol; what others want of it finds out for itself.
    pub(super) async fn heed(&self, failure: &Failure) -> Result<(), StoreError> {
        let (Code::CaRateLimited, Some(until)) = (failure.code, failure.not_before) else { return Ok(()) };
        let account = self.ca_host();
        let told = |name| Event::ToldToWait { account, name: Some(name), until };
        self.spend(&self.names().iter().map(told).collect::<Vec<_>>()).await
    }

    async fn spend(&self, events: &[Event<'_>]) -> Result<(), StoreError> {
        let directory = &self.ca().directory;
        let limits = limits_at(directory);
        let counted = |event: &Event<'_>| !limits.is_empty() || matches!(event, Event::ToldToWait { .. });
        if !events.iter().any(counted) {
            return Ok(());
        }
        self.engine.store().spend(directory, limits, events, self.engine.now()).await
    }

    fn names(&self) -> &[DnsName] {
        self.issuance.application.names.as_slice()
    }

    /// The CA in the words of the trace, and of the ledger, where we have one account.
    pub(super) fn ca_host(&self) -> &str {
        host(&self.ca().directory)
    }
}

/// Whether the CA has looked for this name's record in vain.
fn is_about(failure: &Failure, name: &DnsName) -> bool {
    let looked = matches!(failure.code, Code::ValidationFailed | Code::ValidationDns);
    let subject = failure.evidence.subject.as_deref().unwrap_or_default();
    looked && subject.split(", ").any(|told| told.trim_start_matches("*.") == name.base().as_str())
}
