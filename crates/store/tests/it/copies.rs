//! Stores that are copied from one database to the other.
use std::fs;
use std::path::Path;
use std::sync::Arc;

use certkeep_core::audit::{Head, verify};
use certkeep_core::certificate::{Kind, ListQuery, SortBy};
use certkeep_core::client::{ClientRole, Digest};
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::people::Role;
use certkeep_core::ports::{Audit, AuditRange, BlockSubject, Certificates, Opening, Settings, Store, Upload};
use certkeep_store::{CopyError, Location, OpenError, SqlStore, copy};
use certkeep_testkit::peers::PostgresDatabase;
use secrecy::{ExposeSecret, SecretSlice};
use tempfile::TempDir;

use crate::contract::audit::deed;
use crate::contract::clients::pair;
use crate::contract::people::{token, user};
use crate::fixtures::{API_TOKEN, applied, at, leased, minutes, record, renewed, trusted, uploaded};
use crate::postgres::{address, options, raw};

/// The tables that have rows in a folder that is [`filled`].
const FILLED: [&str; 20] = [
    "acme_accounts",
    "api_tokens",
    "audit",
    "audit_head",
    "browser_sessions",
    "certificate_counts",
    "certificates",
    "challenge_records",
    "clients",
    "epoch",
    "failed_logins",
    "issuances",
    "numbers",
    "sealing_keys",
    "sessions",
    "settings",
    "setup_token",
    "uploads",
    "users",
    "versions",
];
/// More rows than are copied at once.
const ENTRIES: usize = 620;

/// A folder with something in each of these tables.
async fn filled() -> TempDir {
    let folder = TempDir::new().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqlStore::open_exclusive(&options(folder.path())).await.unwrap());
    for n in 0..ENTRIES {
        store.create(&trusted(&format!("trusted-{n}.pem"))).await.unwrap();
    }
    store.create(&uploaded("b.pem")).await.unwrap();
    store.create(&renewed("c.pem", at(500))).await.unwrap();
    let gone = store.create(&uploaded("gone.pem")).await.unwrap();
    store.delete(gone).await.unwrap();
    let (_, lease) = leased(&store, "leased.pem").await;
    store.journal(vec![record(&lease.issuance, "value")], lease.fence).await.unwrap();
    assert!(store.add_client("pbx", "id", Digest::of("secret"), ClientRole::Admin, &[]).await.unwrap());
    let (client, secret) = store.client("id").await.unwrap().unwrap();
    let opened = store.open_session(client.key, &secret, &pair("token", 0), at(0), 10).await.unwrap();
    assert_eq!(opened, Opening::Opened);
    let content = SecretSlice::from(b"content".to_vec());
    let upload = Upload { kind: Kind::Server, name: "u".into(), content, password: Some("p".into()), kept: at(0) };
    assert!(store.keep_upload(&upload, 10).await.unwrap());
    let subject = BlockSubject::Credential(Digest::of("wrong"));
    store.failed_login(&subject, at(0), 5, minutes(10)).await.unwrap();
    let account = AcmeAccount { directory: "https://ca.test/".into(), credentials: "credentials".into(), registered: true };
    store.keep_acme_account(&account).await.unwrap();
    store.set_setting("key", &"value".into()).await.unwrap();
    store.set_setup_token(&Digest::of("setup")).await.unwrap();
    let anna = user(&store, "anna", Role::Admin).await;
    store.add_api_token(&token("ci", Some(anna))).await.unwrap().unwrap();
    let password = store.user("anna").await.unwrap().unwrap().password;
    assert!(store.open_browser_session(anna, &password, &Digest::of("browser"), at(0)).await.unwrap());
    store.add_audit(&deed(0)).await.unwrap();
    store.add_audit(&deed(1)).await.unwrap();
    folder
}

fn in_folder(folder: &Path) -> Location {
    options(folder).into()
}

fn in_database(database: &PostgresDatabase, folder: &Path) -> Location {
    Location { options: options(folder), server: Some(address(database.url())) }
}

fn share_key(from: &TempDir, with: &TempDir) {
    fs::copy(from.path().join("sealing.key"), with.path().join("sealing.key")).unwrap();
}

