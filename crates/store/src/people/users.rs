//! Users, and how the first one comes to be.
use certkeep_core::client::Digest;
use certkeep_core::people::password::PasswordHash;
use certkeep_core::people::totp::TotpSecret;
use certkeep_core::people::{Role, User, UserId};
use certkeep_core::ports::{Credentials, FirstUser, NewUser, StoreError, UserChange, UserChanged};
use jiff::Timestamp;
use sqlx::AnyConnection;

use super::sessions;
use crate::SqlStore;
use crate::again::commit;
use crate::epoch::Changed;
use crate::error::{corrupt, unavailable};
use crate::rows::{from_columns, instant, take_numbers, unknown};
use crate::seal::{Place, Sealer};

pub(super) const TABLE: &str = "users";

/// What [`UserRow`] reads of a user `u`, under names of their own: other tables have columns of these names too.
pub(super) const USER_COLUMNS: &str = "u.id AS user_id, u.name AS user_name, u.role AS user_role, u.disabled,
    CASE WHEN u.sealed_totp IS NULL THEN 0 ELSE u.totp_confirmed END AS has_totp,
    u.created_at AS user_created_at, u.last_login_at";

pub(super) struct UserRow {
    user_id: i64,
    user_name: String,
    user_role: String,
    disabled: i64,
    has_totp: i64,
    user_created_at: i64,
    last_login_at: Option<i64>,
}

from_columns!(UserRow { user_id, user_name, user_role, disabled, has_totp, user_created_at, last_login_at });

impl UserRow {
    pub(super) fn user(self) -> Result<User, StoreError> {
        let id = self.user_id;
        Ok(User {
            id: UserId(id),
            name: self.user_name,
            role: Role::parse(&self.user_role).ok_or_else(|| unknown(TABLE, id, "role"))?,
            has_totp: self.has_totp != 0,
            disabled: self.disabled != 0,
            created: instant(TABLE, id, self.user_created_at)?,
            last_login: self.last_login_at.map(|at| instant(TABLE, id, at)).transpose()?,
        })
    }
}

struct CredentialsRow {
    user: UserRow,
    password: String,
    sealed_totp: Option<Vec<u8>>,
    totp_step: Option<i64>,
}

from_columns!(CredentialsRow { password, sealed_totp, totp_step; user });

fn totp_place(row: &str) -> Place<'_> {
    Place { table: TABLE, column: "sealed_totp", row }
}

impl CredentialsRow {
    fn credentials(self, sealer: &Sealer) -> Result<Credentials, StoreError> {
        let user = self.user.user()?;
        let row = user.id.0.to_string();
        let password = PasswordHash::parse(&self.password).ok_or_else(|| corrupt(TABLE, &row, "password is no hash"))?;
        let open = |sealed: Vec<u8>| sealer.open_value(totp_place(&row), &sealed).map(|octets| TotpSecret::new(octets.to_vec()));
        let totp = self.sealed_totp.map(open).transpose()?;
        Ok(Credentials { user, password, totp, totp_step: self.totp_step })
    }
}

pub(super) async fn any(store: &SqlStore) -> Result<bool, StoreError> {
    let mut db = store.readers().acquire().await.map_err(unavailable("look for users"))?;
    any_in(&mut db).await.map_err(unavailable("look for users"))
}

async fn any_in(db: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    let one: Option<i64> = sqlx::query_scalar("SELECT id FROM users LIMIT 1").fetch_optional(db).await?;
    Ok(one.is_some())
}

pub(super) async fn all(store: &SqlStore) -> Result<Vec<User>, StoreError> {
    let statement = format!("SELECT {USER_COLUMNS} FROM users u ORDER BY u.name");
    let rows: Vec<UserRow> =
        sqlx::query_as(sqlx::AssertSqlSafe(statement)).fetch_all(store.readers()).await.map_err(unavailable("list users"))?;
    rows.into_iter().map(UserRow::user).collect()
}

