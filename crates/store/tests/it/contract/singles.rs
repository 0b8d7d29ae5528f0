use std::sync::Arc;

use certkeep_core::issuance::AcmeAccount;
use certkeep_core::ports::Store;
use secrecy::ExposeSecret;

pub(crate) async fn a_setting_is_read_back_and_replaced(store: Arc<dyn Store>) {
    assert!(store.setting("https_cert").await.unwrap().is_none());
    for value in ["default", "", "ä.pem"] {
        store.set_setting("https_cert", &value.into()).await.unwrap();
        assert_eq!(store.setting("https_cert").await.unwrap().unwrap().expose_secret(), value);
    }
    assert!(store.setting("HTTPS_CERT").await.unwrap().is_none());
}

pub(crate) async fn an_account_is_kept_for_its_directory(store: Arc<dyn Store>) {
    let account = |directory: &str, credentials: &str, registered| AcmeAccount {
        directory: directory.into(),
        credentials: credentials.into(),
        registered,
    };
    assert!(store.acme_account("https://one.test/").await.unwrap().is_none());
    store.keep_acme_account(&account("https://one.test/", "first", false)).await.unwrap();
    store.keep_acme_account(&account("https://two.test/", "other", true)).await.unwrap();
    let one = store.acme_account("https://one.test/").await.unwrap().unwrap();
    assert_eq!((one.credentials.expose_secret(), one.registered), ("first", false));
    store.keep_acme_account(&account("https://one.test/", "second", true)).await.unwrap();
    let one = store.acme_account("https://one.test/").await.unwrap().unwrap();
    assert_eq!((one.directory.as_str(), one.credentials.expose_secret(), one.registered), ("https://one.test/", "second", true));
}

pub(crate) async fn of_those_who_make_an_account_at_once_all_have_the_first(store: Arc<dyn Store>) {
    let account = |number: u32| AcmeAccount {
        directory: "https://one.test/".into(),
        credentials: format!("credentials {number}").into(),
        registered: false,
    };
    let accounts: Vec<AcmeAccount> = (0..8).map(account).collect();
    let kept = futures::future::join_all(accounts.iter().map(|account| store.first_acme_account(account))).await;
    let kept: Vec<String> = kept.into_iter().map(|kept| kept.unwrap().credentials.expose_secret().to_owned()).collect();
    assert!(kept.iter().all(|one| *one == kept[0]), "{kept:?}");
    let now = store.acme_account("https://one.test/").await.unwrap().unwrap();
    assert_eq!(now.credentials.expose_secret(), kept[0]);
}
