use std::fs;

use certkeep_core::ports::{Certificates, Settings};
use certkeep_store::{OpenError, Options, SqlStore};
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::{options, raw};
use crate::fixtures::uploaded;

async fn made() -> TempDir {
    let folder = TempDir::new().unwrap();
    let store = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    store.set_setting("key", &"value".into()).await.unwrap();
    store.close().await;
    folder
}

#[tokio::test]
async fn a_missing_key_refuses_and_is_not_replaced() {
    let folder = made().await;
    fs::remove_file(folder.path().join("sealing.key")).unwrap();
    let refused = SqlStore::open_exclusive(&options(folder.path())).await.unwrap_err();
    assert!(matches!(refused, OpenError::KeyMissing { .. }));
    let sentence = refused.to_string();
    assert!(sentence.contains("sealed with a key that is not there") && sentence.contains("[store] key_file"), "{sentence}");
    assert!(sentence.contains(folder.path().to_str().unwrap()));
    assert!(!folder.path().join("sealing.key").exists());
}

#[tokio::test]
async fn another_key_refuses() {
    let folder = made().await;
    let other = made().await;
    // Another id, and another key under the same id.
    let id = fs::read_to_string(folder.path().join("sealing.key")).unwrap();
    let id = id.lines().last().unwrap().split_once(':').unwrap().0.to_owned();
    let forged = format!("{id}:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
    for text in [fs::read_to_string(other.path().join("sealing.key")).unwrap(), forged] {
        fs::write(folder.path().join("sealing.key"), text).unwrap();
        for refused in [
            SqlStore::open_exclusive(&options(folder.path())).await.unwrap_err(),
            SqlStore::open_shared(&options(folder.path())).await.unwrap_err(),
        ] {
            assert!(matches!(refused, OpenError::WrongKey { .. }), "{refused:?}");
            assert!(refused.to_string().contains("put the right key file there"));
        }
    }
}

#[tokio::test]
async fn a_damaged_key_file_refuses() {
    let folder = made().await;
    fs::write(folder.path().join("sealing.key"), "# remark\nnonsense\n").unwrap();
    let refused = SqlStore::open_exclusive(&options(folder.path())).await.unwrap_err();
    assert!(matches!(refused, OpenError::KeyFileDamaged { line: 2, .. }));
    assert!(!format!("{refused} {refused:?}").contains("nonsense"));
    fs::remove_file(folder.path().join("sealing.key")).unwrap();
    fs::create_dir(folder.path().join("sealing.key")).unwrap();
    let refused = SqlStore::open_exclusive(&options(folder.path())).await.unwrap_err();
    assert!(matches!(refused, OpenError::KeyFile { .. }));
}

#[tokio::test]
async fn a_new_first_key_seals_and_the_old_one_still_opens() {
    let folder = made().await;
    let path = folder.path().join("sealing.key");
    let old = fs::read_to_string(&path).unwrap();
    let new = "0a0b0c0d:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    fs::write(&path, format!("{new}\n{old}")).unwrap();
    let store = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    assert_eq!(store.setting("key").await.unwrap().unwrap().expose_secret(), "value");
    store.set_setting("new", &"value".into()).await.unwrap();
    store.close().await;
    // Both have sealed: without either the folder does not open.
    for text in [new.to_owned(), old.clone()] {
        fs::write(&path, text).unwrap();
        let refused = SqlStore::open_exclusive(&options(folder.path())).await.unwrap_err();
        assert!(matches!(refused, OpenError::WrongKey { .. }));
    }
    fs::write(&path, format!("{old}{new}")).unwrap();
    let store = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    assert_eq!(store.setting("new").await.unwrap().unwrap().expose_secret(), "value");
}

#[tokio::test]
async fn a_key_file_elsewhere_is_made_and_used() {
    let (folder, keys) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let options = Options { key_file: Some(keys.path().join("my.key")), ..options(folder.path()) };
    let store = SqlStore::open_exclusive(&options).await.unwrap();
    store.set_setting("key", &"value".into()).await.unwrap();
    store.close().await;
    assert!(keys.path().join("my.key").exists() && !folder.path().join("sealing.key").exists());
    let store = SqlStore::open_exclusive(&options).await.unwrap();
    assert_eq!(store.setting("key").await.unwrap().unwrap().expose_secret(), "value");
}

#[tokio::test]
async fn a_value_moved_to_another_row_is_not_read() {
    let folder = made().await;
    let store = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    store.set_setting("other", &"other".into()).await.unwrap();
    let id = store.create(&uploaded("a.pem")).await.unwrap();
    store.create(&uploaded("b.pem")).await.unwrap();
    let db = raw(folder.path()).await;
    sqlx::query("UPDATE settings SET sealed_value = (SELECT sealed_value FROM settings WHERE name = 'other') WHERE name = 'key'")
        .execute(&db)
        .await
        .unwrap();
    sqlx::query("UPDATE versions SET sealed_key = (SELECT MAX(sealed_key) FROM versions v WHERE v.id <> versions.id)")
        .execute(&db)
        .await
        .unwrap();
    let e = store.setting("key").await.unwrap_err();
    assert_eq!(e.to_string(), "settings key cannot be read back");
    assert!(store.current_version(id).await.is_err());
}
