use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use certkeep_core::certificate::Kind;
use certkeep_core::client::{ClientRole, Digest};
use certkeep_core::issuance::{AcmeAccount, Step};
use certkeep_core::material::PrivateKey;
use certkeep_core::ports::{Certificates, ClientChange, Clients, Issuances, Outcome, Settings, Store, Upload, Uploads};
use certkeep_store::{OpenError, SqlStore};
use secrecy::{ExposeSecret, SecretSlice};
use tempfile::TempDir;

use super::{options, raw};
use crate::fixtures::{API_TOKEN, PRIVATE_KEY, applied, at, entry, leased, record, uploaded, version};

#[tokio::test]
async fn the_folder_and_its_files_are_the_owners_alone() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("new/data");
    let store = SqlStore::open_exclusive(&options(&folder)).await.unwrap();
    store.set_setting("key", &"value".into()).await.unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut files = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert!(files >= 4, "database, journal, key and lock");
}

#[tokio::test]
async fn a_second_server_is_refused_until_the_first_is_gone() {
    let folder = TempDir::new().unwrap();
    let first = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    let refused = SqlStore::open_exclusive(&options(folder.path())).await.unwrap_err();
    assert!(matches!(refused, OpenError::Busy(_)));
    let sentence = refused.to_string();
    assert!(sentence.contains(folder.path().to_str().unwrap()) && sentence.contains("--data"), "{sentence}");
    drop(first);
    SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
}

