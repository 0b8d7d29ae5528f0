//! Nodes that share a database.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use certkeep_core::audit::{Head, verify};
use certkeep_core::certificate::ApplyStatus;
use certkeep_core::issuance::Lease;
use certkeep_core::ports::{AuditRange, Change, CreateError, Issuances, Outcome, Store, StoreError};
use certkeep_store::SqlStore;
use certkeep_testkit::peers::PostgresDatabase;
use certkeep_testkit::wait::{PATIENCE, eventually};
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::{address, options, raw};
use crate::contract::audit::deed;
use crate::fixtures::{applied, at, status, uploaded, version};

/// Nodes with the same keys.
async fn nodes(count: usize) -> (Vec<Arc<dyn Store>>, PostgresDatabase, TempDir) {
    let (database, folder) = (PostgresDatabase::make().await, TempDir::new().unwrap());
    let url = address(database.url());
    // All at once, on an empty database.
    let opening = (0..count).map(|_| {
        let (url, options) = (url.clone(), options(folder.path()));
        tokio::spawn(async move { SqlStore::open_server(&url, &options).await.unwrap() })
    });
    let mut nodes: Vec<Arc<dyn Store>> = Vec::new();
    for node in opening.collect::<Vec<_>>() {
        nodes.push(Arc::new(node.await.unwrap()));
    }
    (nodes, database, folder)
}

