//! Clients, their tokens, and blocks after failed logins. Secrets and tokens are here as digests only.
mod blocks;
mod sessions;

use std::net::IpAddr;

use async_trait::async_trait;
use certkeep_core::client::{Client, ClientKey, ClientRole, Digest, Session, TokenPair};
use certkeep_core::ports::{BlockSubject, ClientChange, Clients, Opening, Rotation, StoreError};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use crate::SqlStore;
use crate::again::{commit, repeated};
use crate::epoch::Changed;
use crate::error::{corrupt, unavailable};
use crate::rows::{from_columns, from_json, take_numbers, to_json, unknown};

const TABLE: &str = "clients";

struct ClientRow {
    id: i64,
    name: String,
    client_id: String,
    secret: Vec<u8>,
    role: String,
    networks: String,
}

from_columns!(ClientRow { id, name, client_id, secret, role, networks });

impl ClientRow {
    fn client(self) -> Result<(Client, Digest), StoreError> {
        let id = self.id;
        let secret = <[u8; 32]>::try_from(self.secret).map_err(|_| corrupt(TABLE, id, "secret is no digest"))?;
        let client = Client {
            key: ClientKey(id),
            name: self.name,
            client_id: self.client_id,
            role: role(&self.role).ok_or_else(|| unknown(TABLE, id, "role"))?,
            networks: networks(id, &self.networks)?,
        };
        Ok((client, Digest(secret)))
    }
}

fn networks(id: i64, json: &str) -> Result<Vec<IpNet>, StoreError> {
    let texts: Vec<String> = from_json(TABLE, id, json)?;
    texts.iter().map(|text| text.parse::<IpNet>().map_err(|e| corrupt(TABLE, id, e))).collect()
}

const fn role_word(role: ClientRole) -> &'static str {
    match role {
        ClientRole::Admin => "admin",
        ClientRole::Viewer => "viewer",
    }
}

fn role(word: &str) -> Option<ClientRole> {
    [ClientRole::Admin, ClientRole::Viewer].into_iter().find(|role| role_word(*role) == word)
}

