//! Backups of a store in use, and what is restored from them.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use certkeep_core::ports::{Certificates, Settings};
use certkeep_store::{BackupError, Location, SqlStore, backup, restore};
use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::fixtures::uploaded;
use crate::postgres::address;
use crate::sqlite::options;

struct Case {
    folders: TempDir,
    store: SqlStore,
}

impl Case {
    async fn new() -> Case {
        let folders = TempDir::new().unwrap();
        let store = SqlStore::open_exclusive(&options(&folders.path().join("data"))).await.unwrap();
        store.create(&uploaded("a.pem")).await.unwrap();
        store.set_setting("key", &"planted-setting-6b77".into()).await.unwrap();
        Case { folders, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folders.path().join(name)
    }

    fn location(&self, name: &str) -> Location {
        options(&self.path(name)).into()
    }

    async fn back_up(&self) -> PathBuf {
        let file = self.path("backup");
        backup(&self.location("data"), &file, &"right".into()).await.unwrap();
        file
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_was_backed_up_is_restored_as_it_was_then() {
    let case = Case::new().await;
    let file = case.back_up().await;
    case.store.set_setting("key", &"later".into()).await.unwrap();
    assert_eq!(mode(&file), 0o600);
    assert_eq!(names(case.folders.path()), ["backup", "data"], "no draft is left");
    assert!(!names(&case.path("data")).iter().any(|name| name.contains("backup")));
    let octets = fs::read(&file).unwrap();
    for open in ["planted", "a.pem", "SQLite format", "sealing keys"] {
        assert!(!octets.windows(open.len()).any(|window| window == open.as_bytes()), "{open} in the open");
    }

    restore(&file, &case.location("new"), &"right".into()).await.unwrap();
    assert_eq!(names(&case.path("new")), ["certkeep.db", "sealing.key"]);
    for name in names(&case.path("new")) {
        assert_eq!(mode(&case.path("new").join(name)), 0o600);
    }
    assert_eq!(mode(&case.path("new")), 0o700);
    let restored = SqlStore::open_exclusive(&options(&case.path("new"))).await.unwrap();
    assert_eq!(restored.setting("key").await.unwrap().unwrap().expose_secret(), "planted-setting-6b77");
    let id = restored.certificate_by_name("a.pem").await.unwrap().unwrap().id;
    let keys =
        [restored, case.store.clone()].map(|store| async move { store.current_version(id).await.unwrap().unwrap().key.unwrap() });
    let [one, other] = keys;
    assert_eq!(one.await.expose_pkcs8(), other.await.expose_pkcs8());
}

#[tokio::test]
async fn nothing_is_replaced() {
    let case = Case::new().await;
    let file = case.back_up().await;
    let before = fs::read(&file).unwrap();
    let again = backup(&case.location("data"), &file, &"right".into()).await.unwrap_err();
    assert!(matches!(again, BackupError::Exists(_)), "{again:?}");
    assert_eq!(fs::read(&file).unwrap(), before);
    let held = restore(&file, &case.location("data"), &"right".into()).await.unwrap_err();
    assert!(matches!(held, BackupError::Exists(_)), "{held:?}");
    fs::create_dir(case.path("key")).unwrap();
    fs::write(case.path("key/sealing.key"), "something").unwrap();
    let held = restore(&file, &case.location("key"), &"right".into()).await.unwrap_err();
    assert!(matches!(held, BackupError::Exists(_)), "{held:?}");
    assert_eq!(names(&case.path("key")), ["sealing.key"]);
}

#[tokio::test]
async fn what_does_not_open_leaves_no_folder() {
    let case = Case::new().await;
    let file = case.back_up().await;
    let new = case.location("new");
    let wrong = restore(&file, &new, &"wrong".into()).await.unwrap_err();
    assert!(matches!(wrong, BackupError::Passphrase(_)), "{wrong:?}");
    assert!(wrong.to_string().contains("the passphrase is wrong"), "{wrong}");
    let whole = fs::read(&file).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    for damaged in [&whole[..whole.len() - 20], &changed] {
        fs::write(&file, damaged).unwrap();
        let refused = restore(&file, &new, &"right".into()).await.unwrap_err();
        assert!(matches!(refused, BackupError::Damaged(_)), "{refused:?}");
    }
    fs::write(&file, "certkeep, but no backup: this is some other file").unwrap();
    assert!(matches!(restore(&file, &new, &"right".into()).await.unwrap_err(), BackupError::NoBackup(_)));
    assert!(!case.path("new").exists());
}

#[tokio::test]
async fn without_a_folder_of_data_there_is_no_backup() {
    let case = Case::new().await;
    let nothing = backup(&case.location("none"), &case.path("backup"), &"right".into()).await.unwrap_err();
    assert!(matches!(nothing, BackupError::Nothing(_)), "{nothing:?}");
    assert!(!case.path("none").exists() && !case.path("backup").exists());
    let server = Some(address("postgres://u@host/db".into()));
    let elsewhere = Location { server, ..case.location("data") };
    for refused in [
        backup(&elsewhere, &case.path("backup"), &"right".into()).await.unwrap_err(),
        restore(&case.path("backup"), &elsewhere, &"right".into()).await.unwrap_err(),
    ] {
        assert!(refused.to_string().contains("pg_dump"), "{refused}");
    }
}

#[tokio::test]
async fn a_backup_that_cannot_be_written_is_not_there() {
    let case = Case::new().await;
    let file = case.path("none/backup");
    let failed = backup(&case.location("data"), &file, &"right".into()).await.unwrap_err();
    assert!(matches!(failed, BackupError::Io { .. }), "{failed:?}");
    // What one that was killed left behind is in nobody's way.
    fs::write(case.path("data/backup.db.new"), "half").unwrap();
    fs::write(case.path("backup.new"), "half").unwrap();
    let file = case.back_up().await;
    restore(&file, &case.location("new"), &"right".into()).await.unwrap();
}