/// Does the same at every node at once; answers what came of it.
async fn at_each<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    nodes: &[Arc<dyn Store>],
    work: impl Fn(Arc<dyn Store>) -> F,
) -> Vec<T> {
    let running: Vec<_> = nodes.iter().map(|node| tokio::spawn(work(Arc::clone(node)))).collect();
    let mut done = Vec::new();
    for work in running {
        done.push(work.await.unwrap());
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_begun_leased_or_finished_twice() {
    const ENTRIES: usize = 60;
    let (nodes, database, _folder) = nodes(3).await;
    for n in 0..ENTRIES {
        nodes[n % 3].create(&applied(&format!("{n}.pem"), "a.example.com", at(0))).await.unwrap();
    }
    let work = |node: Arc<dyn Store>| async move {
        let (mut begun, mut leased): (u64, Vec<Lease>) = (0, Vec::new());
        loop {
            let more = node.start_due(at(0), 7).await.unwrap();
            let leases = node.lease(at(0), at(60), 5).await.unwrap();
            if more == 0 && leases.is_empty() {
                return (begun, leased);
            }
            begun += more;
            leased.extend(leases);
        }
    };
    let done = at_each(&nodes, work).await;
    assert_eq!(done.iter().map(|(begun, _)| begun).sum::<u64>(), ENTRIES as u64);
    let leases: Vec<&Lease> = done.iter().flat_map(|(_, leased)| leased).collect();
    let entries: BTreeSet<_> = leases.iter().map(|lease| lease.issuance.certificate.0).collect();
    assert_eq!((leases.len(), entries.len()), (ENTRIES, ENTRIES), "each is leased by one");

    // Every node tries to finish all of them, by the fence of whoever leased it: one of them does.
    let leases: Arc<Vec<Lease>> = Arc::new(done.into_iter().flat_map(|(_, leased)| leased).collect());
    let finished = at_each(&nodes, |node| {
        let leases = Arc::clone(&leases);
        async move {
            let mut finished = 0;
            for lease in leases.iter() {
                let outcome = Outcome::Issued(Box::new(version("a.example.com", at(900))), at(600));
                match node.finish(&lease.issuance, lease.fence, &outcome).await {
                    Ok(()) => finished += 1,
                    Err(StoreError::LeaseLost(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            finished
        }
    })
    .await;
    assert_eq!(finished.iter().sum::<usize>(), ENTRIES);
    let versions: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM versions").fetch_one(&raw(&database).await).await.unwrap();
    assert_eq!(versions, ENTRIES as i64);
    for lease in leases.iter() {
        assert_eq!(status(&nodes[0], lease.issuance.certificate).await, ApplyStatus::IssuanceSuccess);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_overtake_each_other_all_get_through() {
    let (nodes, _database, _folder) = nodes(4).await;
    let made = at_each(&nodes, |node| async move {
        let mut made = Vec::new();
        for n in 0..12 {
            match node.create(&uploaded(&format!("{n}.pem"))).await {
                Ok(id) => made.push(id.0),
                Err(CreateError::NameTaken) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        made
    })
    .await;
    let numbers: BTreeSet<i64> = made.iter().flatten().copied().collect();
    assert_eq!((numbers.len(), made.iter().flatten().count()), (12, 12), "each name is given once, with a number of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_another_node_took_over_writes_nothing() {
    let (nodes, _database, _folder) = nodes(2).await;
    let id = nodes[0].create(&applied("a.pem", "a.example.com", at(0))).await.unwrap();
    nodes[0].start_due(at(0), 1).await.unwrap();
    let paused = nodes[0].lease(at(0), at(60), 1).await.unwrap().remove(0);
    assert!(nodes[1].lease(at(59), at(120), 1).await.unwrap().is_empty());
    let taken = nodes[1].lease(at(60), at(120), 1).await.unwrap().remove(0);
    assert_eq!(taken.issuance.id, paused.issuance.id);
    let refused = nodes[0].save(&paused.issuance, paused.fence, at(500)).await.unwrap_err();
    assert!(matches!(refused, StoreError::LeaseLost(_)), "{refused:?}");
    let issued = Outcome::Issued(Box::new(version("a.example.com", at(900))), at(600));
    assert!(matches!(nodes[0].finish(&paused.issuance, paused.fence, &issued).await, Err(StoreError::LeaseLost(_))));
    nodes[1].release(taken.issuance.id, taken.fence, None).await.unwrap();
    assert_eq!(nodes[0].lease(at(61), at(120), 1).await.unwrap().len(), 1, "what was handed back is there for all at once");
    assert_eq!(status(&nodes[0], id).await, ApplyStatus::Issuing);
}

#[tokio::test]
async fn a_start_leaves_the_leases_of_other_nodes_alone() {
    let (nodes, database, folder) = nodes(1).await;
    nodes[0].create(&applied("a.pem", "a.example.com", at(0))).await.unwrap();
    nodes[0].start_due(at(0), 1).await.unwrap();
    nodes[0].lease(at(0), at(60), 1).await.unwrap();
    let second = SqlStore::open_server(&address(database.url()), &options(folder.path())).await.unwrap();
    assert!(second.lease(at(1), at(60), 1).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_changes_void_what_the_others_remember() {
    let (nodes, _database, _folder) = nodes(2).await;
    let mut last = nodes[1].epoch().await.unwrap();
    let id = nodes[0].create(&applied("a.pem", "a.example.com", at(0))).await.unwrap();
    let mut grown = Vec::new();
    let mut look = async |what| {
        let now = nodes[1].epoch().await.unwrap();
        grown.push((what, now.certificates > last.certificates, now.access > last.access));
        last = now;
    };
    look("create").await;
    nodes[0].start_due(at(0), 1).await.unwrap();
    look("start").await;
    let lease = nodes[0].lease(at(0), at(60), 1).await.unwrap().remove(0);
    nodes[0].finish(&lease.issuance, lease.fence, &Outcome::Issued(Box::new(version("a", at(900))), at(600))).await.unwrap();
    look("finish").await;
    nodes[0].change(id, &Change { name: Some("b.pem".into()), ..Change::default() }, at(1)).await.unwrap();
    look("change").await;
    nodes[0].delete(id).await.unwrap();
    look("delete").await;
    nodes[0].set_setting("key", &"value".into()).await.unwrap();
    look("setting").await;
    nodes[0].start_due(at(0), 1).await.unwrap();
    look("nothing due").await;
    let expected: Vec<_> = ["create", "start", "finish", "change", "delete", "setting"].map(|what| (what, true, false)).into();
    assert_eq!(grown, [expected, vec![("nothing due", false, false)]].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nudge_comes_before_the_longest_wait_is_over() {
    let (nodes, database, _folder) = nodes(2).await;
    let listeners = "SELECT COUNT(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND query = 'LISTEN \"certkeep\"'";
    let listening = || async { (database.ask(listeners) == "2\n").then_some(()) };
    // A server waits for nudges all the time; this one is one.
    let waiting = Arc::clone(&nodes[1]);
    let (nudges, mut nudged) = tokio::sync::mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        loop {
            waiting.nudged().await;
            let _ = nudges.send(waiting.epoch().await.unwrap());
        }
    });
    let telling = Arc::clone(&nodes[0]);
    let teller = tokio::spawn(async move {
        loop {
            telling.nudged().await;
        }
    });
    eventually(PATIENCE, "two that listen", listening).await;
    let began = Instant::now();
    for n in 0..6 {
        let before = nodes[1].epoch().await.unwrap();
        nodes[0].set_setting("key", &n.to_string().into()).await.unwrap();
        while nudged.recv().await.unwrap() == before {}
    }
    // Without nudges each of them waits for 850 ms but for the time that the others took of it.
    let took = began.elapsed();
    assert!(took < Duration::from_millis(2000), "{took:?}");
    server.abort();
    teller.abort();
}

#[tokio::test]
async fn of_two_first_settings_one_holds() {
    let (nodes, _database, _folder) = nodes(2).await;
    let one = nodes[0].first_setting("key", &"one".into()).await.unwrap();
    let other = nodes[1].first_setting("key", &"other".into()).await.unwrap();
    assert_eq!((one.expose_secret(), other.expose_secret()), ("one", "one"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_cannot_fork_the_audit() {
    let (nodes, database, _folder) = nodes(3).await;
    at_each(&nodes, |node| async move {
        for n in 0..8 {
            node.add_audit(&deed(n)).await.unwrap();
        }
    })
    .await;
    let chain = nodes[0].audit(AuditRange::After(0), 100).await.unwrap();
    assert_eq!(chain.len(), 24);
    assert_eq!(verify(Head::START, &chain), Ok(nodes[1].audit_head().await.unwrap()));
    let raw = raw(&database).await;
    for statement in ["UPDATE audit SET actor = 'x'", "DELETE FROM audit WHERE sequence = 1", "TRUNCATE audit"] {
        let error = sqlx::query(statement).execute(&raw).await.unwrap_err();
        assert!(error.to_string().contains("never changed"), "{statement}: {error}");
    }
    assert_eq!(nodes[2].audit(AuditRange::After(0), 100).await.unwrap(), chain);
}