/// What the port shows of a store.
async fn shown(store: &SqlStore) -> String {
    let query = ListQuery { page: 1, page_size: 1000, sort_by: SortBy::Name, descending: false, kind: None };
    let mut text = format!("{:?}", store.list(&query).await.unwrap());
    text += store.setting("key").await.unwrap().unwrap().expose_secret();
    for certificate in store.list(&query).await.unwrap().rows {
        let version = store.current_version(certificate.id).await.unwrap();
        let key = version.as_ref().and_then(|version| version.key.as_ref()).map(|key| key.expose_pkcs8().to_vec());
        text += &format!("{version:?}{key:?}");
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_goes_to_postgresql_and_back_without_loss() {
    let (database, first, back) = (PostgresDatabase::make().await, filled().await, TempDir::new().unwrap());
    // The same folder, and the same key, with the database elsewhere.
    let there = copy(&in_folder(first.path()), &in_database(&database, first.path())).await.unwrap();
    let filled: Vec<&str> = there.iter().filter(|table| table.rows > 0).map(|table| table.name.as_str()).collect();
    for table in FILLED {
        assert!(filled.contains(&table), "{table} is not among {there:?}");
    }
    let entries = there.iter().find(|table| table.name == "certificates").unwrap();
    assert_eq!(entries.rows, ENTRIES as u64 + 3);
    share_key(&first, &back);
    let returned = copy(&in_database(&database, first.path()), &in_folder(back.path())).await.unwrap();
    assert_eq!(returned, there);

    let stores = [
        SqlStore::open_exclusive(&options(first.path())).await.unwrap(),
        SqlStore::open_server(&address(database.url()), &options(first.path())).await.unwrap(),
        SqlStore::open_exclusive(&options(back.path())).await.unwrap(),
    ];
    let original = shown(&stores[0]).await;
    for store in &stores {
        assert!(shown(store).await == original);
        let parameters = store.certificate_by_name("c.pem").await.unwrap().unwrap();
        assert!(format!("{parameters:?}").contains("cloudflare") && !format!("{parameters:?}").contains(API_TOKEN));
        let third = store.add_audit(&deed(2)).await.unwrap();
        assert_eq!(third.sequence, 3);
        let chain = store.audit(AuditRange::After(0), 10).await.unwrap();
        assert_eq!(verify(Head::START, &chain), Ok(store.audit_head().await.unwrap()), "the chain goes on");
        let next = store.create(&applied("next.pem", "a.example.com", at(0))).await.unwrap();
        assert_eq!(next.0, ENTRIES as i64 + 5, "numbers go on, also past what was deleted last");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_broken_off_is_not_opened_and_goes_on() {
    let (database, folder) = (PostgresDatabase::make().await, filled().await);
    let (from, to) = (in_folder(folder.path()), in_database(&database, folder.path()));
    let whole = copy(&from, &to).await.unwrap();
    let db = raw(&database).await;
    for statement in [
        "DELETE FROM certificates WHERE id > 300",
        "DELETE FROM sessions",
        "DELETE FROM uploads",
        "UPDATE numbers SET last = 0",
        "INSERT INTO settings (name, sealed_value) VALUES ('store.copy', '')",
    ] {
        sqlx::query(statement).execute(&db).await.unwrap();
    }
    let refused = to.serve().await.unwrap_err();
    assert!(matches!(refused, OpenError::HalfCopied(_)), "{refused:?}");
    assert!(refused.to_string().contains("certkeep store copy"));
    assert_eq!(copy(&from, &to).await.unwrap(), whole);
    assert_eq!(copy(&from, &to).await.unwrap(), whole, "and once more, for nothing");
    to.serve().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_else_is_written_over() {
    let (database, folder) = (PostgresDatabase::make().await, filled().await);
    let (from, to) = (in_folder(folder.path()), in_database(&database, folder.path()));
    let other = to.serve().await.unwrap();
    other.create(&uploaded("other.pem")).await.unwrap();
    other.close().await;
    let refused = copy(&from, &to).await.unwrap_err();
    assert!(matches!(refused, CopyError::OtherData { .. }), "{refused:?}");
    let other = to.serve().await.unwrap();
    assert!(other.certificate_by_name("other.pem").await.unwrap().is_some(), "it opens as before");
    assert!(other.certificate_by_name("b.pem").await.unwrap().is_none());

    let refused = copy(&to, &to).await.unwrap_err();
    assert!(matches!(refused, CopyError::Same(_)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_served_is_neither_copied_nor_written_to() {
    let (folder, empty) = (filled().await, TempDir::new().unwrap());
    share_key(&folder, &empty);
    let nowhere = empty.path().join("nowhere");
    let refused = copy(&in_folder(&nowhere), &in_folder(empty.path())).await.unwrap_err();
    assert!(matches!(refused, CopyError::Nothing(_)) && !nowhere.exists(), "{refused:?}");
    for served in [&folder, &empty] {
        let server = SqlStore::open_exclusive(&options(served.path())).await.unwrap();
        let refused = copy(&in_folder(folder.path()), &in_folder(empty.path())).await.unwrap_err();
        assert!(matches!(refused, CopyError::Open(OpenError::Busy(_))), "{refused:?}");
        server.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_need_the_same_keys() {
    let (database, folder, elsewhere) = (PostgresDatabase::make().await, filled().await, TempDir::new().unwrap());
    let to = in_database(&database, elsewhere.path());
    let refused = copy(&in_folder(folder.path()), &to).await.unwrap_err();
    assert!(matches!(refused, CopyError::Open(OpenError::KeyMissing { .. })), "{refused:?}");
    fs::write(elsewhere.path().join("sealing.key"), "0a0b0c0d:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap();
    let refused = copy(&in_folder(folder.path()), &to).await.unwrap_err();
    assert!(matches!(refused, CopyError::Open(OpenError::WrongKey { .. })), "{refused:?}");
    share_key(&folder, &elsewhere);
    copy(&in_folder(folder.path()), &to).await.unwrap();
}
