//! certkeep's use cases and its job loop.
//!
//! - [`access`]: who may call: logins, tokens, blocks (contract §3).
//! - [`people`]: who works with certkeep itself: users, browser sessions, API tokens.
//! - [`acting`] and [`audit`]: what somebody may do, and that it is written down.
//! - [`inventory`]: reading, adding, changing, deleting certificates (contract §4).
//! - [`webserver`]: which certificate certkeep's own HTTPS serves (contract §5).
//! - [`issuing`]: an issuance, step by saved step (DESIGN §3 of the project: see `ARCHITECTURE.md`).
//! - [`preflight`]: whether an application can work, without an order.
//! - [`renewing`]: asking CAs when to renew.
//! - [`revoking`]: taking a certificate out of the world.
//! - [`account`]: the account at the CA, and its next key.
//! - `looking`: what people look at.
//! - [`jobs`]: the loop that finds due work and takes it.
//!
//! What may not enter: a transport, a database, a DNS or ACME library. Only the ports of [`certkeep_core`] are known
//! here; of tokio only tasks, time and synchronisation. Start reading at [`Engine`].
pub mod access;
pub mod account;
pub mod acting;
pub mod audit;
mod cas;
mod draw;
pub mod error;
pub mod inventory;
pub mod issuing;
pub mod jobs;
mod looking;
pub mod people;
pub mod preflight;
pub mod renewing;
pub mod revoking;
pub mod webserver;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use certkeep_core::application::Delegation;
use certkeep_core::issuance::ChallengeRecord;
use certkeep_core::ports::{DnsProviders, Issuer, Propagation, Resolver, Store};
use certkeep_core::renewal::Policy;
use certkeep_core::schedule::Pace;
use certkeep_core::time::Clock;
use tokio::sync::{Mutex, Notify, Semaphore, watch};

pub use cas::{Cas, Choice, Rule};
pub use error::{Invalid, UseCaseError};

/// What the engine works with.
#[derive(Clone)]
pub struct Ports {
    /// Durable memory.
    pub store: Arc<dyn Store>,
    /// DNS providers.
    pub providers: Arc<dyn DnsProviders>,
    /// What the world sees of DNS.
    pub resolver: Arc<dyn Resolver>,
    /// CAs.
    pub issuer: Arc<dyn Issuer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// What the operator decided.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to apply.
    pub cas: Cas,
    /// When to renew.
    pub renewal: Policy,
    /// Most server certificates; unlimited if `None`.
    pub max_server: Option<u32>,
    /// Most trusted certificates; unlimited if `None`.
    pub max_trusted: Option<u32>,
    /// Where the client's parameters say nothing.
    pub propagation: Propagation,
    /// Whose challenge records are written by another provider than the application's.
    pub delegations: Vec<Delegation>,
    /// Issuances under way at once.
    pub concurrency: u32,
    /// How many renewals in good time begin within a minute, at all nodes together.
    pub pace: Pace,
}

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    ports: Ports,
    settings: Settings,
    nudge: Notify,
    remembered_access: access::Remembered,
    /// How much of what came to nothing may be written down.
    attempts: audit::Allowance,
    remembered_certificates: inventory::Remembered,
    served: watch::Sender<webserver::Served>,
    /// Whether a new version of what is served could not be read when it came.
    served_is_stale: AtomicBool,
    /// What may have been put up too late, and is not in the journal yet.
    late_records: std::sync::Mutex<Vec<ChallengeRecord>>,
    /// Held while the key of a new account is made and kept.
    accounts: Mutex<()>,
    /// Held while an entry is read, changed and written, or what is served is: one change sees the other.
    changes: Mutex<()>,
    /// Held while an uploaded file is taken apart.
    readings: Arc<Semaphore>,
}

impl Engine {
    /// An engine on these ports; makes the self-signed `default` certificate at the first start.
    ///
    /// # Errors
    /// The store's, or a key that cannot be made.
    pub async fn start(ports: Ports, settings: Settings) -> Result<Engine, UseCaseError> {
        let served = webserver::load(&ports).await?;
        let attempts = audit::Allowance::new(ports.clock.now());
        let inner = Inner {
            ports,
            settings,
            nudge: Notify::new(),
            remembered_access: access::Remembered::default(),
            attempts,
            remembered_certificates: inventory::Remembered::default(),
            served: watch::Sender::new(served),
            served_is_stale: AtomicBool::new(false),
            late_records: std::sync::Mutex::default(),
            accounts: Mutex::new(()),
            changes: Mutex::new(()),
            readings: Arc::new(Semaphore::new(1)),
        };
        Ok(Engine { inner: Arc::new(inner) })
    }

    /// The providers, for their descriptors.
    pub fn providers(&self) -> &dyn DnsProviders {
        self.inner.ports.providers.as_ref()
    }

    fn store(&self) -> &dyn Store {
        self.inner.ports.store.as_ref()
    }

    fn now(&self) -> jiff::Timestamp {
        self.inner.ports.clock.now()
    }

    /// Wakes the job loop.
    fn nudge(&self) {
        self.inner.nudge.notify_one();
    }
}
