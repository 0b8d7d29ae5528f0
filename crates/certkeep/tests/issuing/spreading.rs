//! After a long outage the most pressing begins first, and renewals begin one after the other.
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use certkeep_core::application::{Application, Names};
use certkeep_core::certificate::{ApplyStatus, CertificateId, Held};
use certkeep_core::material::{Chain, PrivateKey};
use certkeep_core::ports::{Certificates, Issuances, NewCertificate, NewServer, Version};
use certkeep_core::renewal::Validity;
use certkeep_core::schedule::Pace;
use certkeep_core::time::Clock;
use certkeep_engine::{Ports, Settings};
use certkeep_sandbox::Options;
use certkeep_store::SqlStore;
use certkeep_testkit::wait::{PATIENCE, eventually};
use jiff::{SignedDuration, Timestamp};

use super::house::{House, Running, server};

fn pace(per_minute: u32) -> Pace {
    Pace { per_minute: NonZeroU32::new(per_minute).unwrap() }
}

impl House {
    /// An entry that holds a certificate of ninety days and should have been renewed yesterday.
    async fn overdue(&self, store: &SqlStore, number: i64, left: SignedDuration) -> CertificateId {
        let name = format!("pbx{number}.example.com");
        let not_after = self.clock.now() + left;
        let validity = Validity { not_before: not_after - SignedDuration::from_hours(90 * 24), not_after };
        let due = self.clock.now() - SignedDuration::from_hours(24) + SignedDuration::from_secs(number);
        let names = Names::parse(&name).unwrap();
        let application = Application { names, dns_provider: "pdns".to_owned(), auth: self.auth() };
        let new = NewCertificate {
            name: format!("{name}.pem"),
            version: Some(Version {
                chain: Chain::new(vec![b"leaf".to_vec()]).unwrap(),
                key: Some(PrivateKey::from_pkcs8(b"key".to_vec())),
                held: Held { issue_to: name, validity },
                directory: None,
            }),
            server: Some(NewServer { application: Some(application), next_issuance: Some(due), owner: None }),
            upload: None,
            limit: None,
        };
        store.create(&new).await.unwrap()
    }

    async fn in_good_time(&self, store: &SqlStore, number: i64) -> CertificateId {
        self.overdue(store, number, SignedDuration::from_hours(30 * 24)).await
    }
}

/// When an entry's first issuance began, and its number, once it has begun.
async fn first_issuance(running: &Running, id: CertificateId) -> (Timestamp, i64) {
    eventually(PATIENCE, "an issuance", || async {
        running.store.issuances(id).await.unwrap().last().map(|issuance| (issuance.started, issuance.id.0))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_the_most_pressing_begins_first_and_the_rest_one_by_one() {
    const RENEWALS: i64 = 300;
    const BEGUN: usize = 8;
    let house = House::new(Options::default()).await;
    house.leave_the_rush();
    let store = house.store().await;
    let mut renewals = Vec::new();
    for number in 0..RENEWALS {
        renewals.push(house.in_good_time(&store, number).await);
    }
    let expired = house.overdue(&store, RENEWALS, -SignedDuration::from_hours(1)).await;
    let ports = house.ports(&store);
    // Of two places both are taken at the first look.
    let settings = Settings { concurrency: 2, pace: pace(240), ..house.settings() };
    let waiting =
        Application { names: Names::parse("new.example.com").unwrap(), dns_provider: "pdns".to_owned(), auth: house.auth() };
    let server_side = NewServer { application: Some(waiting), next_issuance: Some(house.clock.now()), owner: None };
    let new = NewCertificate { name: "new.pem".to_owned(), version: None, server: Some(server_side), upload: None, limit: None };
    let applied = store.create(&new).await.unwrap();

    let running = Running::start(store, ports, settings).await;
    assert_eq!((first_issuance(&running, expired).await.1, first_issuance(&running, applied).await.1), (1, 2));
    running.issued(applied).await;
    // What waits is not issuing, and may still be given up.
    let last = *renewals.last().unwrap();
    assert_eq!(server(&running.engine.certificate(last).await.unwrap()).status, ApplyStatus::IssuanceSuccess);
    running.engine.delete(last).await.unwrap();
    // In the order in which they were due, a quarter of a second apart.
    let mut begun = Vec::new();
    for id in &renewals[..BEGUN] {
        begun.push(first_issuance(&running, *id).await);
    }
    for pair in begun.windows(2) {
        assert!(pair[0].1 < pair[1].1, "{begun:?}");
        assert!(pair[1].0.duration_since(pair[0].0) >= SignedDuration::from_millis(250), "{begun:?}");
    }
    running.stop().await;
}

/// A clock that counts how often it is looked at.
struct Counting(Arc<dyn Clock>, AtomicUsize);

impl Clock for Counting {
    fn now(&self) -> Timestamp {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.now()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_renewals_are_held_back_nobody_looks_for_them_all_the_time() {
    let house = House::new(Options::default()).await;
    house.leave_the_rush();
    // So that an application takes a second, in which a loop that spins looks hundreds of times.
    house.sandbox.faults().set_validation_delay(Duration::from_secs(1));
    let mut looks = Vec::new();
    for renewals in [0, 3] {
        let store = house.store().await;
        for number in 0..renewals {
            house.in_good_time(&store, number).await;
        }
        let ports = house.ports(&store);
        let clock = Arc::new(Counting(Arc::clone(&ports.clock), AtomicUsize::new(0)));
        let ports = Ports { clock: clock.clone(), ..ports };
        let running = Running::start(store, ports, Settings { pace: pace(1), ..house.settings() }).await;
        if renewals > 0 {
            let first = running.by_name("pbx0.example.com.pem").await;
            first_issuance(&running, first).await;
            running.issued(first).await;
        }
        let before = clock.1.load(Ordering::SeqCst);
        let id = running.apply(&format!("new{renewals}.example.com"), house.input()).await;
        running.issued(id).await;
        looks.push(clock.1.load(Ordering::SeqCst) - before);
        running.stop().await;
    }
    assert!(looks[1] <= 2 * looks[0], "{looks:?}: with nothing to renew, and with renewals that wait");
}
