//! Adding, changing and deleting entries: each one transaction, all checks inside it.
use certkeep_core::certificate::{ApplyStatus, CertificateId, Kind, Origin};
use certkeep_core::client::ClientKey;
use certkeep_core::ports::{Change, ChangeError, CreateError, DeleteError, NewCertificate, NewServer, StoreError};
use certkeep_core::schedule::Urgency;
use jiff::Timestamp;
use sqlx::AnyConnection;

use super::list::{count, counted};
use super::row::{ApplicationColumns, TABLE, origin_word, status_word};
use super::versions::hold;
use crate::SqlStore;
use crate::again::commit;
use crate::epoch::Changed;
use crate::error::unavailable;
use crate::rows::{from_columns, take_numbers};
use crate::uploads::use_up;

/// Whether an entry other than `id` has this name.
async fn name_is_taken(db: &mut AnyConnection, name: &str, id: Option<i64>) -> Result<bool, sqlx::Error> {
    let other: Option<i64> =
        sqlx::query_scalar("SELECT id FROM certificates WHERE name = $1").bind(name).fetch_optional(db).await?;
    Ok(other.is_some() && other != id)
}

/// What a new entry is written with besides its number and name.
struct NewColumns {
    kind: Kind,
    origin: Option<Origin>,
    status: Option<ApplyStatus>,
    application: ApplicationColumns,
    issue_to: String,
    next_issuance: Option<Timestamp>,
    owner: Option<ClientKey>,
}

/// Who asks, as its column has it.
fn owner_number(owner: Option<ClientKey>) -> i64 {
    owner.map_or(0, |ClientKey(number)| number)
}

fn new_columns(store: &SqlStore, id: i64, new: &NewCertificate) -> Result<NewColumns, StoreError> {
    let held = new.version.as_ref().map(|version| version.held.issue_to.clone());
    let Some(NewServer { application, next_issuance, owner }) = &new.server else {
        return Ok(NewColumns {
            kind: Kind::Trusted,
            origin: None,
            status: None,
            application: ApplicationColumns::default(),
            issue_to: held.unwrap_or_default(),
            next_issuance: None,
            owner: None,
        });
    };
    let (origin, status) = match held {
        Some(_) => (Origin::Upload, ApplyStatus::IssuanceSuccess),
        None => (Origin::Apply, ApplyStatus::Issuing),
    };
    let asked = application.as_ref().map(|application| application.names.first().to_owned());
    Ok(NewColumns {
        kind: Kind::Server,
        origin: Some(origin),
        status: Some(status),
        application: match application {
            Some(application) => ApplicationColumns::seal(id, application, store.sealer())?,
            None => ApplicationColumns::default(),
        },
        issue_to: held.or(asked).unwrap_or_default(),
        next_issuance: next_issuance.filter(|_| application.is_some()),
        owner: *owner,
    })
}

