//! The port [`Issuer`]: any certification authority that speaks ACME (RFC 8555), by DNS-01.
//!
//! What may not enter: when to issue, which records to write, what to save. The engine decides and saves; here each
//! call is one outward act that can be repeated after a crash. This crate is the sole user of instant-acme, none of
//! whose types leave it.
//!
//! Start reading at [`AcmeIssuer`], then `orders` (an order's life), `problem` (what a CA says, in the words of the
//! catalogue), `session` (how instant-acme is made to speak through our own client), `authority` (directory and
//! nonces) and `client` (HTTPS). `registration`, `download`, `revocation` and `renewal_info`, with `post` and `jws` below
//! them, are there because instant-acme 0.8 cannot register a key that was saved before, change to one that was, choose
//! among chains, revoke by a certificate's own key, or tell when to ask again.
mod authority;
mod client;
mod credentials;
mod download;
mod export;
mod jws;
mod links;
mod orders;
mod poll;
mod post;
mod problem;
mod registration;
mod renewal_info;
mod retry_after;
mod revocation;
mod session;
mod view;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::material::Chain;
use certkeep_core::ports::{CertificateAuthority, Issuer, Order, OrderRequest, RevocationReason, Revoker};
use certkeep_core::renewal_info::{RenewalId, RenewalInfo};
use certkeep_core::time::Clock;
use tokio::sync::Mutex;

pub use export::{AccountFacts, account_facts, account_jwk, account_key};

use crate::authority::Authority;
use crate::credentials::Credentials;
use crate::orders::Orders;
use crate::problem::Act;
use crate::session::Session;

/// How long a CA may take to validate, and again to issue.
const PATIENCE: Duration = Duration::from_secs(180);

/// Speaks with any number of CAs. Connections, nonces and directories are kept and shared by all calls to one CA.
///
/// An account that its CA no longer knows is told as `account_refused` with their code `accountDoesNotExist`; calling
/// [`Issuer::register`] again with the same credentials is then the way back.
pub struct AcmeIssuer {
    clock: Arc<dyn Clock>,
    patience: Duration,
    authorities: Mutex<HashMap<Address, Arc<Authority>>>,
}

/// What tells one CA from another: other roots are another trust, hence another client.
#[derive(PartialEq, Eq, Hash)]
struct Address {
    directory: String,
    roots: Vec<String>,
}

impl AcmeIssuer {
    /// An issuer without any connection yet: nothing is loaded before the first call.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        AcmeIssuer { clock, patience: PATIENCE, authorities: Mutex::default() }
    }

    /// Waits at most this long for a validation, and again for an issuance, instead of three minutes.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    async fn session(&self, ca: &CertificateAuthority) -> Result<Session, Failure> {
        let session = match self.authority(ca).await {
            Ok(authority) => authority.session(Arc::clone(&self.clock)).await,
            Err(error) => Err(error),
        };
        session.map_err(|error| problem::exchange(Act::Directory, &client::server_of(&ca.directory), &error))
    }

    async fn authority(&self, ca: &CertificateAuthority) -> Result<Arc<Authority>, client::ExchangeError> {
        let mut authorities = self.authorities.lock().await;
        let address = Address { directory: ca.directory.clone(), roots: ca.roots.clone() };
        if let Some(known) = authorities.get(&address) {
            return Ok(Arc::clone(known));
        }
        let authority = Arc::new(Authority::new(&ca.directory, &ca.roots).await?);
        authorities.insert(address, Arc::clone(&authority));
        Ok(authority)
    }

    /// What orders need: an account that is registered, at a CA whose directory was read.
    async fn orders(&self, ca: &CertificateAuthority, account: &AcmeAccount) -> Result<Orders, Failure> {
        let credentials = Credentials::open(ca, account)?;
        let session = self.session(ca).await?;
        let account = credentials.account(&session).await?;
        Ok(Orders::new(account, credentials, session, self.patience))
    }

    /// Refuses a profile that the CA does not offer.
    async fn check_profile(&self, ca: &CertificateAuthority, profile: &str) -> Result<(), Failure> {
        let session = self.session(ca).await?;
        if session.offers(profile) {
            return Ok(());
        }
        // What is known of the directory may be an hour old.
        session.distrust_directory();
        let session = self.session(ca).await?;
        if session.offers(profile) {
            return Ok(());
        }
        let offered = session.directory().profiles.join(", ");
        Err(Failure::new(Code::ProfileNotOffered, Act::NewOrder.words()).about(profile).fact(match offered.as_str() {
            "" => "The CA offers no profiles.".to_owned(),
            names => format!("The CA offers: {names}."),
        }))
    }
}

#[async_trait]
impl Issuer for AcmeIssuer {
    fn new_account(&self, ca: &CertificateAuthority) -> Result<AcmeAccount, Failure> {
        Credentials::generate()?.seal(&ca.directory)
    }

    async fn caa_identities(&self, ca: &CertificateAuthority) -> Result<Vec<String>, Failure> {
        Ok(self.session(ca).await?.directory().caa_identities.clone())
    }

    async fn register(&self, ca: &CertificateAuthority, account: &AcmeAccount) -> Result<AcmeAccount, Failure> {
        let mut credentials = Credentials::open(ca, account)?;
        let session = self.session(ca).await?;
        let url = registration::register(&session, ca, &credentials).await?;
        credentials.registered_as(url);
        credentials.seal(&ca.directory)
    }

    async fn roll_over(
        &self,
        ca: &CertificateAuthority,
        account: &AcmeAccount,
        next: &AcmeAccount,
    ) -> Result<AcmeAccount, Failure> {
        let (account, mut next) = (Credentials::open(ca, account)?, Credentials::open(ca, next)?);
        let session = self.session(ca).await?;
        let url = registration::roll_over(&session, &account, &next).await?;
        next.registered_as(url);
        next.seal(&ca.directory)
    }

    async fn new_order(
        &self,
        ca: &CertificateAuthority,
        account: &AcmeAccount,
        request: OrderRequest<'_>,
    ) -> Result<Order, Failure> {
        if let Some(profile) = request.profile {
            self.check_profile(ca, profile).await?;
        }
        self.orders(ca, account).await?.place(request).await
    }

    async fn order(&self, ca: &CertificateAuthority, account: &AcmeAccount, url: &str) -> Result<Order, Failure> {
        self.orders(ca, account).await?.read(url).await
    }

    async fn validate(
        &self,
        ca: &CertificateAuthority,
        account: &AcmeAccount,
        order_url: &str,
        challenges: &[String],
    ) -> Result<Order, Failure> {
        self.orders(ca, account).await?.validate(order_url, challenges).await
    }

    async fn issue(
        &self,
        ca: &CertificateAuthority,
        account: &AcmeAccount,
        order_url: &str,
        csr: &[u8],
        preferred_chain: Option<&str>,
    ) -> Result<Chain, Failure> {
        self.orders(ca, account).await?.issue(order_url, csr, preferred_chain).await
    }

    async fn renewal_info(&self, ca: &CertificateAuthority, chain: &Chain) -> Result<Option<RenewalInfo>, Failure> {
        let Some(id) = RenewalId::of(chain) else { return Ok(None) };
        renewal_info::read(&self.session(ca).await?, &id).await
    }

    async fn revoke(
        &self,
        ca: &CertificateAuthority,
        by: Revoker<'_>,
        chain: &Chain,
        reason: RevocationReason,
    ) -> Result<(), Failure> {
        revocation::revoke(&self.session(ca).await?, ca, by, chain, reason).await
    }
}
