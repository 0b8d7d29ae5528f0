//! Inventories that are added at once.
use std::sync::Arc;

use certkeep_core::certificate::{ApplyStatus, Kind, ListQuery, Origin, SortBy};
use certkeep_core::ports::{Certificates as _, Store};
use certkeep_store::{IssuedEntry, SqlStore};
use certkeep_testkit::peers::PostgresDatabase;
use tempfile::TempDir;

use crate::fixtures::{FAST, application, at, entry, server, version};
use crate::postgres::{address, options};

fn issued(number: i64) -> IssuedEntry {
    let names = format!("{number}.example.com");
    IssuedEntry {
        name: format!("{names}.pem"),
        application: application(&names),
        version: version(&names, at(5000 + number)),
        renewal: at(1000 + number),
    }
}

async fn added(store: SqlStore) {
    // More than one statement takes.
    let entries: Vec<IssuedEntry> = (1..=120).map(issued).collect();
    store.add_issued(&entries).await.unwrap();
    let query = ListQuery { page: 2, page_size: 100, sort_by: SortBy::Id, descending: false, kind: Some(Kind::Server) };
    let page = store.list(&query).await.unwrap();
    assert_eq!((page.total, page.rows.len()), (120, 20));
    let id = page.rows[19].id;
    let held = store.current_version(id).await.unwrap().unwrap();
    let expected = &entries[119];
    assert_eq!((held.chain, held.held), (expected.version.chain.clone(), expected.version.held.clone()));
    let key = |version: &certkeep_core::ports::Version| version.key.as_ref().unwrap().expose_pkcs8().to_vec();
    assert_eq!(key(&store.current_version(id).await.unwrap().unwrap()), key(&expected.version));

    let store: Arc<dyn Store> = Arc::new(store);
    let found = entry(&store, id).await;
    assert_eq!(
        (found.name.as_str(), found.issue_to(), found.expiration()),
        ("120.example.com.pem", "120.example.com", Some(at(5120)))
    );
    let found = server(&store, id).await;
    assert_eq!((found.origin, found.status), (Origin::Apply, ApplyStatus::IssuanceSuccess));
    assert_eq!(found.application, Some(expected.application.clone()));
    assert_eq!(store.next_due().await.unwrap(), Some(at(1001)));
    assert_eq!(store.start_due(at(1119), 200, FAST).await.unwrap(), 119);
}

async fn nothing_of_it(store: SqlStore) {
    store.add_issued(&[issued(2)]).await.unwrap();
    store.add_issued(&[issued(1), issued(2)]).await.unwrap_err();
    assert!(store.certificate_by_name("1.example.com.pem").await.unwrap().is_none());
}

#[tokio::test]
async fn all_are_as_an_issuance_leaves_them() {
    let folder = TempDir::new().unwrap();
    added(SqlStore::open_exclusive(&options(folder.path())).await.unwrap()).await;
    let (database, folder) = (PostgresDatabase::make().await, TempDir::new().unwrap());
    added(SqlStore::open_server(&address(database.url()), &options(folder.path())).await.unwrap()).await;
}

#[tokio::test]
async fn a_name_that_is_taken_adds_none_of_them() {
    let folder = TempDir::new().unwrap();
    nothing_of_it(SqlStore::open_exclusive(&options(folder.path())).await.unwrap()).await;
}
