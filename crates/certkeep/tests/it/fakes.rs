//! The outside world: a CA, a DNS provider and a resolver that do as they are told.
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use certkeep_core::caa::RelevantSet;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{AcmeAccount, TxtRecord, Zone};
use certkeep_core::material::Chain;
use certkeep_core::name::DnsName;
use certkeep_core::ports::{
    Authorization, AuthorizationStatus, CertificateAuthority, DnsProvider, DnsProviders, Issuer, Order, OrderRequest,
    OrderStatus, Propagation, Resolver, RevocationReason, Revoker, Sighting,
};
use certkeep_core::provider::{DefaultValue, Descriptor, Parameter, ParameterKind, Parameters};
use certkeep_core::renewal_info::RenewalInfo;
use certkeep_core::time::Clock;
use certkeep_testkit::clock::MovableClock;

use crate::material;

/// A clock that a test moves, and that can be broken: then whoever asks it panics.
#[derive(Clone)]
pub(crate) struct TestClock {
    pub(crate) hands: MovableClock,
    pub(crate) broken: Arc<Mutex<bool>>,
}

impl Clock for TestClock {
    fn now(&self) -> jiff::Timestamp {
        let broken = *self.broken.lock().unwrap();
        assert!(!broken, "the clock is broken, as the test wanted it");
        self.hands.now()
    }
}

/// A CA at which every name is authorized already; it issues, or fails with the code it was told.
pub(crate) struct FakeCa {
    pub(crate) clock: TestClock,
    pub(crate) failure: Arc<Mutex<Option<Code>>>,
    pub(crate) names: Mutex<Vec<DnsName>>,
}

impl FakeCa {
    fn order(&self) -> Order {
        let authorization = |name: &DnsName| Authorization {
            url: format!("fake://authorization/{name}"),
            name: name.base(),
            wildcard: name.is_wildcard(),
            status: AuthorizationStatus::Valid,
            challenge: None,
            failure: None,
        };
        let authorizations = self.names.lock().unwrap().iter().map(authorization).collect();
        Order { url: "fake://order".into(), status: OrderStatus::Ready, authorizations, failure: None, replaces: false }
    }
}

#[async_trait]
impl Issuer for FakeCa {
    fn new_account(&self, ca: &CertificateAuthority) -> Result<AcmeAccount, Failure> {
        Ok(AcmeAccount { directory: ca.directory.clone(), credentials: "fake".into(), registered: false })
    }

    async fn caa_identities(&self, _: &CertificateAuthority) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }

    async fn register(&self, _: &CertificateAuthority, account: &AcmeAccount) -> Result<AcmeAccount, Failure> {
        Ok(AcmeAccount { registered: true, ..account.clone() })
    }

    async fn roll_over(&self, _: &CertificateAuthority, _: &AcmeAccount, next: &AcmeAccount) -> Result<AcmeAccount, Failure> {
        Ok(AcmeAccount { registered: true, ..next.clone() })
    }

    async fn new_order(&self, _: &CertificateAuthority, _: &AcmeAccount, request: OrderRequest<'_>) -> Result<Order, Failure> {
        if let Some(code) = *self.failure.lock().unwrap() {
            return Err(Failure::new(code, "placing an order"));
        }
        *self.names.lock().unwrap() = request.names.to_vec();
        Ok(self.order())
    }

    async fn order(&self, _: &CertificateAuthority, _: &AcmeAccount, _: &str) -> Result<Order, Failure> {
        Ok(self.order())
    }

    async fn validate(&self, _: &CertificateAuthority, _: &AcmeAccount, _: &str, _: &[String]) -> Result<Order, Failure> {
        Ok(self.order())
    }

    async fn issue(
        &self,
        _: &CertificateAuthority,
        _: &AcmeAccount,
        _: &str,
        csr: &[u8],
        _: Option<&str>,
    ) -> Result<Chain, Failure> {
        Ok(Chain::new(vec![material::signed(csr, self.clock.now())]).unwrap())
    }

    async fn renewal_info(&self, _: &CertificateAuthority, _: &Chain) -> Result<Option<RenewalInfo>, Failure> {
        Ok(None)
    }

    async fn revoke(&self, _: &CertificateAuthority, _: Revoker<'_>, _: &Chain, _: RevocationReason) -> Result<(), Failure> {
        Ok(())
    }
}

/// `alidns` as the seed has it, and `nodriver`, which cannot be driven.
pub(crate) struct FakeProviders(Vec<Descriptor>);

impl Default for FakeProviders {
    fn default() -> Self {
        let parameter = |k: &str, kind, required, default| Parameter {
            k: k.into(),
            kind,
            required,
            secret: k.contains("Secret"),
            file: false,
            default,
            also: Vec::new(),
            help: String::new(),
        };
        let integer = |k, default| parameter(k, ParameterKind::Integer, false, Some(DefaultValue::Integer(default)));
        let alidns = Descriptor {
            flag: "alidns".into(),
            name: "Alibaba Cloud DNS".into(),
            docs: None,
            parameters: vec![
                integer("TTL", 600),
                parameter("AccessKeyId", ParameterKind::String, true, None),
                parameter("AccessKeySecret", ParameterKind::String, true, None),
                integer("PropagationTimeout", 300),
                integer("PollingInterval", 5),
                parameter("Verbose", ParameterKind::Boolean, false, None),
            ],
            served: Ok(()),
        };
        let nodriver = Descriptor {
            flag: "nodriver".into(),
            name: "No Driver".into(),
            docs: None,
            parameters: Vec::new(),
            served: Err("certkeep cannot drive this provider yet".into()),
        };
        FakeProviders(vec![alidns, nodriver])
    }
}

impl DnsProviders for FakeProviders {
    fn descriptors(&self) -> Vec<&Descriptor> {
        self.0.iter().collect()
    }

    fn descriptor(&self, flag: &str) -> Option<&Descriptor> {
        self.0.iter().find(|descriptor| descriptor.flag == flag)
    }

    fn connect(&self, _: &str, _: &Parameters) -> Result<Arc<dyn DnsProvider>, Failure> {
        Ok(Arc::new(Quiet))
    }

    fn asks_for_zones(&self, _: &str, _: &Parameters) -> bool {
        true
    }
}

/// A provider and a resolver to which everything is as it should be.
pub(crate) struct Quiet;

#[async_trait]
impl DnsProvider for Quiet {
    async fn find_zone(&self, name: &DnsName) -> Result<Zone, Failure> {
        Ok(Zone { name: name.parent().unwrap_or_default().to_owned(), saved: serde_json::Value::Null })
    }

    async fn add(&self, _: &Zone, _: &TxtRecord) -> Result<serde_json::Value, Failure> {
        Ok(serde_json::Value::Null)
    }

    async fn remove(&self, _: &Zone, _: &TxtRecord, _: Option<&serde_json::Value>) -> Result<(), Failure> {
        Ok(())
    }
}

#[async_trait]
impl Resolver for Quiet {
    async fn follow(&self, name: &DnsName) -> Result<DnsName, Failure> {
        Ok(name.clone())
    }

    async fn confirm_zone(&self, _: &Zone, _: &DnsName) -> Result<(), Failure> {
        Ok(())
    }

    async fn await_visible(&self, _: &Zone, _: &[TxtRecord], _: Propagation) -> Result<Sighting, Failure> {
        Ok(Sighting::default())
    }

    async fn caa(&self, _: &DnsName) -> Result<RelevantSet, Failure> {
        Ok(RelevantSet::default())
    }

    async fn texts(&self, _: &DnsName) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }
}
