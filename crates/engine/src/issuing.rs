//! An issuance, step by saved step.
//!
//! Each step does one outward thing and saves what it learnt; the next run of the same step, in this process or after
//! a kill, finds what was saved and goes on. Records are journalled before they are created and taken down in every
//! outcome.
mod authority;
mod noting;
mod places;
mod presenting;
mod records;
mod spending;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certkeep_core::audit::{self, Action};
use certkeep_core::certificate::CertificateId;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::fallback;
use certkeep_core::issuance::{ChallengeRecord, Fence, Issuance, Lease, Step};
use certkeep_core::material::{IssuedProblem, PrivateKey, certificate_request, check_issued};
use certkeep_core::ports::{AuthorizationStatus, Order, OrderRequest, OrderStatus, Outcome, StoreError, Version};
use certkeep_core::renewal::{renew_after_issue, retry_at, retry_in_time};
use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;

use crate::Engine;
use crate::draw::draw;

pub(crate) use noting::Notes;
pub(crate) use places::{Hand, Places};
pub(crate) use presenting::propagation;
pub(crate) use records::parameters;

/// How long a step may take, besides what it does for each name or waits for.
pub(crate) const STEP_DEADLINE: Duration = Duration::from_secs(300);
/// How much longer a step may take for each name whose record is put up: one call after the other in one zone, each of
/// which may be tried three times.
const TIME_FOR_A_RECORD: Duration = Duration::from_secs(30);
/// How much longer than its step a lease lasts: the step's records may have to be taken down when it fails.
const LEASE_MARGIN: Duration = records::REMOVAL_DEADLINE.saturating_add(Duration::from_secs(60));
/// When a removed record is removed once more that somebody who has lost the issuance may put up late: after the longest lease
/// of an issuance of a hundred names, and a step.
const LATE: Duration = FIRST_LEASE.saturating_add(TIME_FOR_A_RECORD.saturating_mul(100)).saturating_add(STEP_DEADLINE);
/// How long a claimed issuance may wait for its first step.
pub(crate) const FIRST_LEASE: Duration = STEP_DEADLINE.saturating_add(LEASE_MARGIN);

/// Why a step was not taken.
enum Stopped {
    /// The issuance fails with this.
    Failure(Failure),
    /// The store failed, or somebody else holds the lease: the issuance is left as it is.
    Store(StoreError),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Stopped::Failure(failure)
    }
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Stopped::Store(error)
    }
}

/// A leased issuance being worked on.
struct Run {
    engine: Engine,
    issuance: Issuance,
    fence: Fence,
    /// The next version's key, being made while the network is waited for.
    key: Option<JoinHandle<Result<PrivateKey, String>>>,
    /// How often the account was registered anew at the present CA.
    registrations: u32,
    /// Whether a change of the account's key was brought to its end at the present CA.
    key_changed: bool,
    /// What was seen since the issuance was last saved.
    notes: Notes,
    /// What was put up, or tried to be, and not taken down since.
    put_up: Mutex<Vec<ChallengeRecord>>,
}

impl Engine {
    /// Takes steps of a leased issuance until it is over.
    ///
    /// # Errors
    /// The store's; the issuance is left as it was last saved.
    pub(crate) async fn work(&self, lease: Lease) -> Result<(), StoreError> {
        let certificate = lease.issuance.certificate;
        let notes = Notes::new(Arc::clone(&self.inner.ports.clock));
        let mut run = Run {
            engine: self.clone(),
            issuance: lease.issuance,
            fence: lease.fence,
            key: None,
            registrations: 0,
            key_changed: false,
            notes,
            put_up: Mutex::default(),
        };
        let over = run.until_over().await;
        if over.is_err() {
            self.may_be_late(run.put_up.into_inner().unwrap_or_else(PoisonError::into_inner)).await;
        }
        self.issued_or_failed(certificate).await;
        over
    }
}

impl Engine {
    /// After an issuance: forgets what is remembered of the entry, and presents the new version if it is the one served.
    async fn issued_or_failed(&self, id: CertificateId) {
        self.inner.remembered_certificates.forget(id);
        let _alone = self.inner.changes.lock().await;
        if let Err(error) = self.refresh_served(id).await {
            tracing::error!(id = id.0, error = &error as &dyn std::error::Error, "the new version is not presented yet");
            self.inner.served_is_stale.store(true, Ordering::Relaxed);
        }
    }

