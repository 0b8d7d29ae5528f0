//! The sealing keys are rotated while the store is in use.
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use certkeep_core::certificate::{CertificateId, Kind};
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::material::PrivateKey;
use certkeep_core::people::Role;
use certkeep_core::people::totp::TotpSecret;
use certkeep_core::ports::{Settings, Store, StoreError, Upload, UserChange};
use certkeep_store::{Location, RotateError, Rotation, SqlStore, rotate_keys};
use certkeep_testkit::peers::PostgresDatabase;
use certkeep_testkit::wait::{PATIENCE, eventually};
use secrecy::{ExposeSecret, SecretSlice};
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, Row};
use tempfile::TempDir;

use crate::contract::people::user;
use crate::fixtures::{API_TOKEN, PRIVATE_KEY, at, entry, leased, record, uploaded};
use crate::postgres::{address, options};

/// More than are sealed anew in one transaction.
const SETTINGS: usize = 230;

/// Where a store is, and how its database is looked at without it.
struct Case {
    location: Location,
    raw: AnyPool,
    /// Table and column of everything whose name says that it is sealed.
    columns: &'static str,
    folder: TempDir,
    _database: Option<PostgresDatabase>,
}

async fn raw(url: &str) -> AnyPool {
    sqlx::any::install_default_drivers();
    AnyPoolOptions::new().max_connections(1).connect_lazy(url).unwrap()
}

async fn on_sqlite() -> Case {
    let folder = TempDir::new().unwrap();
    let raw = raw(&format!("sqlite://{}", folder.path().join("certkeep.db").display())).await;
    let columns = r"SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c
                    WHERE t.type = 'table' AND c.name LIKE 'sealed\_%' ESCAPE '\'";
    Case { location: options(folder.path()).into(), raw, columns, folder, _database: None }
}

async fn on_postgres() -> Case {
    let (folder, database) = (TempDir::new().unwrap(), PostgresDatabase::make().await);
    let location = Location { options: options(folder.path()), server: Some(address(database.url())) };
    let columns = r"SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns
                    WHERE table_schema = current_schema() AND column_name LIKE 'sealed\_%'";
    Case { location, raw: raw(&database.url()).await, columns, folder, _database: Some(database) }
}

/// The ids of the keys in a folder's key file, in their order.
fn key_ids(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("sealing.key")).unwrap();
    text.lines().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).filter(|id| id.len() == 8).collect()
}

impl Case {
    /// Rotates as far as it goes.
    async fn rotate(&self) -> Result<Rotation, RotateError> {
        match rotate_keys(&self.location, false).await? {
            Rotation::Waiting { .. } => rotate_keys(&self.location, true).await,
            done @ Rotation::Done { .. } => Ok(done),
        }
    }

