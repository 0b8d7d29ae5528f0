//! What a node that has nothing to do asks of the server: by the statement, which the server logs, and not by the time.
use certkeep_core::ports::{Issuances, Renewals, Store};
use certkeep_store::SqlStore;
use certkeep_testkit::peers::PostgresServer;
use tempfile::TempDir;

use super::{address, options};
use crate::fixtures::{FAST, at};

fn statements(server: &PostgresServer) -> usize {
    server.log().lines().filter(|line| line.contains("LOG:  statement:") || line.contains("LOG:  execute ")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_the_epoch_is_one_statement() {
    let (mut server, folder) = (PostgresServer::start_with(&["log_statement=all"]).await, TempDir::new().unwrap());
    let store = SqlStore::open_server(&address(server.url()), &options(folder.path())).await.unwrap();
    let known = store.epoch().await.unwrap();
    let before = statements(&server);
    for _ in 0..10 {
        assert_eq!(store.epoch().await.unwrap(), known);
    }
    assert_eq!(statements(&server) - before, 10);
    // A connection that was lost is made anew.
    server.stop();
    server.resume().await;
    assert_eq!(store.epoch().await.unwrap(), known);
    // It does not keep the store from closing.
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_for_due_work_where_there_is_none_is_few_statements() {
    let (server, folder) = (PostgresServer::start_with(&["log_statement=all"]).await, TempDir::new().unwrap());
    let store = SqlStore::open_server(&address(server.url()), &options(folder.path())).await.unwrap();
    let look = async || {
        assert_eq!(store.start_due(at(0), 64, FAST).await.unwrap(), 0);
        assert!(store.lease(at(0), at(600), 16).await.unwrap().is_empty());
        assert!(store.due_removals(at(0), 64).await.unwrap().is_empty());
        assert!(store.questions(at(0), at(600), 64).await.unwrap().is_empty());
        assert_eq!(store.next_due().await.unwrap(), None);
    };
    // Connections are made.
    look().await;
    let before = statements(&server);
    look().await;
    let looked = statements(&server) - before;
    // Once a minute: with a look at the epoch each 850 ms this is less than two a second.
    assert!(looked <= 30, "{looked} statements");
}
