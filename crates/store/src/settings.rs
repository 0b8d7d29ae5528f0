//! Single values, all of them sealed.
use async_trait::async_trait;
use certkeep_core::ports::{Settings, StoreError};
use secrecy::{ExposeSecret, SecretString};

use crate::SqlStore;
use crate::again::{commit, repeated};
use crate::epoch::Changed;
use crate::error::unavailable;
use crate::seal::Place;

fn place(key: &str) -> Place<'_> {
    Place { table: "settings", column: "sealed_value", row: key }
}

async fn set(store: &SqlStore, key: &str, value: &SecretString) -> Result<(), StoreError> {
    put(
        store,
        key,
        value,
        "INSERT INTO settings (name, sealed_value) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET sealed_value = excluded.sealed_value",
    )
    .await
}

/// Sets the value of a key that has none.
pub(crate) async fn set_first(store: &SqlStore, key: &str, value: &SecretString) -> Result<(), StoreError> {
    put(store, key, value, "INSERT INTO settings (name, sealed_value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING").await
}

async fn put(store: &SqlStore, key: &str, value: &SecretString, statement: &'static str) -> Result<(), StoreError> {
    let doing = unavailable("write a setting");
    let mut tx = store.write().await.map_err(&doing)?;
    let sealed = store.sealer().seal_value(place(key), value.expose_secret().as_bytes())?;
    sqlx::query(statement).bind(key).bind(sealed).execute(&mut *tx).await.map_err(&doing)?;
    store.grow_shared_epoch(&mut tx, Changed::Certificates).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)
}

#[async_trait]
impl Settings for SqlStore {
    async fn setting(&self, key: &str) -> Result<Option<SecretString>, StoreError> {
        let sealed: Option<Vec<u8>> = sqlx::query_scalar("SELECT sealed_value FROM settings WHERE name = $1")
            .bind(key)
            .fetch_optional(self.readers())
            .await
            .map_err(unavailable("read a setting"))?;
        sealed.map(|sealed| self.sealer().open_text(place(key), &sealed)).transpose()
    }

    async fn set_setting(&self, key: &str, value: &SecretString) -> Result<(), StoreError> {
        repeated(|| set(self, key, value)).await
    }
}