    /// Each sealed value with its place, and the key that it is sealed under.
    async fn sealed(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let columns: Vec<(String, String)> = sqlx::query_as(self.columns).fetch_all(&self.raw).await.unwrap();
        assert!(columns.len() >= 10, "{columns:?}");
        for (table, column) in columns {
            let select = sqlx::AssertSqlSafe(format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL"));
            let rows = sqlx::query(select).fetch_all(&self.raw).await.unwrap();
            assert!(!rows.is_empty(), "nothing in {table}.{column} shows whether it is sealed anew");
            for row in rows {
                let octets: Vec<u8> = row.get(0);
                let id = octets[1..5].iter().map(|octet| format!("{octet:02x}")).collect();
                found.push((format!("{table}.{column}"), id));
            }
        }
        found
    }

    async fn is_all_under(&self, key: &str) {
        for (place, id) in self.sealed().await {
            assert_eq!(id, key, "{place}");
        }
    }
}

/// Puts something into every sealed column; answers an entry with a key, and one that is applied for.
async fn fill(store: &Arc<dyn Store>) -> (CertificateId, CertificateId) {
    for n in 0..SETTINGS {
        store.set_setting(&format!("setting {n}"), &"value".into()).await.unwrap();
    }
    store.set_setting("", &"nameless".into()).await.unwrap();
    let held = store.create(&uploaded("held.pem")).await.unwrap();
    let (wanted, lease) = leased(store, "wanted.pem").await;
    let mut saved = lease.issuance.clone();
    saved.key = Some(PrivateKey::from_pkcs8(PRIVATE_KEY.into()));
    store.save(&saved, lease.fence, at(60)).await.unwrap();
    store.journal(vec![record(&saved, "value")], lease.fence).await.unwrap();
    let content = SecretSlice::from(b"content".to_vec());
    let upload = Upload { kind: Kind::Server, name: "u".into(), content, password: Some("p".into()), kept: at(0) };
    assert!(store.keep_upload(&upload, 10).await.unwrap());
    let account = AcmeAccount { directory: "https://ca.test/".into(), credentials: "credentials".into(), registered: true };
    store.keep_acme_account(&account).await.unwrap();
    let anna = user(store, "anna", Role::Admin).await;
    store.change_user(anna, &UserChange::TotpProposed(TotpSecret::new(b"shared".to_vec()))).await.unwrap();
    (held, wanted)
}

/// Everything that [`fill`] put there is read back.
async fn check(store: &Arc<dyn Store>, (held, wanted): (CertificateId, CertificateId)) {
    for n in 0..SETTINGS {
        assert_eq!(store.setting(&format!("setting {n}")).await.unwrap().unwrap().expose_secret(), "value");
    }
    assert_eq!(store.setting("").await.unwrap().unwrap().expose_secret(), "nameless");
    let version = store.current_version(held).await.unwrap().unwrap();
    assert!(version.key.unwrap().expose_pkcs8().starts_with(PRIVATE_KEY.as_bytes()));
    assert_eq!(entry(store, wanted).await.name, "wanted.pem");
    let lease = store.lease(at(61), at(120), 10).await.unwrap().remove(0);
    assert_eq!(lease.issuance.key.as_ref().unwrap().expose_pkcs8(), PRIVATE_KEY.as_bytes());
    assert!(lease.issuance.application.auth.iter().any(|entry| format!("{:?}", entry.k).contains("apitoken")));
    let records = store.records(lease.issuance.id).await.unwrap();
    assert_eq!((records.len(), &records[0].auth), (1, &lease.issuance.application.auth));
    assert!(matches!(&records[0].auth[0].value,
        certkeep_core::application::AuthValue::Text(text) if text.expose_secret() == API_TOKEN));
    let upload = store.upload(Kind::Server, "u", at(-1)).await.unwrap().unwrap();
    assert_eq!((upload.content.expose_secret(), upload.password.unwrap().expose_secret()), (&b"content"[..], "p"));
    assert_eq!(store.acme_account("https://ca.test/").await.unwrap().unwrap().credentials.expose_secret(), "credentials");
    assert_eq!(store.user("anna").await.unwrap().unwrap().totp.unwrap().octets(), b"shared");
}

async fn services_go_on_and_nothing_is_left_under_the_old_key(case: Case) {
    let serving: Arc<dyn Store> = Arc::new(case.location.serve().await.unwrap());
    let filled = fill(&serving).await;
    let asleep = case.location.visit().await.unwrap();
    let old = key_ids(case.folder.path());

    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let busy = tokio::spawn({
        let (serving, stop, written) = (Arc::clone(&serving), Arc::clone(&stop), Arc::clone(&written));
        async move {
            while !stop.load(Ordering::SeqCst) {
                let n = written.fetch_add(1, Ordering::SeqCst).to_string();
                serving.set_setting(&n, &n.as_str().into()).await.unwrap();
                assert_eq!(serving.setting(&n).await.unwrap().unwrap().expose_secret(), n);
                // A table that is looked at first: what is written there later is not looked at again.
                serving
                    .keep_acme_account(&AcmeAccount {
                        directory: format!("https://ca{n}.test/"),
                        credentials: "credentials".into(),
                        registered: false,
                    })
                    .await
                    .unwrap();
            }
        }
    });
    let begun = || async { (written.load(Ordering::SeqCst) > 3).then_some(()) };
    eventually(PATIENCE, "a service that writes", begun).await;
    let rotated = case.rotate().await.unwrap();
    let so_far = written.load(Ordering::SeqCst);
    let goes_on = || async { (written.load(Ordering::SeqCst) > so_far + 3).then_some(()) };
    eventually(PATIENCE, "a service that goes on writing", goes_on).await;
    stop.store(true, Ordering::SeqCst);
    busy.await.unwrap();
    // One that slept through it all, and writes before it has read anything.
    asleep.set_setting("awake", &"value".into()).await.unwrap();

    let new = key_ids(case.folder.path());
    let Rotation::Done { key, sealed, dropped } = rotated else { panic!("{rotated:?}") };
    assert_eq!((vec![key.clone()], dropped), (new, old));
    assert!(sealed >= SETTINGS as u64 + 9, "{sealed}");
    case.is_all_under(&key).await;
    check(&serving, filled).await;
    drop(serving);
    asleep.close().await;
    let again: Arc<dyn Store> = Arc::new(case.location.visit().await.unwrap());
    assert_eq!(again.setting("awake").await.unwrap().unwrap().expose_secret(), "value");
}

async fn a_rotation_that_broke_off_goes_on(case: Case) {
    let serving: Arc<dyn Store> = Arc::new(case.location.serve().await.unwrap());
    let filled = fill(&serving).await;
    let old = key_ids(case.folder.path());
    let good: Vec<u8> = sqlx::query_scalar("SELECT sealed_key FROM versions").fetch_one(&case.raw).await.unwrap();
    let put = |octets: Vec<u8>| sqlx::query("UPDATE versions SET sealed_key = $1").bind(octets).execute(&case.raw);
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    put(bad).await.unwrap();
    let failed = case.rotate().await.unwrap_err();
    assert!(matches!(failed, RotateError::Store(StoreError::Corrupt { .. })), "{failed:?}");
    let between = key_ids(case.folder.path());
    assert_eq!((between.len(), &between[1..]), (2, &old[..]), "both keys are needed");
    assert!(case.sealed().await.iter().any(|(_, id)| *id == between[0]), "some of it is done");
    put(good).await.unwrap();
    check(&serving, filled).await;

    let rotated = rotate_keys(&case.location, false).await.unwrap();
    let Rotation::Done { key, dropped, .. } = rotated else { panic!("{rotated:?}") };
    assert_eq!((&key, dropped), (&between[0], old), "no further key was made");
    assert_eq!(key_ids(case.folder.path()), [key.as_str()]);
    case.is_all_under(&key).await;
    // The next one begins anew.
    let Rotation::Done { key: third, dropped, .. } = case.rotate().await.unwrap() else { panic!("not done") };
    assert_eq!(dropped, [key.as_str()]);
    case.is_all_under(&third).await;
}

/// The same on both databases.
macro_rules! on_both {
    ($($sentence:ident),+) => {
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() { super::$sentence(super::on_sqlite().await).await; }
        )+ }
        mod postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() { super::$sentence(super::on_postgres().await).await; }
        )+ }
    };
}

