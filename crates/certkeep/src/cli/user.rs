//! `certkeep user`: who works with certkeep itself. Works before the first start, and beside a service that runs.
use std::fmt::Write;

use certkeep_core::audit::Action;
use certkeep_core::people::{Role, User};
use certkeep_core::ports::People;
use certkeep_engine::people::{UserEdit, add_user, edit_user};
use certkeep_store::Location;
use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use super::client::object;
use super::ending::print;
use super::password::PasswordFrom;
use super::visit::{audited, runtime, with_store};
use super::{CommandError, Place};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add a user; the password is asked for, or read from stdin or a file
    Add {
        /// What it logs in by
        name: String,
        /// What it may do
        #[arg(long, value_enum)]
        role: RoleArgument,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// List all users
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Remove a user with its sessions and API tokens
    Remove {
        /// What it logs in by
        name: String,
    },
    /// Give a user another role
    Role {
        /// What it logs in by
        name: String,
        /// What it may do from now on
        #[arg(value_enum)]
        role: RoleArgument,
    },
    /// Give a user another password; its sessions end
    Password {
        /// What it logs in by
        name: String,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Lock a user out; its sessions end and its API tokens are of no use
    Disable {
        /// What it logs in by
        name: String,
    },
    /// Let a user in again
    Enable {
        /// What it logs in by
        name: String,
    },
    /// Ask a user for no one-time password any more
    TotpOff {
        /// What it logs in by
        name: String,
    },
}

/// The roles as they are typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RoleArgument {
    /// Looks, and never sees a secret or a key
    Viewer,
    /// Takes care of certificates
    Operator,
    /// Everything
    Admin,
}

impl From<RoleArgument> for Role {
    fn from(role: RoleArgument) -> Self {
        match role {
            RoleArgument::Viewer => Role::Viewer,
            RoleArgument::Operator => Role::Operator,
            RoleArgument::Admin => Role::Admin,
        }
    }
}

/// A user as it is listed.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    role: &'static str,
    totp: bool,
    disabled: bool,
    created: Timestamp,
    last_login: Option<Timestamp>,
}

impl<'a> From<&'a User> for Listed<'a> {
    fn from(user: &'a User) -> Self {
        Listed {
            name: &user.name,
            role: user.role.as_str(),
            totp: user.has_totp,
            disabled: user.disabled,
            created: user.created,
            last_login: user.last_login,
        }
    }
}

pub(super) fn run(place: &Place, command: Command) -> Result<(), CommandError> {
    let location = place.config()?.location(&place.data)?;
    let runtime = runtime()?;
    runtime.block_on(async {
        match command {
            Command::Add { name, role, password } => {
                let password = password.read()?;
                with_store(&location, async |store| {
                    let adding = async { Ok(add_user(store, store.clock().now(), &name, role.into(), &password).await?) };
                    audited(store, Action::UserAdd, &name, adding).await.map(drop)
                })
                .await
            }
            Command::List { json } => {
                let users = with_store(&location, async |store| Ok(store.users().await?)).await?;
                print(&list(&users, json))
            }
            Command::Remove { name } => edit(&location, &name, &UserEdit::Remove).await,
            Command::Role { name, role } => edit(&location, &name, &UserEdit::Role(role.into())).await,
            Command::Password { name, password } => edit(&location, &name, &UserEdit::Password(password.read()?)).await,
            Command::Disable { name } => edit(&location, &name, &UserEdit::Disabled(true)).await,
            Command::Enable { name } => edit(&location, &name, &UserEdit::Disabled(false)).await,
            Command::TotpOff { name } => edit(&location, &name, &UserEdit::TotpOff).await,
        }
    })
}

async fn edit(location: &Location, name: &str, edit: &UserEdit) -> Result<(), CommandError> {
    with_store(location, async |store| {
        audited(store, edit.action(), name, async { Ok(edit_user(store, name, edit).await?) }).await
    })
    .await
}

fn list(users: &[User], json: bool) -> String {
    let listed = users.iter().map(Listed::from);
    if json {
        return object(&listed.collect::<Vec<_>>());
    }
    let width = users.iter().map(|user| user.name.chars().count()).max().unwrap_or(0);
    listed.fold(String::new(), |mut text, user| {
        let seen = user.last_login.map_or_else(|| "never logged in".to_owned(), |at| format!("last login {at:.0}"));
        let marks = [(user.totp, "  one-time passwords"), (user.disabled, "  locked out")];
        let marks: String = marks.into_iter().filter(|(is_so, _)| *is_so).map(|(_, mark)| mark).collect();
        let _ = writeln!(text, "{:<width$}  {:<8}  {seen}{marks}", user.name, user.role);
        text
    })
}
