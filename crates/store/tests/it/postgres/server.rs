//! A server that comes and goes.
use certkeep_core::ports::{Certificates, Settings, StoreError};
use certkeep_store::{OpenError, SqlStore};
use certkeep_testkit::peers::{PostgresDatabase, PostgresServer, TcpProxy};
use certkeep_testkit::wait::{PATIENCE, eventually};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::time::{Duration, timeout};

use super::{address, options, raw};
use crate::fixtures::uploaded;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_call_after_a_restart_works() {
    let (mut server, folder) = (PostgresServer::start().await, TempDir::new().unwrap());
    let store = SqlStore::open_server(&address(server.url()), &options(folder.path())).await.unwrap();
    store.set_setting("key", &"before".into()).await.unwrap();
    let id = store.create(&uploaded("a.pem")).await.unwrap();
    server.stop();
    server.resume().await;
    assert_eq!(store.setting("key").await.unwrap().unwrap().expose_secret(), "before");
    server.stop();
    server.resume().await;
    store.delete(id).await.unwrap();
    assert!(store.certificate(id).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_is_told_without_its_password() {
    let (mut server, folder) = (PostgresServer::start().await, TempDir::new().unwrap());
    let store = SqlStore::open_server(&address(server.url()), &options(folder.path())).await.unwrap();
    server.stop();
    let password = server.url().split(['@', ':']).nth(2).unwrap().to_owned();
    for failed in [store.setting("key").await.unwrap_err(), store.set_setting("key", &"value".into()).await.unwrap_err()] {
        assert!(matches!(failed, StoreError::Unavailable { .. }), "{failed:?}");
        assert!(!format!("{failed} {failed:?} {store:?}").contains(&password));
    }
    let refused = SqlStore::open_server(&address(server.url()), &options(folder.path())).await.unwrap_err();
    assert!(matches!(refused, OpenError::Database { .. }), "{refused:?}");
    assert!(refused.to_string().contains("postgres at 127.0.0.1:") && refused.to_string().contains("[store] url"), "{refused}");
    assert!(!format!("{refused} {refused:?} {:?}", address(server.url())).contains(&password));
    server.resume().await;
    store.set_setting("key", &"value".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_whose_connection_is_cut_is_done_again() {
    let (database, folder) = (PostgresDatabase::make().await, TempDir::new().unwrap());
    let store = SqlStore::open_server(&address(database.url()), &options(folder.path())).await.unwrap();
    let other = raw(&database).await;
    // Holds up whoever adds an entry, in the midst of its transaction.
    let mut blocker = other.begin().await.unwrap();
    sqlx::query("UPDATE numbers SET last = last WHERE name = 'certificates'").execute(&mut *blocker).await.unwrap();
    let adding = tokio::spawn({
        let store = store.clone();
        async move { store.create(&uploaded("a.pem")).await }
    });
    let waiting = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE numbers%'";
    let cut = || async { (sqlx::query(waiting).fetch_all(&other).await.unwrap().len() == 1).then_some(()) };
    certkeep_testkit::wait::eventually(certkeep_testkit::wait::PATIENCE, "a transaction that waits", cut).await;
    blocker.rollback().await.unwrap();
    let id = adding.await.unwrap().unwrap();
    assert_eq!(store.certificate(id).await.unwrap().unwrap().name, "a.pem");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_verified_where_that_is_asked_for() {
    let (server, other, folder) = (PostgresServer::start().await, PostgresServer::start().await, TempDir::new().unwrap());
    let verified =
        |url: String, by: &PostgresServer| format!("{url}?sslmode=verify-full&sslrootcert={}", by.certificate().display());
    let right = verified(server.url(), &server);
    SqlStore::open_server(&address(right.clone()), &options(folder.path())).await.unwrap();
    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let db = sqlx::PgPool::connect(&right).await.unwrap();
    assert!(sqlx::query_scalar::<_, bool>(encrypted).fetch_one(&db).await.unwrap());
    let wrong = verified(server.url(), &other);
    let refused = SqlStore::open_server(&address(wrong), &options(folder.path())).await.unwrap_err();
    assert!(matches!(refused, OpenError::Database { .. }), "{refused:?}");
}

/// What an answer may take that does not come, and the queue behind one connection.
const BOUND: Duration = Duration::from_secs(20);

/// A store behind a proxy, which has connections that write and read.
async fn behind(proxy: &TcpProxy, server: &PostgresServer, folder: &TempDir) -> SqlStore {
    let store = SqlStore::open_server(&address(server.url_by(proxy.address())), &options(folder.path())).await.unwrap();
    store.set_setting("key", &"before".into()).await.unwrap();
    assert!(store.setting("key").await.unwrap().is_some());
    store
}

/// The network swallows everything, and nobody is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_network_swallows_is_given_up_and_the_next_call_works_once_it_is_well() {
    let (server, folder) = (PostgresServer::start().await, TempDir::new().unwrap());
    let proxy = TcpProxy::start(server.address()).await;
    let store = behind(&proxy, &server, &folder).await;
    proxy.stall();
    let calls = timeout(BOUND, async {
        let writing = async { store.set_setting("key", &"lost".into()).await };
        let creating = async { store.create(&uploaded("a.pem")).await };
        tokio::join!(writing, store.setting("key"), creating)
    });
    let (written, read, created) = calls.await.expect("every call ends");
    assert!(matches!(written.unwrap_err(), StoreError::Unavailable { .. }));
    assert!(matches!(read.unwrap_err(), StoreError::Unavailable { .. }));
    assert!(created.is_err());
    proxy.resume();
    let again = async || store.set_setting("key", &"after".into()).await;
    eventually(PATIENCE, "the connections to be made anew", || async { again().await.ok() }).await;
    assert_eq!(store.setting("key").await.unwrap().unwrap().expose_secret(), "after");
}

/// Whatever is on its way when the network stops, and is given up by who waits for it: its connection, which never hears of
/// anything again, must not be the only writer for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_given_up_lets_the_next_one_write() {
    let (server, folder) = (PostgresServer::start().await, TempDir::new().unwrap());
    let proxy = TcpProxy::start(server.address()).await;
    let store = behind(&proxy, &server, &folder).await;
    for n in 0..6 {
        let writing = tokio::spawn({
            let store = store.clone();
            async move {
                loop {
                    let _ = store.set_setting("key", &"value".into()).await;
                }
            }
        });
        // Wherever the writer is by then: at a statement, at its end, on the way back into the pool.
        tokio::time::sleep(Duration::from_micros(500 * n)).await;
        proxy.lose();
        writing.abort();
        let _ = writing.await;
        let again = async || store.set_setting("key", &"after".into()).await;
        eventually(PATIENCE, "a new connection", || async { again().await.ok() }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_or_half_closed_are_made_anew() {
    let (server, folder) = (PostgresServer::start().await, TempDir::new().unwrap());
    let proxy = TcpProxy::start(server.address()).await;
    let store = behind(&proxy, &server, &folder).await;
    for end in [TcpProxy::cut, TcpProxy::half_close] {
        end(&proxy);
        assert!(store.setting("key").await.unwrap().is_some());
        end(&proxy);
        store.set_setting("key", &"value".into()).await.unwrap();
    }
}
