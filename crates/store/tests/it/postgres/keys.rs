//! Keys and schema of a shared database.
use std::fs;

use certkeep_core::ports::Settings;
use certkeep_store::{InvalidServerUrl, OpenError, ServerUrl, SqlStore};
use certkeep_testkit::peers::PostgresDatabase;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::{address, options, raw};

#[tokio::test]
async fn nodes_need_the_same_key() {
    let (database, first, second) = (PostgresDatabase::make().await, TempDir::new().unwrap(), TempDir::new().unwrap());
    let url = address(database.url());
    let store = SqlStore::open_server(&url, &options(first.path())).await.unwrap();
    store.set_setting("key", &"value".into()).await.unwrap();

    let refused = SqlStore::open_server(&url, &options(second.path())).await.unwrap_err();
    assert!(matches!(refused, OpenError::KeyMissing { .. }), "{refused:?}");
    assert!(refused.to_string().contains("the database t_"), "{refused}");
    assert!(!second.path().join("sealing.key").exists());

    fs::write(second.path().join("sealing.key"), "0a0b0c0d:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap();
    let refused = SqlStore::open_server(&url, &options(second.path())).await.unwrap_err();
    assert!(matches!(refused, OpenError::WrongKey { .. }), "{refused:?}");

    fs::copy(first.path().join("sealing.key"), second.path().join("sealing.key")).unwrap();
    let store = SqlStore::open_server(&url, &options(second.path())).await.unwrap();
    assert_eq!(store.setting("key").await.unwrap().unwrap().expose_secret(), "value");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_nodes_that_each_made_a_key_one_is_let_in() {
    let database = PostgresDatabase::make().await;
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let url = address(database.url());
            tokio::spawn(async move {
                let folder = TempDir::new().unwrap();
                SqlStore::open_server(&url, &options(folder.path())).await.map(|_| ())
            })
        })
        .collect();
    let mut let_in = 0;
    for opened in opening {
        match opened.await.unwrap() {
            Ok(()) => let_in += 1,
            Err(OpenError::KeyMissing { .. } | OpenError::WrongKey { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(let_in, 1);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (database, folder) = (PostgresDatabase::make().await, TempDir::new().unwrap());
    let url = address(database.url());
    SqlStore::open_server(&url, &options(folder.path())).await.unwrap().close().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'newer', true, ''::bytea, 0)",
    )
    .execute(&raw(&database).await)
    .await
    .unwrap();
    let refused = SqlStore::open_server(&url, &options(folder.path())).await.unwrap_err();
    assert!(matches!(refused, OpenError::NewerSchema { version: 9999, .. }), "{refused:?}");
}

#[test]
fn an_address_names_a_database_and_is_not_shown() {
    for wrong in ["", "sqlite:///a", "postgres://host", "postgres://u:planted@host:port/db", "mysql://u:planted@host/db"] {
        assert_eq!(ServerUrl::new(&wrong.into()).unwrap_err(), InvalidServerUrl, "{wrong}");
    }
    let right = ServerUrl::new(&"postgres://u:planted@host/db?sslmode=require".into()).unwrap();
    assert_eq!(format!("{right:?}"), "ServerUrl { name: \"db at host:5432\", .. }");
}