/// Adds a client; `false` if its name or its client id is taken.
async fn add(
    store: &SqlStore,
    name: &str,
    client_id: &str,
    secret: Digest,
    role: ClientRole,
    networks: &[IpNet],
) -> Result<bool, StoreError> {
    let doing = unavailable("add a client");
    let mut tx = store.write().await.map_err(&doing)?;
    let taken: Option<i64> = sqlx::query_scalar("SELECT id FROM clients WHERE name = $1 OR client_id = $2 LIMIT 1")
        .bind(name)
        .bind(client_id)
        .fetch_optional(&mut *tx)
        .await
        .map_err(&doing)?;
    if taken.is_some() {
        return Ok(false);
    }
    let id = take_numbers(&mut tx, TABLE, 1).await.map_err(&doing)?;
    let networks: Vec<String> = networks.iter().map(IpNet::to_string).collect();
    sqlx::query("INSERT INTO clients (id, name, client_id, secret, role, networks) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(id)
        .bind(name)
        .bind(client_id)
        .bind(secret.0.as_slice())
        .bind(role_word(role))
        .bind(to_json(TABLE, id, &networks)?)
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    store.grow_epoch(&mut tx, Changed::Access).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(true)
}

/// Changes the client of this name; `false` if there is none.
async fn change(store: &SqlStore, name: &str, change: &ClientChange) -> Result<bool, StoreError> {
    let doing = unavailable("change a client");
    let mut tx = store.write().await.map_err(&doing)?;
    let id: Option<i64> =
        sqlx::query_scalar("SELECT id FROM clients WHERE name = $1").bind(name).fetch_optional(&mut *tx).await.map_err(&doing)?;
    let Some(id) = id else { return Ok(false) };
    match change {
        ClientChange::Access { role, networks } => {
            if let Some(role) = role {
                let update = sqlx::query("UPDATE clients SET role = $2 WHERE id = $1").bind(id).bind(role_word(*role));
                update.execute(&mut *tx).await.map_err(&doing)?;
            }
            if let Some(networks) = networks {
                let networks: Vec<String> = networks.iter().map(IpNet::to_string).collect();
                let networks = to_json(TABLE, id, &networks)?;
                let update = sqlx::query("UPDATE clients SET networks = $2 WHERE id = $1").bind(id).bind(networks);
                update.execute(&mut *tx).await.map_err(&doing)?;
            }
        }
        // The database deletes its sessions with it.
        ClientChange::Remove => {
            sqlx::query("DELETE FROM clients WHERE id = $1").bind(id).execute(&mut *tx).await.map_err(&doing)?;
        }
        ClientChange::Rotate(secret) => {
            sqlx::query("UPDATE clients SET secret = $2 WHERE id = $1")
                .bind(id)
                .bind(secret.0.as_slice())
                .execute(&mut *tx)
                .await
                .map_err(&doing)?;
            sessions::revoke_all(&mut tx, id).await.map_err(&doing)?;
        }
    }
    store.grow_epoch(&mut tx, Changed::Access).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(true)
}

#[async_trait]
impl Clients for SqlStore {
    async fn add_client(
        &self,
        name: &str,
        client_id: &str,
        secret: Digest,
        role: ClientRole,
        networks: &[IpNet],
    ) -> Result<bool, StoreError> {
        repeated(|| add(self, name, client_id, secret, role, networks)).await
    }

    async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        let rows: Vec<ClientRow> =
            sqlx::query_as("SELECT id, name, client_id, secret, role, networks FROM clients ORDER BY name")
                .fetch_all(self.readers())
                .await
                .map_err(unavailable("list clients"))?;
        rows.into_iter().map(|row| row.client().map(|(client, _)| client)).collect()
    }

    async fn client(&self, client_id: &str) -> Result<Option<(Client, Digest)>, StoreError> {
        let row: Option<ClientRow> =
            sqlx::query_as("SELECT id, name, client_id, secret, role, networks FROM clients WHERE client_id = $1")
                .bind(client_id)
                .fetch_optional(self.readers())
                .await
                .map_err(unavailable("read a client"))?;
        row.map(ClientRow::client).transpose()
    }

    async fn change_client(&self, name: &str, change_of: ClientChange) -> Result<bool, StoreError> {
        repeated(|| change(self, name, &change_of)).await
    }

    async fn open_session(
        &self,
        client: ClientKey,
        secret: &Digest,
        pair: &TokenPair,
        now: Timestamp,
        max_live: u32,
    ) -> Result<Opening, StoreError> {
        repeated(|| sessions::open(self, client, secret, pair, now, max_live)).await
    }

    async fn session(&self, access: &Digest) -> Result<Option<Session>, StoreError> {
        sessions::session(self, access).await
    }

    async fn rotate_session(
        &self,
        refresh: &Digest,
        pair: &TokenPair,
        address: IpAddr,
        now: Timestamp,
        grace: SignedDuration,
        max_live: u32,
    ) -> Result<Rotation, StoreError> {
        repeated(|| sessions::rotate(self, refresh, pair, address, now, grace, max_live)).await
    }

    async fn revoke_session(&self, access: &Digest, now: Timestamp) -> Result<Option<ClientKey>, StoreError> {
        repeated(|| sessions::revoke(self, access, now)).await
    }

    async fn failed_login(
        &self,
        subject: &BlockSubject,
        now: Timestamp,
        max: u32,
        block: SignedDuration,
    ) -> Result<Option<Timestamp>, StoreError> {
        repeated(|| blocks::failed_login(self, subject, now, max, block)).await
    }

    async fn blocked_until(&self, subject: &BlockSubject, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        blocks::blocked_until(self, subject, now).await
    }

    async fn clear_failed_logins(&self, subject: &BlockSubject) -> Result<(), StoreError> {
        repeated(|| blocks::clear(self, subject)).await
    }

    async fn sweep_sessions(&self, before: Timestamp) -> Result<u64, StoreError> {
        repeated(|| sessions::sweep(self, before)).await
    }

    async fn sweep_failed_logins(&self, before: Timestamp) -> Result<u64, StoreError> {
        repeated(|| blocks::sweep(self, before)).await
    }
}