pub(super) async fn named(store: &SqlStore, name: &str) -> Result<Option<Credentials>, StoreError> {
    let statement = format!("SELECT {USER_COLUMNS}, u.password, u.sealed_totp, u.totp_step FROM users u WHERE u.name = $1");
    let row: Option<CredentialsRow> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
        .bind(name)
        .fetch_optional(store.readers())
        .await
        .map_err(unavailable("read a user"))?;
    row.map(|row| row.credentials(store.sealer())).transpose()
}

/// Adds a user whose name is free.
async fn insert(db: &mut AnyConnection, user: &NewUser) -> Result<i64, sqlx::Error> {
    let id = take_numbers(db, TABLE, 1).await?;
    sqlx::query(
        "INSERT INTO users (id, name, role, password, disabled, totp_confirmed, created_at) VALUES ($1, $2, $3, $4, 0, 0, $5)",
    )
    .bind(id)
    .bind(&user.name)
    .bind(user.role.as_str())
    .bind(user.password.as_str())
    .bind(user.created.as_microsecond())
    .execute(db)
    .await?;
    Ok(id)
}

pub(super) async fn add(store: &SqlStore, user: &NewUser) -> Result<Option<UserId>, StoreError> {
    let doing = unavailable("add a user");
    let mut tx = store.write().await.map_err(&doing)?;
    let taken: Option<i64> = sqlx::query_scalar("SELECT id FROM users WHERE name = $1")
        .bind(&user.name)
        .fetch_optional(&mut *tx)
        .await
        .map_err(&doing)?;
    if taken.is_some() {
        return Ok(None);
    }
    let id = insert(&mut tx, user).await.map_err(&doing)?;
    store.grow_epoch(&mut tx, Changed::Access).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(Some(UserId(id)))
}

pub(super) async fn set_setup_token(store: &SqlStore, token: &Digest) -> Result<(), StoreError> {
    let doing = unavailable("keep the setup token");
    let mut tx = store.write().await.map_err(&doing)?;
    sqlx::query("INSERT INTO setup_token (id, token) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET token = excluded.token")
        .bind(token.0.as_slice())
        .execute(&mut *tx)
        .await
        .map_err(&doing)?;
    commit(tx).await.map_err(&doing)
}

pub(super) async fn add_first(store: &SqlStore, token: &Digest, user: &NewUser) -> Result<FirstUser, StoreError> {
    let doing = unavailable("add the first user");
    let mut tx = store.write().await.map_err(&doing)?;
    let kept: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT token FROM setup_token WHERE id = 1").fetch_optional(&mut *tx).await.map_err(&doing)?;
    let kept = kept.and_then(|octets| <[u8; 32]>::try_from(octets).ok()).map(Digest);
    if kept.is_none_or(|kept| !kept.matches(token)) || any_in(&mut tx).await.map_err(&doing)? {
        return Ok(FirstUser::Refused);
    }
    let id = insert(&mut tx, user).await.map_err(&doing)?;
    sqlx::query("DELETE FROM setup_token WHERE id = 1").execute(&mut *tx).await.map_err(&doing)?;
    store.grow_epoch(&mut tx, Changed::Access).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(FirstUser::Added(UserId(id)))
}

/// What decides whether a user may be changed.
struct Present {
    role: String,
    disabled: i64,
    has_secret: i64,
    totp_confirmed: i64,
}

from_columns!(Present { role, disabled, has_secret, totp_confirmed });