    /// Presents what should have been presented before, if the store failed then.
    pub(crate) async fn catch_up_serving(&self) {
        if !self.inner.served_is_stale.load(Ordering::Relaxed) {
            return;
        }
        let _alone = self.inner.changes.lock().await;
        let id = self.inner.served.borrow().id;
        if let Some(id) = id
            && self.refresh_served(id).await.is_err()
        {
            return;
        }
        self.inner.served_is_stale.store(false, Ordering::Relaxed);
    }
}

impl Run {
    async fn until_over(&mut self) -> Result<(), StoreError> {
        while !self.issuance.step.is_final() {
            let step = self.issuance.step;
            // A step that breaks down would break down again: it fails the issuance rather than its task.
            let deadline = self.deadline(step);
            let taking = AssertUnwindSafe(self.take(step)).catch_unwind();
            let failure = match tokio::time::timeout(deadline, taking).await {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(Stopped::Failure(_)))) if self.has_another_key().await? => continue,
                Ok(Ok(Err(Stopped::Failure(failure)))) if self.may_register_anew(&failure) => {
                    self.register_anew().await?;
                    continue;
                }
                Ok(Ok(Err(Stopped::Failure(failure)))) if self.move_on(&failure).await? => continue,
                Ok(Ok(Err(Stopped::Failure(failure)))) => failure,
                Ok(Ok(Err(Stopped::Store(error @ StoreError::Corrupt { .. })))) => internal(step.as_str(), error),
                Ok(Ok(Err(Stopped::Store(error)))) => return Err(error),
                Ok(Err(_)) => internal(step.as_str(), "the step broke down; the log says where"),
                Err(_) => Failure::new(Code::StepTimeout, step.as_str()),
            };
            self.fail(failure).await?;
        }
        Ok(())
    }

    async fn take(&mut self, step: Step) -> Result<(), Stopped> {
        tracing::debug!(issuance = self.issuance.id.0, step = step.as_str(), "taking the next step");
        match step {
            Step::Queued => self.place_order().await,
            Step::Ordered => self.present().await,
            Step::Presented => self.await_visible().await,
            Step::Propagated => self.validate().await,
            Step::Validated => self.prepare_request().await,
            Step::Finalizing => self.finalize().await,
            Step::Issued => self.accept().await,
            Step::Done | Step::Failed => Ok(()),
        }
    }

    fn deadline(&self, step: Step) -> Duration {
        match step {
            Step::Ordered => {
                let names = u32::try_from(self.issuance.application.names.as_slice().len()).unwrap_or(u32::MAX);
                STEP_DEADLINE.saturating_add(TIME_FOR_A_RECORD.saturating_mul(names))
            }
            Step::Presented => STEP_DEADLINE.saturating_add(self.longest_propagation()),
            _ => STEP_DEADLINE,
        }
    }

    /// Saves the issuance at its next step, and keeps the lease for as long as that may take.
    async fn save(&mut self, step: Step) -> Result<(), Stopped> {
        self.issuance.step = step;
        let lease = self.deadline(step).saturating_add(LEASE_MARGIN);
        Ok(self.keep_lease(lease).await?)
    }

    async fn keep_lease(&mut self, lease: Duration) -> Result<(), StoreError> {
        self.notes.hand_over(&mut self.issuance.trace);
        self.engine.store().save(&self.issuance, self.fence, later(self.engine.now(), lease)).await
    }

    async fn place_order(&mut self) -> Result<(), Stopped> {
        self.make_key_ahead();
        let account = self.account().await?;
        let names = self.issuance.application.names.as_slice();
        let place = self.place().await?;
        self.spend_order(place.standing).await?;
        let request = OrderRequest { names, profile: self.choice().profile.as_deref(), replaces: place.replaces.as_ref() };
        let placing = self.issuer().new_order(self.ca(), &account, request);
        let order = self.notes.act("place the order", self.ca_host(), placing, order_facts).await?;
        tracing::info!(issuance = self.issuance.id.0, names = self.issuance.application.names.first(), "order placed");
        if !order.replaces {
            self.spend_exemption(place.standing).await?;
        }
        self.issuance.directory = Some(self.ca().directory.clone());
        self.issuance.order_url = Some(order.url);
        self.save(Step::Ordered).await
    }

    /// The order's URL, or `None` when it stands at a CA that is no longer the configured one.
    fn order_url(&self) -> Option<String> {
        let here = self.issuance.directory.as_deref() == Some(self.ca().directory.as_str());
        self.issuance.order_url.clone().filter(|_| here)
    }

    /// Begins again with a new order; what is in the journal is taken down at the end.
    async fn start_over(&mut self) -> Result<(), Stopped> {
        self.forget_order();
        self.save(Step::Queued).await
    }

    fn forget_order(&mut self) {
        self.issuance.step = Step::Queued;
        self.issuance.order_url = None;
        self.issuance.directory = None;
        self.issuance.key = None;
        self.issuance.csr = None;
    }

    async fn validate(&mut self) -> Result<(), Stopped> {
        let Some(url) = self.order_url() else { return self.start_over().await };
        self.make_key_ahead();
        let account = self.account().await?;
        let records = self.engine.store().records(self.issuance.id).await?;
        let challenges: Vec<String> = records.into_iter().map(|record| record.challenge).collect();
        let validating = self.issuer().validate(self.ca(), &account, &url, &challenges);
        let validated = self.notes.act("have the names validated", self.ca_host(), validating, order_facts).await;
        let validated = validated.and_then(|order| refused_order(&order));
        self.spend_validation(validated.as_ref().err()).await?;
        validated?;
        self.save(Step::Validated).await
    }

    async fn prepare_request(&mut self) -> Result<(), Stopped> {
        self.make_key_ahead();
        let made = match self.key.take() {
            Some(making) => making.await.map_err(|e| internal("making the key", e))?,
            None => Err("nobody began to make it".to_owned()),
        };
        let key = made.map_err(|e| internal("making the key", e))?;
        let csr = certificate_request(&key, self.issuance.application.names.as_slice());
        self.issuance.csr = Some(csr.map_err(|e| internal("making the request", e))?);
        self.issuance.key = Some(key);
        self.save(Step::Finalizing).await
    }

    /// The records have served their purpose once every authorization is valid; they go while the CA issues.
    async fn finalize(&mut self) -> Result<(), Stopped> {
        let Some(url) = self.order_url() else { return self.start_over().await };
        let Some(csr) = self.issuance.csr.clone() else { return self.start_over().await };
        let account = self.account().await?;
        let chain = self.choice().preferred_chain.as_deref();
        let issuing = self.issuer().issue(self.ca(), &account, &url, &csr, chain);
        let issuing = self.notes.act("have the certificate issued", self.ca_host(), issuing, |_| Vec::new());
        let (issued, ()) = tokio::join!(issuing, self.take_down());
        self.issuance.chain = Some(issued?);
        self.spend_certificate().await?;
        self.save(Step::Issued).await
    }

    async fn accept(&mut self) -> Result<(), Stopped> {
        let (Some(chain), Some(key)) = (self.issuance.chain.clone(), self.issuance.key.clone()) else {
            return self.start_over().await;
        };
        self.take_down().await;
        let names = self.issuance.application.names.as_slice();
        let facts = check_issued(&chain, &key, names, self.engine.now()).map_err(|problem| {
            let code = match problem {
                IssuedProblem::Chain => Code::CertificateChain,
                IssuedProblem::Key => Code::CertificateKey,
                IssuedProblem::Names => Code::CertificateNames,
            };
            let failure = Failure::new(code, "check the certificate").about(self.issuance.application.names.first());
            // A clock that is wrong, here or at the CA, is not seen otherwise.
            match chain.facts() {
                Ok(facts) => failure.fact(format!(
                    "It is valid from {} to {}; the clock here says {}.",
                    facts.held.validity.not_before,
                    facts.held.validity.not_after,
                    self.engine.now()
                )),
                Err(_) => failure,
            }
        })?;
        let policy = self.engine.inner.settings.renewal;
        let renewal = renew_after_issue(self.engine.now(), facts.held.validity, policy, draw());
        let version = Version { chain, key: Some(key), held: facts.held, directory: self.issuance.directory.clone() };
        self.notes.hand_over(&mut self.issuance.trace);
        self.issuance.step = Step::Done;
        let outcome = Outcome::Issued(Box::new(version), renewal);
        self.engine.store().finish(&self.issuance, self.fence, &outcome).await?;
        tracing::info!(issuance = self.issuance.id.0, names = self.issuance.application.names.first(), %renewal, "issued");
        let name = self.issuance.application.names.first().to_string();
        let detail = format!("by {}", self.ca_host());
        self.engine.note_own(Action::CertificateIssue, &name, audit::Outcome::Done, detail).await;
        Ok(())
    }

    async fn fail(&mut self, failure: Failure) -> Result<(), StoreError> {
        self.keep_lease(LEASE_MARGIN).await?;
        self.take_down().await;
        let failure = fallback::outcome(&self.issuance.tried, failure);
        let again = if failure.is_retried() { Some(self.again(&failure).await?) } else { None };
        tracing::warn!(
            issuance = self.issuance.id.0,
            names = self.issuance.application.names.first(),
            step = self.issuance.step.as_str(),
            again = again.map(tracing::field::display),
            %failure,
            "issuance failed"
        );
        self.notes.hand_over(&mut self.issuance.trace);
        self.issuance.step = Step::Failed;
        self.issuance.failure = Some(failure.clone());
        let detail = again.is_none().then(|| failure.to_string());
        self.engine.store().finish(&self.issuance, self.fence, &Outcome::Failed(failure, again)).await?;
        if let Some(detail) = detail {
            let name = self.issuance.application.names.first().to_string();
            self.engine.note_own(Action::CertificateIssue, &name, audit::Outcome::Failed, detail).await;
        }
        Ok(())
    }

    /// When it is tried again: by the table of retries, but in time for what the entry holds.
    async fn again(&self, failure: &Failure) -> Result<Timestamp, StoreError> {
        let (store, id) = (self.engine.store(), self.issuance.certificate);
        let failures = store.failures_in_a_row(id).await?.saturating_add(u32::from(!failure.is_wait()));
        let held = store.certificate(id).await?.and_then(|entry| entry.held);
        let now = self.engine.now();
        Ok(match held {
            Some(held) => retry_in_time(now, failures, failure.not_before, held.validity.not_after, draw()),
            None => retry_at(now, failures, failure.not_before, draw()),
        })
    }

    /// Begins to make the key: RSA takes a processor a good part of a second, which the network's time covers.
    fn make_key_ahead(&mut self) {
        if self.key.is_none() {
            let key_type = self.choice().key_type;
            self.key = Some(tokio::task::spawn_blocking(move || PrivateKey::generate(key_type).map_err(|e| e.to_string())));
        }
    }
}

