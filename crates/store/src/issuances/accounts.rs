//! Accounts at CAs, one for each directory; their credentials are sealed.
use certkeep_core::issuance::AcmeAccount;
use certkeep_core::ports::StoreError;
use secrecy::ExposeSecret;

use crate::SqlStore;
use crate::again::commit;
use crate::error::unavailable;
use crate::seal::Place;

/// Writes an account; `$conflict` says what becomes of one that is there.
macro_rules! insert {
    ($conflict:literal) => {
        concat!(
            "INSERT INTO acme_accounts (directory, sealed_credentials, registered) VALUES ($1, $2, $3)
             ON CONFLICT (directory) ",
            $conflict
        )
    };
}

fn credentials(directory: &str) -> Place<'_> {
    Place { table: "acme_accounts", column: "sealed_credentials", row: directory }
}

pub(super) async fn of(store: &SqlStore, directory: &str) -> Result<Option<AcmeAccount>, StoreError> {
    let row: Option<(Vec<u8>, i64)> =
        sqlx::query_as("SELECT sealed_credentials, registered FROM acme_accounts WHERE directory = $1")
            .bind(directory)
            .fetch_optional(store.readers())
            .await
            .map_err(unavailable("read an account"))?;
    let Some((sealed, registered)) = row else { return Ok(None) };
    let credentials = store.sealer().open_text(credentials(directory), &sealed)?;
    Ok(Some(AcmeAccount { directory: directory.to_owned(), credentials, registered: registered != 0 }))
}

/// Keeps an account where there is none.
pub(super) async fn first(store: &SqlStore, account: &AcmeAccount) -> Result<(), StoreError> {
    put(store, account, insert!("DO NOTHING")).await
}

/// Keeps an account in the place of the one that is there.
pub(super) async fn keep(store: &SqlStore, account: &AcmeAccount) -> Result<(), StoreError> {
    let replacing = insert!("DO UPDATE SET sealed_credentials = excluded.sealed_credentials, registered = excluded.registered");
    put(store, account, replacing).await
}

async fn put(store: &SqlStore, account: &AcmeAccount, statement: &'static str) -> Result<(), StoreError> {
    let doing = unavailable("keep an account");
    let mut tx = store.write().await.map_err(&doing)?;
    let sealed = store.sealer().seal_value(credentials(&account.directory), account.credentials.expose_secret().as_bytes())?;
    let written = sqlx::query(statement).bind(&account.directory).bind(sealed).bind(i64::from(account.registered));
    written.execute(&mut *tx).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)
}
