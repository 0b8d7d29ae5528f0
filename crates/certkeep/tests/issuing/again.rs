//! Whether a record may be up twice is told to whoever removes it.
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use certkeep_core::failure::Failure;
use certkeep_core::issuance::{TxtRecord, Zone};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{AGAIN, DnsProvider, DnsProviders};
use certkeep_core::provider::{Descriptor, Parameters};
use certkeep_engine::Ports;
use certkeep_sandbox::Options;
use serde_json::{Value, json};

use super::halting::Halt;
use super::house::House;

/// What removals were told.
type Told = Arc<Mutex<Vec<Value>>>;

/// Providers whose records have numbers.
struct Numbered(Arc<dyn DnsProviders>, Told);

struct NumberedProvider(Arc<dyn DnsProvider>, Told);

fn numbered(ports: Ports, told: &Told) -> Ports {
    Ports { providers: Arc::new(Numbered(Arc::clone(&ports.providers), Arc::clone(told))), ..ports }
}

impl DnsProviders for Numbered {
    fn descriptors(&self) -> Vec<&Descriptor> {
        self.0.descriptors()
    }

    fn descriptor(&self, flag: &str) -> Option<&Descriptor> {
        self.0.descriptor(flag)
    }

    fn asks_for_zones(&self, flag: &str, parameters: &Parameters) -> bool {
        self.0.asks_for_zones(flag, parameters)
    }

    fn connect(&self, flag: &str, parameters: &Parameters) -> Result<Arc<dyn DnsProvider>, Failure> {
        Ok(Arc::new(NumberedProvider(self.0.connect(flag, parameters)?, Arc::clone(&self.1))))
    }
}

#[async_trait]
impl DnsProvider for NumberedProvider {
    async fn find_zone(&self, name: &DnsName) -> Result<Zone, Failure> {
        self.0.find_zone(name).await
    }

    async fn add(&self, zone: &Zone, record: &TxtRecord) -> Result<Value, Failure> {
        self.0.add(zone, record).await.map(|_| json!({"id": 7}))
    }

    async fn remove(&self, zone: &Zone, record: &TxtRecord, handle: Option<&Value>) -> Result<(), Failure> {
        self.1.lock().unwrap().push(handle.cloned().unwrap_or_default());
        self.0.remove(zone, record, None).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_was_added_without_knowing_of_the_first_time_is_looked_for() {
    // Killed before the record is written, before anybody learns that it was, and not at all: register, new_order, order, add.
    let cases = [(6, json!({"id": 7, AGAIN: true})), (7, json!({"id": 7, AGAIN: true})), (usize::MAX, json!({"id": 7}))];
    for (at, expected) in cases {
        let (house, told) = (House::new(Options::default()).await, Told::default());
        let halt = Halt::at(at);
        let first = house.start_with(|ports| halt.wrap(numbered(ports, &told)), house.settings()).await;
        let id = first.apply("pbx.example.com", house.input()).await;
        tokio::select! {
            () = halt.reached() => (),
            _ = first.issued(id) => (),
        }
        first.kill().await;
        let second = house.start_with(|ports| numbered(ports, &told), house.settings()).await;
        second.issued(id).await;
        second.stop().await;
        assert_eq!(told.lock().unwrap().first(), Some(&expected), "killed at {at}");
    }
}
