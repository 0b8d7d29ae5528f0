//! Ports that stop dead before or after the n-th outward act, so that a kill can be placed at every instant that matters.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use certkeep_core::caa::RelevantSet;
use certkeep_core::failure::Failure;
use certkeep_core::issuance::{AcmeAccount, TxtRecord, Zone};
use certkeep_core::material::Chain;
use certkeep_core::name::DnsName;
use certkeep_core::ports::{
    CertificateAuthority, DnsProvider, DnsProviders, Issuer, Order, OrderRequest, Propagation, Resolver, RevocationReason,
    Revoker, Sighting,
};
use certkeep_core::provider::{Descriptor, Parameters};
use certkeep_core::renewal_info::RenewalInfo;
use certkeep_engine::Ports;
use tokio::sync::Notify;

/// Where to stop dead.
pub(crate) struct Halt {
    at: usize,
    passed: AtomicUsize,
    reached: Notify,
}

impl Halt {
    pub(crate) fn at(at: usize) -> Arc<Halt> {
        Arc::new(Halt { at, passed: AtomicUsize::new(0), reached: Notify::new() })
    }

    /// Returns once the place is reached.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    async fn pass(&self) {
        if self.passed.fetch_add(1, Ordering::SeqCst) == self.at {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Every outward act is two places: before it, and after it but before anybody learns of it.
    async fn around<T>(&self, act: impl Future<Output = T>) -> T {
        self.pass().await;
        let answer = act.await;
        self.pass().await;
        answer
    }

    pub(crate) fn wrap(self: &Arc<Self>, ports: Ports) -> Ports {
        Ports {
            providers: Arc::new(Providers(ports.providers, Arc::clone(self))),
            resolver: Arc::new(World(ports.resolver, Arc::clone(self))),
            issuer: Arc::new(Ca(ports.issuer, Arc::clone(self))),
            ..ports
        }
    }
}

struct Providers(Arc<dyn DnsProviders>, Arc<Halt>);

impl DnsProviders for Providers {
    fn descriptors(&self) -> Vec<&Descriptor> {
        self.0.descriptors()
    }

    fn descriptor(&self, flag: &str) -> Option<&Descriptor> {
        self.0.descriptor(flag)
    }

    fn connect(&self, flag: &str, parameters: &Parameters) -> Result<Arc<dyn DnsProvider>, Failure> {
        Ok(Arc::new(Provider(self.0.connect(flag, parameters)?, Arc::clone(&self.1))))
    }

    fn asks_for_zones(&self, flag: &str, parameters: &Parameters) -> bool {
        self.0.asks_for_zones(flag, parameters)
    }
}

struct Provider(Arc<dyn DnsProvider>, Arc<Halt>);

#[async_trait]
impl DnsProvider for Provider {
    async fn find_zone(&self, name: &DnsName) -> Result<Zone, Failure> {
        self.0.find_zone(name).await
    }

    async fn add(&self, zone: &Zone, record: &TxtRecord) -> Result<serde_json::Value, Failure> {
        self.1.around(self.0.add(zone, record)).await
    }

    async fn remove(&self, zone: &Zone, record: &TxtRecord, handle: Option<&serde_json::Value>) -> Result<(), Failure> {
        self.1.around(self.0.remove(zone, record, handle)).await
    }
}

struct World(Arc<dyn Resolver>, Arc<Halt>);

#[async_trait]
impl Resolver for World {
    async fn follow(&self, name: &DnsName) -> Result<DnsName, Failure> {
        self.0.follow(name).await
    }

    async fn confirm_zone(&self, zone: &Zone, name: &DnsName) -> Result<(), Failure> {
        self.0.confirm_zone(zone, name).await
    }

    async fn await_visible(&self, zone: &Zone, records: &[TxtRecord], propagation: Propagation) -> Result<Sighting, Failure> {
        self.1.around(self.0.await_visible(zone, records, propagation)).await
    }

    async fn caa(&self, name: &DnsName) -> Result<RelevantSet, Failure> {
        self.0.caa(name).await
    }

    async fn texts(&self, name: &DnsName) -> Result<Vec<String>, Failure> {
        self.0.texts(name).await
    }
}

struct Ca(Arc<dyn Issuer>, Arc<Halt>);

#[async_trait]
impl Issuer for Ca {
    fn new_account(&self, ca: &CertificateAuthority) -> Result<AcmeAccount, Failure> {
        self.0.new_account(ca)
    }

    async fn caa_identities(&self, ca: &CertificateAuthority) -> Result<Vec<String>, Failure> {
        self.0.caa_identities(ca).await
    }

    async fn register(&self, ca: &CertificateAuthority, account: &AcmeAccount) -> Result<AcmeAccount, Failure> {
        self.1.around(self.0.register(ca, account)).await
    }

    async fn roll_over(
        &self,
        ca: &CertificateAuthority,
        account: &AcmeAccount,
        next: &AcmeAccount,
    ) -> Result<AcmeAccount, Failure> {
        self.1.around(self.0.roll_over(ca, account, next)).await
    }

    async fn new_order(
        &self,
        ca: &CertificateAuthority,
        account: &AcmeAccount,
        request: OrderRequest<'_>,
    ) -> Result<Order, Failure> {
        self.1.around(self.0.new_order(ca, account, request)).await
    }

    async fn order(&self, ca: &CertificateAuthority, account: &AcmeAccount, url: &str) -> Result<Order, Failure> {
        self.1.around(self.0.order(ca, account, url)).await
    }

    async fn validate(
        &self,
        ca: &CertificateAuthority,
        account: &AcmeAccount,
        order_url: &str,
        challenges: &[String],
    ) -> Result<Order, Failure> {
        self.1.around(self.0.validate(ca, account, order_url, challenges)).await
    }

    async fn issue(
        &self,
        ca: &CertificateAuthority,
        account: &AcmeAccount,
        order_url: &str,
        csr: &[u8],
        preferred_chain: Option<&str>,
    ) -> Result<Chain, Failure> {
        self.1.around(self.0.issue(ca, account, order_url, csr, preferred_chain)).await
    }

    async fn renewal_info(&self, ca: &CertificateAuthority, chain: &Chain) -> Result<Option<RenewalInfo>, Failure> {
        self.0.renewal_info(ca, chain).await
    }

    async fn revoke(
        &self,
        ca: &CertificateAuthority,
        by: Revoker<'_>,
        chain: &Chain,
        reason: RevocationReason,
    ) -> Result<(), Failure> {
        self.1.around(self.0.revoke(ca, by, chain, reason)).await
    }
}