pub(super) async fn create(store: &SqlStore, new: &NewCertificate) -> Result<CertificateId, CreateError> {
    let doing = unavailable("add a certificate");
    let mut tx = store.write().await.map_err(&doing)?;
    if let Some(limit) = new.limit {
        let kind = if new.server.is_some() { Kind::Server } else { Kind::Trusted };
        let there = count(&mut tx, Some(kind)).await.map_err(&doing)?;
        if there >= i64::from(limit) {
            return Err(CreateError::LimitReached(u32::try_from(there).unwrap_or(u32::MAX)));
        }
    }
    if name_is_taken(&mut tx, &new.name, None).await.map_err(&doing)? {
        return Err(CreateError::NameTaken);
    }
    if let Some(used) = &new.upload
        && !use_up(&mut tx, used).await.map_err(&doing)?
    {
        return Err(CreateError::UploadGone);
    }
    let id = take_numbers(&mut tx, TABLE, 1).await.map_err(&doing)?;
    let columns = new_columns(store, id, new)?;
    sqlx::query(
        "INSERT INTO certificates
             (id, name, kind, issue_to, origin, status, names, dns_provider, sealed_auth, next_issuance_at, urgency, owner)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(id)
    .bind(&new.name)
    .bind(columns.kind.as_str())
    .bind(columns.issue_to)
    .bind(columns.origin.map(origin_word))
    .bind(columns.status.map(status_word))
    .bind(columns.application.names)
    .bind(columns.application.dns_provider)
    .bind(columns.application.sealed_auth)
    .bind(columns.next_issuance.map(Timestamp::as_microsecond))
    .bind(Urgency::Application.number())
    .bind(owner_number(columns.owner))
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    counted(&mut tx, columns.kind.as_str(), 1).await.map_err(&doing)?;
    if let Some(version) = &new.version {
        hold(&mut tx, store.sealer(), id, version).await?;
    }
    store.grow_shared_epoch(&mut tx, Changed::Certificates).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(CertificateId(id))
}

/// What of an entry a change may touch.
struct Present {
    name: String,
    kind: String,
    issue_to: String,
    current_version: Option<i64>,
    origin: Option<String>,
    status: Option<String>,
    application: ApplicationColumns,
    next_issuance_at: Option<i64>,
}

from_columns!(Present { name, kind, issue_to, current_version, origin, status, next_issuance_at; application });

async fn present(db: &mut AnyConnection, id: i64) -> Result<Option<Present>, sqlx::Error> {
    sqlx::query_as(
        "SELECT name, kind, issue_to, current_version, origin, status, names, dns_provider, sealed_auth, next_issuance_at
         FROM certificates WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await
}

impl Present {
    /// True from the instant an issuance is due at once until it is over; no issuance runs otherwise.
    fn is_issuing(&self) -> bool {
        self.status.as_deref() == Some(status_word(ApplyStatus::Issuing))
    }

    /// Where the entry stands after the change; `None` where it was before, its failure kept.
    fn plan(&mut self, change: &Change, now: Timestamp) -> Option<ApplyStatus> {
        let settled = match change.next_issuance {
            Some(next) => {
                self.next_issuance_at = next.map(Timestamp::as_microsecond);
                next.is_none()
            }
            None => matches!(change.application, Some(None)),
        };
        if !self.application.is_there() {
            self.next_issuance_at = None;
        }
        let begins = change.next_issuance.is_some() && self.next_issuance_at.is_some_and(|at| at <= now.as_microsecond());
        let holds = self.current_version.is_some();
        if begins {
            Some(ApplyStatus::Issuing)
        } else if change.version.is_some() || settled && holds {
            Some(ApplyStatus::IssuanceSuccess)
        } else {
            None
        }
    }
}

pub(super) async fn change(
    store: &SqlStore,
    CertificateId(id): CertificateId,
    change: &Change,
    now: Timestamp,
) -> Result<(), ChangeError> {
    let doing = unavailable("change a certificate");
    let mut tx = store.write().await.map_err(&doing)?;
    let entry = present(&mut tx, id).await.map_err(&doing)?.filter(|entry| entry.kind == Kind::Server.as_str());
    let Some(mut entry) = entry else { return Err(ChangeError::NotFound) };
    if entry.is_issuing() {
        return Err(ChangeError::Busy);
    }
    if let Some(name) = &change.name {
        if name_is_taken(&mut tx, name, Some(id)).await.map_err(&doing)? {
            return Err(ChangeError::NameTaken);
        }
        entry.name.clone_from(name);
    }
    if let Some(used) = &change.upload
        && !use_up(&mut tx, used).await.map_err(&doing)?
    {
        return Err(ChangeError::UploadGone);
    }
    match &change.application {
        Some(Some(application)) => {
            entry.application = ApplicationColumns::seal(id, application, store.sealer())?;
            if entry.origin.as_deref() == Some(origin_word(Origin::Apply)) {
                application.names.first().clone_into(&mut entry.issue_to);
            }
        }
        Some(None) => entry.application = ApplicationColumns::default(),
        None => {}
    }
    let status = entry.plan(change, now);
    sqlx::query(
        "UPDATE certificates
         SET name = $2, issue_to = $3, names = $4, dns_provider = $5, sealed_auth = $6, next_issuance_at = $7, turn = NULL,
             owner = COALESCE($8, owner)
         WHERE id = $1",
    )
    .bind(id)
    .bind(&entry.name)
    .bind(&entry.issue_to)
    .bind(&entry.application.names)
    .bind(&entry.application.dns_provider)
    .bind(&entry.application.sealed_auth)
    .bind(entry.next_issuance_at)
    .bind(change.owner.map(|ClientKey(number)| number))
    .execute(&mut *tx)
    .await
    .map_err(&doing)?;
    if let Some(version) = &change.version {
        hold(&mut tx, store.sealer(), id, version).await?;
    }
    if let Some(status) = status {
        // Somebody waits for what begins at once, whatever is held.
        sqlx::query(
            "UPDATE certificates
             SET status = $2, failure_code = NULL, failure = NULL, failures_in_a_row = 0,
                 urgency = CASE WHEN $3 < urgency THEN $3 ELSE urgency END
             WHERE id = $1",
        )
        .bind(id)
        .bind(status_word(status))
        .bind(if status == ApplyStatus::Issuing { Urgency::Application.number() } else { Urgency::Renewal.number() })
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    }
    store.grow_shared_epoch(&mut tx, Changed::Certificates).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(())
}

/// Deletes an entry; the database deletes its versions and its issuances with it.
pub(super) async fn delete(store: &SqlStore, CertificateId(id): CertificateId) -> Result<(), DeleteError> {
    let doing = unavailable("delete a certificate");
    let mut tx = store.write().await.map_err(&doing)?;
    let entry = present(&mut tx, id).await.map_err(&doing)?.ok_or(DeleteError::NotFound)?;
    if entry.is_issuing() {
        return Err(DeleteError::Busy);
    }
    counted(&mut tx, &entry.kind, -1).await.map_err(&doing)?;
    sqlx::query("DELETE FROM certificates WHERE id = $1").bind(id).execute(&mut *tx).await.map_err(&doing)?;
    store.grow_shared_epoch(&mut tx, Changed::Certificates).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(())
}
