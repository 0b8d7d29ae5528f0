//! Locks of zones.
use std::time::Duration;

use certkeep_store::SqlStore;
use certkeep_testkit::peers::PostgresDatabase;
use certkeep_testkit::wait::{PATIENCE, eventually};
use tempfile::TempDir;

use super::{address, options};

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn one_holds_a_lock_until_it_is_given_back_or_its_lease_ends() {
    let (database, folder) = (PostgresDatabase::make().await, TempDir::new().unwrap());
    let store = SqlStore::open_server(&address(database.url()), &options(folder.path())).await.unwrap();
    let locks = store.zone_locks().expect("a database may have several nodes");
    let take = async |zone: &str, holder: &str, lease| locks.take(zone, holder, lease).await.unwrap();
    assert!(take("a", "one", LONG).await);
    assert!(take("a", "one", LONG).await, "who holds it prolongs it");
    assert!(!take("a", "other", LONG).await);
    assert!(take("b", "other", LONG).await, "each zone has its own");
    locks.give_back("a", "other").await.unwrap();
    assert!(!take("a", "other", LONG).await, "nobody gives back what is another's");
    locks.give_back("a", "one").await.unwrap();
    assert!(take("a", "other", Duration::from_millis(200)).await);
    eventually(PATIENCE, "the end of the lease", || async { take("a", "one", LONG).await.then_some(()) }).await;
    assert!(!take("a", "other", LONG).await);
    for (zone, holder) in [("a", "one"), ("b", "other")] {
        locks.give_back(zone, holder).await.unwrap();
    }
    assert_eq!(database.ask("SELECT count(*) FROM zone_locks"), "0\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_ask_at_once_one_gets_it() {
    let (database, folder) = (PostgresDatabase::make().await, TempDir::new().unwrap());
    let mut asking = Vec::new();
    for node in 0..3 {
        let store = SqlStore::open_server(&address(database.url()), &options(folder.path())).await.unwrap();
        let locks = store.zone_locks().unwrap();
        asking.push(tokio::spawn(async move {
            let mut got = 0;
            for n in 0..20 {
                got += usize::from(locks.take(&format!("zone {n}"), &format!("node {node}"), LONG).await.unwrap());
            }
            got
        }));
    }
    let mut got = 0;
    for asking in asking {
        got += asking.await.unwrap();
    }
    assert_eq!(got, 20);
}

#[tokio::test]
async fn a_folder_has_one_process_and_needs_none() {
    let folder = TempDir::new().unwrap();
    assert!(SqlStore::open_exclusive(&options(folder.path())).await.unwrap().zone_locks().is_none());
}
