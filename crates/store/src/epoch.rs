//! How processes learn what others changed: by the epoch, which is read; a nudge only says when to read it.
use std::time::Duration;

use async_trait::async_trait;
use certkeep_core::ports::{Epoch, Settings, Store, StoreError};
use secrecy::SecretString;
use sqlx::AnyConnection;

use crate::SqlStore;
use crate::again::repeated;
use crate::dialect::Dialect;
use crate::error::unavailable;
use crate::settings;

/// How long to wait between two looks, where nobody is nudged.
const INTERVAL: Duration = Duration::from_millis(250);

/// What may have changed, by its row.
#[derive(Clone, Copy)]
pub(crate) enum Changed {
    /// Clients, users, and the tokens of both.
    Access = 1,
    /// Entries and settings.
    Certificates = 2,
}

impl SqlStore {
    /// Makes void what others remember, once the transaction is committed.
    pub(crate) async fn grow_epoch(&self, db: &mut AnyConnection, changed: Changed) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE epoch SET value = value + 1 WHERE id = $1").bind(changed as i64).execute(db).await?;
        if let Some(others) = &self.0.others {
            others.tell();
        }
        Ok(())
    }

    /// The same where other processes may serve the store: what only the one server changes, it forgets by itself.
    pub(crate) async fn grow_shared_epoch(&self, db: &mut AnyConnection, changed: Changed) -> Result<(), sqlx::Error> {
        match self.dialect() {
            Dialect::Postgres => self.grow_epoch(db, changed).await,
            Dialect::Sqlite => Ok(()),
        }
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn epoch(&self) -> Result<Epoch, StoreError> {
        let rows: Vec<(i64, i64)> = sqlx::query_as("SELECT id, value FROM epoch")
            .fetch_all(self.readers())
            .await
            .map_err(unavailable("read the epoch"))?;
        let of = |changed: Changed| rows.iter().find(|(id, _)| *id == changed as i64).map_or(0, |(_, value)| *value);
        Ok(Epoch { access: of(Changed::Access), certificates: of(Changed::Certificates) })
    }

    async fn nudged(&self) {
        match &self.0.others {
            Some(others) => others.nudged(self).await,
            None => tokio::time::sleep(INTERVAL).await,
        }
    }

    async fn first_setting(&self, key: &str, value: &SecretString) -> Result<SecretString, StoreError> {
        repeated(|| settings::set_first(self, key, value)).await?;
        // Nobody takes a setting away.
        Ok(self.setting(key).await?.unwrap_or_else(|| value.clone()))
    }
}