#[tokio::test]
async fn short_commands_work_before_the_first_start_and_beside_a_server() {
    let folder = TempDir::new().unwrap();
    let before = SqlStore::open_shared(&options(folder.path())).await.unwrap();
    assert!(before.add_client("a", "1", Digest::of("s"), ClientRole::Admin, &[]).await.unwrap());
    before.close().await;
    let server = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    assert_eq!(server.clients().await.unwrap().len(), 1);
    let epoch = server.epoch().await.unwrap().access;
    let beside = SqlStore::open_shared(&options(folder.path())).await.unwrap();
    assert!(beside.change_client("a", ClientChange::Remove).await.unwrap());
    beside.close().await;
    assert!(server.clients().await.unwrap().is_empty());
    assert!(server.epoch().await.unwrap().access > epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_starts_at_once_agree_on_one_key() {
    let folder = TempDir::new().unwrap();
    let mut starts = tokio::task::JoinSet::new();
    for n in 0..6 {
        let options = options(folder.path());
        starts.spawn(async move {
            let store = SqlStore::open_shared(&options).await.unwrap();
            store.set_setting(&n.to_string(), &"value".into()).await.unwrap();
            store.close().await;
        });
    }
    starts.join_all().await;
    let store = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    for n in 0..6 {
        assert_eq!(store.setting(&n.to_string()).await.unwrap().unwrap().expose_secret(), "value");
    }
}

#[tokio::test]
async fn two_processes_that_write_wait_for_each_other() {
    let folder = TempDir::new().unwrap();
    let one = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    let two = SqlStore::open_shared(&options(folder.path())).await.unwrap();
    let write = |store: SqlStore, side: &'static str| async move {
        for n in 0..50 {
            store.set_setting(&format!("{side} {n}"), &"value".into()).await.unwrap();
            let name = format!("{side} {n}");
            assert!(store.add_client(&name, &name, Digest::of("s"), ClientRole::Admin, &[]).await.unwrap());
        }
    };
    tokio::join!(write(one.clone(), "one"), write(two, "two"));
    assert_eq!(one.clients().await.unwrap().len(), 100);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let parent = TempDir::new().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = SqlStore::open_exclusive(&options(&file.join("data"))).await.unwrap_err();
    assert!(matches!(refused, OpenError::Folder { .. }));
    assert!(refused.to_string().contains("--data"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("certkeep.db"), "this is no database at all ".repeat(50)).unwrap();
    let refused = SqlStore::open_exclusive(&options(folder.path())).await.unwrap_err();
    assert!(matches!(refused, OpenError::Database { .. }), "{refused:?}");
    assert!(!folder.path().join("sealing.key").exists());
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = TempDir::new().unwrap();
    SqlStore::open_exclusive(&options(folder.path())).await.unwrap().close().await;
    let db = raw(folder.path()).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', 1, x'00', 0)",
    )
    .execute(&db)
    .await
    .unwrap();
    db.close().await;
    let refused = SqlStore::open_exclusive(&options(folder.path())).await.unwrap_err();
    assert!(matches!(refused, OpenError::NewerSchema { version: 9999, .. }), "{refused:?}");
    assert!(refused.to_string().contains("newer certkeep"));
    // The lock was given back.
    let again = SqlStore::open_exclusive(&options(folder.path())).await.unwrap_err();
    assert!(matches!(again, OpenError::NewerSchema { .. }));
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let folder = TempDir::new().unwrap();
    let store = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    let id = store.create(&uploaded("a.pem")).await.unwrap();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let (_, lease) = leased(&shared, "b.pem").await;
    let mut saved = lease.issuance.clone();
    saved.step = Step::Presented;
    store.save(&saved, lease.fence, at(60)).await.unwrap();
    store.journal(vec![record(&saved, "value")], lease.fence).await.unwrap();
    // A process that is killed leaves its files as they are at that instant.
    let left = TempDir::new().unwrap();
    for name in ["certkeep.db", "certkeep.db-wal", "sealing.key"] {
        fs::copy(folder.path().join(name), left.path().join(name)).unwrap();
    }
    let store: Arc<dyn Store> = Arc::new(SqlStore::open_exclusive(&options(left.path())).await.unwrap());
    assert_eq!(entry(&store, id).await.name, "a.pem");
    let lease = store.lease(at(60), at(120), 10).await.unwrap().remove(0);
    assert_eq!(lease.issuance.step, Step::Presented);
    assert_eq!(store.records(lease.issuance.id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn no_secret_is_in_any_file() {
    let folder = TempDir::new().unwrap();
    let store = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    let upload = Upload {
        kind: Kind::Server,
        name: "up.p12".into(),
        content: SecretSlice::from(b"planted-upload-content-51c2".to_vec()),
        password: Some("planted-upload-password-08ef".into()),
        kept: at(0),
    };
    store.keep_upload(&upload, 10).await.unwrap();
    store.create(&uploaded("a.pem")).await.unwrap();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let (_, lease) = leased(&shared, "b.pem").await;
    let mut saved = lease.issuance.clone();
    saved.key = Some(PrivateKey::from_pkcs8(PRIVATE_KEY.into()));
    store.save(&saved, lease.fence, at(60)).await.unwrap();
    store.journal(vec![record(&saved, "value")], lease.fence).await.unwrap();
    let issued = Outcome::Issued(Box::new(version("a.example.com", at(100))), at(50));
    store.create(&applied("c.pem", "c.example.com", at(500))).await.unwrap();
    let account = AcmeAccount {
        directory: "https://ca.test/".into(),
        credentials: "planted-account-credentials-e4d0".into(),
        registered: true,
    };
    store.keep_acme_account(&account).await.unwrap();
    store.set_setting("key", &"planted-setting-6b77".into()).await.unwrap();
    let secret = "planted-client-secret-2f9a";
    store.add_client("pbx", "id", Digest::of(secret), ClientRole::Admin, &[]).await.unwrap();

    let planted = |needle: &str| {
        fs::read_dir(folder.path()).unwrap().any(|file| {
            let octets = fs::read(file.unwrap().path()).unwrap();
            octets.windows(needle.len()).any(|window| window == needle.as_bytes())
        })
    };
    let secrets = [PRIVATE_KEY, API_TOKEN, "planted-", "-51c2", "-08ef", "-e4d0", "-6b77", "-2f9a"];
    for secret in secrets {
        assert!(!planted(secret), "{secret} in the open, before the log was folded in");
    }
    store.finish(&saved, lease.fence, &issued).await.unwrap();
    drop(shared);
    store.close().await;
    for secret in secrets {
        assert!(!planted(secret), "{secret} in the open");
    }
    assert!(planted("c.example.com"), "what is no secret can be found this way");
}

#[tokio::test]
async fn old_versions_go_and_the_last_one_stays() {
    let folder = TempDir::new().unwrap();
    let store = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    let id = store.create(&uploaded("a.pem")).await.unwrap();
    for n in 0..4 {
        let change = certkeep_core::ports::Change { version: Some(version("a.example.com", at(100 + n))), ..Default::default() };
        store.change(id, &change, at(0)).await.unwrap();
    }
    let db = raw(folder.path()).await;
    let count = "SELECT COUNT(*) FROM versions";
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&db).await.unwrap(), 2);
    store.delete(id).await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&db).await.unwrap(), 0);
}

#[tokio::test]
async fn a_lease_of_a_server_that_is_gone_is_void_at_the_next_start() {
    let folder = TempDir::new().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqlStore::open_exclusive(&options(folder.path())).await.unwrap());
    let (_, first) = leased(&store, "a.pem").await;
    assert!(store.lease(at(1), at(60), 10).await.unwrap().is_empty());
    drop(store);
    let store = SqlStore::open_exclusive(&options(folder.path())).await.unwrap();
    let second = store.lease(at(1), at(60), 10).await.unwrap().remove(0);
    assert_eq!(second.issuance.id, first.issuance.id);
    assert!(second.fence.0 > first.fence.0);
}