on_both!(services_go_on_and_nothing_is_left_under_the_old_key, a_rotation_that_broke_off_goes_on);

#[tokio::test]
async fn two_do_not_rotate_at_once() {
    let case = on_sqlite().await;
    case.location.visit().await.unwrap().close().await;
    let lock = fs::File::create(case.folder.path().join("rotation.lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(case.rotate().await.unwrap_err(), RotateError::UnderWay));
    assert_eq!(key_ids(case.folder.path()).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_elsewhere_needs_the_new_key_before_it_is_used() {
    let case = on_postgres().await;
    let here = case.location.serve().await.unwrap();
    let node = |folder: &TempDir| Location { options: options(folder.path()), ..case.location.clone() };
    let copy_key = |to: &TempDir| fs::copy(case.folder.path().join("sealing.key"), to.path().join("sealing.key")).unwrap();
    let (told, untold) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    copy_key(&told);
    copy_key(&untold);
    let (there, nowhere): (SqlStore, SqlStore) = (node(&told).serve().await.unwrap(), node(&untold).serve().await.unwrap());

    let waiting = rotate_keys(&case.location, true).await.unwrap();
    assert!(matches!(waiting, Rotation::Waiting { .. }), "nobody can have the key yet: {waiting:?}");
    assert_eq!(rotate_keys(&case.location, false).await.unwrap(), waiting, "it is the same key still");
    let ids = key_ids(case.folder.path());
    copy_key(&told);
    here.set_setting("before", &"value".into()).await.unwrap();

    let rotated = rotate_keys(&case.location, true).await.unwrap();
    let Rotation::Done { key, .. } = rotated else { panic!("{rotated:?}") };
    assert_eq!(key, ids[1]);
    there.set_setting("there", &"value".into()).await.unwrap();
    assert_eq!(here.setting("there").await.unwrap().unwrap().expose_secret(), "value");
    let refused = nowhere.set_setting("nowhere", &"value".into()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    // Its file still names the old key first.
    there.close().await;
    let there = node(&told).serve().await.unwrap();
    there.set_setting("again", &"value".into()).await.unwrap();
    for row in sqlx::query("SELECT sealed_value FROM settings").fetch_all(&case.raw).await.unwrap() {
        let octets: Vec<u8> = row.get(0);
        assert_eq!(octets[1..5].iter().map(|octet| format!("{octet:02x}")).collect::<String>(), key);
    }
}