pub(super) async fn change(store: &SqlStore, UserId(id): UserId, change: &UserChange) -> Result<UserChanged, StoreError> {
    let doing = unavailable("change a user");
    let mut tx = store.write().await.map_err(&doing)?;
    let present: Option<Present> = sqlx::query_as(
        "SELECT role, disabled, CASE WHEN sealed_totp IS NULL THEN 0 ELSE 1 END AS has_secret, totp_confirmed
         FROM users WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(&mut *tx)
    .await
    .map_err(&doing)?;
    let Some(present) = present else { return Ok(UserChanged::Unknown) };
    let weakens = match change {
        UserChange::Disabled(disabled) => *disabled,
        UserChange::Role(role) => *role != Role::Admin,
        UserChange::Remove => true,
        UserChange::Password { .. } | UserChange::TotpConfirmed(_) | UserChange::TotpOff | UserChange::TotpProposed(_) => false,
    };
    let is_admin = present.role == Role::Admin.as_str() && present.disabled == 0;
    if weakens && is_admin && other_admins(&mut tx, id).await.map_err(&doing)? == 0 {
        return Ok(UserChanged::LastAdmin);
    }
    let is_confirmed = present.has_secret != 0 && present.totp_confirmed != 0;
    let fits = match change {
        UserChange::TotpConfirmed(_) => present.has_secret != 0 && !is_confirmed,
        UserChange::TotpProposed(_) => !is_confirmed,
        _ => true,
    };
    if !fits {
        return Ok(UserChanged::TotpState);
    }
    let sealed = match change {
        UserChange::TotpProposed(secret) => Some(store.sealer().seal_value(totp_place(&id.to_string()), secret.octets())?),
        _ => None,
    };
    write(&mut tx, id, change, sealed).await.map_err(&doing)?;
    store.grow_epoch(&mut tx, Changed::Access).await.map_err(&doing)?;
    commit(tx).await.map_err(&doing)?;
    Ok(UserChanged::Done)
}

async fn other_admins(db: &mut AnyConnection, id: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE role = $1 AND disabled = 0 AND id <> $2")
        .bind(Role::Admin.as_str())
        .bind(id)
        .fetch_one(db)
        .await
}

async fn write(db: &mut AnyConnection, id: i64, change: &UserChange, sealed: Option<Vec<u8>>) -> Result<(), sqlx::Error> {
    match change {
        UserChange::Disabled(disabled) => {
            let update = sqlx::query("UPDATE users SET disabled = $2 WHERE id = $1").bind(id).bind(i64::from(*disabled));
            update.execute(&mut *db).await?;
            sessions::end_all(db, id, None).await
        }
        UserChange::Password { hash, keep } => {
            let update = sqlx::query("UPDATE users SET password = $2 WHERE id = $1").bind(id).bind(hash.as_str());
            update.execute(&mut *db).await?;
            sessions::end_all(db, id, keep.as_ref()).await
        }
        // The database deletes its sessions and tokens with it.
        UserChange::Remove => sqlx::query("DELETE FROM users WHERE id = $1").bind(id).execute(db).await.map(drop),
        UserChange::Role(role) => {
            sqlx::query("UPDATE users SET role = $2 WHERE id = $1").bind(id).bind(role.as_str()).execute(db).await.map(drop)
        }
        UserChange::TotpConfirmed(step) => sqlx::query("UPDATE users SET totp_confirmed = 1, totp_step = $2 WHERE id = $1")
            .bind(id)
            .bind(*step)
            .execute(db)
            .await
            .map(drop),
        UserChange::TotpOff => {
            sqlx::query("UPDATE users SET sealed_totp = NULL, totp_confirmed = 0, totp_step = NULL WHERE id = $1")
                .bind(id)
                .execute(db)
                .await
                .map(drop)
        }
        UserChange::TotpProposed(_) => {
            sqlx::query("UPDATE users SET sealed_totp = $2, totp_confirmed = 0, totp_step = NULL WHERE id = $1")
                .bind(id)
                .bind(sealed)
                .execute(db)
                .await
                .map(drop)
        }
    }
}

pub(super) async fn use_totp_step(store: &SqlStore, UserId(id): UserId, step: i64) -> Result<bool, StoreError> {
    let used = sqlx::query("UPDATE users SET totp_step = $2 WHERE id = $1 AND (totp_step IS NULL OR totp_step < $2)")
        .bind(id)
        .bind(step)
        .execute(store.writer())
        .await
        .map_err(unavailable("use up a one-time password"))?;
    Ok(used.rows_affected() == 1)
}

/// Whether this is still the password of a user who is not locked out; if so, the login is noted.
pub(super) async fn log_in(
    db: &mut AnyConnection,
    id: i64,
    password: &PasswordHash,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("UPDATE users SET last_login_at = $3 WHERE id = $1 AND password = $2 AND disabled = 0")
        .bind(id)
        .bind(password.as_str())
        .bind(now.as_microsecond())
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}