/// What a trace tells of an order.
fn order_facts(order: &Order) -> Vec<String> {
    let of = |status| order.authorizations.iter().filter(|authorization| authorization.status == status).count();
    let (valid, pending) = (of(AuthorizationStatus::Valid), of(AuthorizationStatus::Pending));
    vec![format!("Names that are valid: {valid}; to be proved: {pending}.")]
}

/// Why an order cannot lead to a certificate any more: the CA's word about the first authorization that failed.
fn refused_order(order: &Order) -> Result<(), Failure> {
    let invalid = order.authorizations.iter().find(|a| a.status == AuthorizationStatus::Invalid);
    if let Some(authorization) = invalid {
        let failure = authorization.failure.clone();
        return Err(failure.unwrap_or_else(|| Failure::new(Code::OrderInvalid, "validate").about(authorization.name.as_str())));
    }
    if order.status == OrderStatus::Invalid {
        return Err(order.failure.clone().unwrap_or_else(|| Failure::new(Code::OrderInvalid, "read the order")));
    }
    Ok(())
}

fn internal(doing: &str, error: impl std::fmt::Display) -> Failure {
    Failure::new(Code::Internal, doing).fact(error.to_string())
}

/// An instant after `now`.
pub(crate) fn later(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| now.saturating_add(by).ok()).unwrap_or(Timestamp::MAX)
}
