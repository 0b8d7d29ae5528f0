use async_trait::async_trait;
use certkeep_core::ports::StoreError;
use certkeep_testkit::wait::{PATIENCE, eventually};
use tokio::time::{sleep, timeout};

use super::*;

/// Locks as a database keeps them, and how often it is asked.
#[derive(Default)]
struct Database {
    rows: Mutex<HashMap<String, (String, Instant)>>,
    asked: AtomicUsize,
}

impl Database {
    fn holder(&self, zone: &str) -> Option<String> {
        let rows = self.rows.lock().unwrap();
        rows.get(zone).filter(|(_, end)| *end > Instant::now()).map(|(holder, _)| holder.clone())
    }
}

#[async_trait]
impl ZoneLocks for Database {
    async fn take(&self, zone: &str, holder: &str, lease: Duration) -> Result<bool, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if self.holder(zone).is_some_and(|other| other != holder) {
            return Ok(false);
        }
        self.rows.lock().unwrap().insert(zone.to_owned(), (holder.to_owned(), Instant::now() + lease));
        Ok(true)
    }

    async fn give_back(&self, zone: &str, holder: &str) -> Result<(), StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if self.holder(zone).as_deref() == Some(holder) {
            self.rows.lock().unwrap().remove(zone);
        }
        Ok(())
    }
}

const NAME: &str = "example.com";
const KEY: &str = "pdns example.com";
/// Nothing ends by itself while a test runs.
const LONG: Times = Times { lease: Duration::from_secs(3600), hold: Duration::from_secs(3600) };

fn node(database: &Arc<Database>, times: Times) -> Arc<Locks> {
    let everywhere = Arc::clone(database) as Arc<dyn ZoneLocks>;
    Arc::new(Locks { times, ..Locks::new(Some(everywhere)) })
}

async fn given_back(database: &Database) {
    eventually(PATIENCE, "the lock to be given back", || async { database.rows.lock().unwrap().is_empty().then_some(()) }).await;
}

/// Waits until so many wait for a turn.
async fn queued(node: &Locks, count: usize) {
    eventually(PATIENCE, "a queue", || async {
        (node.zone(KEY.to_owned()).waiting.load(Ordering::SeqCst) == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_write_one_after_the_other() {
    let database = Arc::new(Database::default());
    let (nodes, inside) = ([(); 3].map(|()| node(&database, LONG)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..30)
        .map(|n| {
            let (node, inside) = (Arc::clone(&nodes[n % 3]), Arc::clone(&inside));
            tokio::spawn(async move {
                let _writer = node.writer("pdns", NAME, true).await;
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "somebody else writes");
                sleep(Duration::from_millis(3)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    given_back(&database).await;
}

#[tokio::test]
async fn a_queue_of_writers_asks_the_database_once() {
    let database = Arc::new(Database::default());
    let node = node(&database, LONG);
    let first = node.writer("pdns", NAME, true).await;
    let queue: Vec<_> = (0..10)
        .map(|_| {
            let node = Arc::clone(&node);
            tokio::spawn(async move { drop(node.writer("pdns", NAME, true).await) })
        })
        .collect();
    queued(&node, 10).await;
    drop(first);
    for writer in queue {
        writer.await.unwrap();
    }
    given_back(&database).await;
    assert_eq!(database.asked.load(Ordering::SeqCst), 2, "taken once, given back once");
}

#[tokio::test]
async fn a_queue_without_end_lets_other_nodes_in() {
    let database = Arc::new(Database::default());
    let times = Times { hold: Duration::from_millis(50), ..LONG };
    let (busy, other) = (node(&database, times), node(&database, times));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let node = Arc::clone(&busy);
            tokio::spawn(async move {
                loop {
                    let _writer = node.writer("pdns", NAME, true).await;
                    sleep(Duration::from_millis(5)).await;
                }
            })
        })
        .collect();
    queued(&busy, 3).await;
    timeout(PATIENCE, other.writer("pdns", NAME, true)).await.map(drop).expect("it gets its turn");
    writers.iter().for_each(|writer| writer.abort());
}

#[tokio::test]
async fn a_lock_is_prolonged_while_the_writing_takes_long_and_ends_with_its_node() {
    let database = Arc::new(Database::default());
    let times = Times { lease: Duration::from_secs(1), ..LONG };
    let (one, other) = (node(&database, times), node(&database, times));
    let writer = one.writer("pdns", NAME, true).await;
    let first_end = database.rows.lock().unwrap()[KEY].1;
    eventually(PATIENCE, "the lock to be prolonged", || async {
        (database.rows.lock().unwrap()[KEY].1 > first_end).then_some(())
    })
    .await;
    // A node that is gone prolongs nothing and gives nothing back.
    writer._shared.as_ref().unwrap().prolonging.abort();
    std::mem::forget(writer);
    let _writer = timeout(PATIENCE, other.writer("pdns", NAME, true)).await.expect("the lease has ended");
}

#[tokio::test]
async fn who_gives_up_waiting_leaves_no_lock() {
    let database = Arc::new(Database::default());
    let (one, other) = (node(&database, LONG), node(&database, LONG));
    let writer = one.writer("pdns", NAME, true).await;
    let waiting = [Arc::clone(&one), Arc::clone(&other)].map(|node| {
        tokio::spawn(async move {
            node.writer("pdns", NAME, true).await;
        })
    });
    queued(&one, 1).await;
    queued(&other, 1).await;
    for waiting in waiting {
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
    }
    drop(writer);
    given_back(&database).await;
}

#[tokio::test]
async fn what_is_added_by_itself_waits_for_no_other_node() {
    let database = Arc::new(Database::default());
    let (one, other) = (node(&database, LONG), node(&database, LONG));
    let writer = one.writer("hetzner", NAME, false).await;
    let _other = timeout(PATIENCE, other.writer("hetzner", NAME, false)).await.expect("another node writes as well");
    let same = one.writer("hetzner", NAME, false);
    assert!(futures::FutureExt::now_or_never(same).is_none(), "one writer here");
    drop(writer);
    drop(one.writer("hetzner", NAME, false).await);
    assert_eq!(database.asked.load(Ordering::SeqCst), 0);
}
