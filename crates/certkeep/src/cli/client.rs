//! `certkeep client`: who may call the API. Works before the first start, and beside a service that runs.
use std::fmt::Write;
use std::net::IpAddr;

use certkeep_core::audit::Action;
use certkeep_core::client::{Client, ClientRole, Digest};
use certkeep_core::ports::{ClientChange, Clients};
use certkeep_engine::access::random_token;
use certkeep_store::{Location, SqlStore};
use clap::{Subcommand, ValueEnum};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::ending::print;
use super::visit::{audited, runtime, with_store};
use super::{CommandError, Place};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add a client and print its client id and secret, the secret this once
    Add {
        /// What people call it
        name: String,
        /// What it may do
        #[arg(long, value_enum, default_value_t = Role::Admin)]
        role: Role,
        /// Where it may call from, as an address or CIDR, more than once if need be; anywhere if left out
        #[arg(long = "network", value_name = "CIDR", value_parser = network)]
        networks: Vec<IpNet>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Change what a client may do, or where it may call from
    Change {
        /// What people call it
        name: String,
        /// What it may do from now on
        #[arg(long, value_enum, required_unless_present_any = ["networks", "anywhere"])]
        role: Option<Role>,
        /// Where it may call from, in place of what was said before, more than once if need be
        #[arg(long = "network", value_name = "CIDR", value_parser = network)]
        networks: Vec<IpNet>,
        /// Let it call from anywhere
        #[arg(long, conflicts_with = "networks")]
        anywhere: bool,
    },
    /// List all clients
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Remove a client; its tokens are dead at once
    Remove {
        /// What people call it
        name: String,
    },
    /// Give a client another secret and print it; its tokens are dead at once
    Rotate {
        /// What people call it
        name: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// Everything
    Admin,
    /// Reading only
    Viewer,
}

impl From<Role> for ClientRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => ClientRole::Admin,
            Role::Viewer => ClientRole::Viewer,
        }
    }
}

impl From<ClientRole> for Role {
    fn from(role: ClientRole) -> Self {
        match role {
            ClientRole::Admin => Role::Admin,
            ClientRole::Viewer => Role::Viewer,
        }
    }
}

/// A client with the secret that was just made.
#[derive(Serialize)]
struct Credentials<'a> {
    name: &'a str,
    client_id: &'a str,
    client_secret: &'a str,
}

/// A client as it is listed.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    client_id: &'a str,
    role: Role,
    networks: Vec<String>,
}

pub(super) fn run(place: &Place, command: Command) -> Result<(), CommandError> {
    let location = place.config()?.location(&place.data)?;
    let runtime = runtime()?;
    runtime.block_on(async {
        match command {
            Command::Add { name, role, networks, json } => {
                let (client_id, secret) = add(&location, &name, role.into(), &networks).await?;
                print(&credentials(&name, &client_id, &secret, json))
            }
            Command::Change { name, role, networks, anywhere } => {
                let networks = (anywhere || !networks.is_empty()).then_some(networks);
                let change_of = ClientChange::Access { role: role.map(Into::into), networks };
                with_store(&location, async |store| change(store, &name, change_of).await).await
            }
            Command::List { json } => {
                let clients = with_store(&location, async |store| Ok(store.clients().await?)).await?;
                print(&list(&clients, json))
            }
            Command::Remove { name } => {
                with_store(&location, async |store| change(store, &name, ClientChange::Remove).await).await
            }
            Command::Rotate { name, json } => {
                let secret = draw()?;
                let digest = Digest::of(secret.expose_secret());
                let client = with_store(&location, async |store| {
                    change(store, &name, ClientChange::Rotate(digest)).await?;
                    let clients = store.clients().await?;
                    clients.into_iter().find(|client| client.name == name).ok_or(CommandError::NoClient(name.clone()))
                })
                .await?;
                print(&credentials(&name, &client.client_id, &secret, json))
            }
        }
    })
}

/// Adds a client; answers its client id and its secret, which is kept nowhere.
pub(crate) async fn add(
    location: &Location,
    name: &str,
    role: ClientRole,
    networks: &[IpNet],
) -> Result<(String, SecretString), CommandError> {
    if !is_proper(name) {
        return Err(CommandError::Nameless);
    }
    let (client_id, secret) = (draw()?.expose_secret().to_owned(), draw()?);
    let digest = Digest::of(secret.expose_secret());
    with_store(location, async |store| {
        let adding = async {
            match store.add_client(name, &client_id, digest, role, networks).await? {
                true => Ok(()),
                false => Err(CommandError::NameTaken(name.to_owned())),
            }
        };
        audited(store, Action::ClientAdd, name, adding).await
    })
    .await?;
    Ok((client_id, secret))
}

async fn change(store: &SqlStore, name: &str, change: ClientChange) -> Result<(), CommandError> {
    let action = match change {
        ClientChange::Access { .. } => Action::ClientChange,
        ClientChange::Remove => Action::ClientRemove,
        ClientChange::Rotate(_) => Action::ClientRotate,
    };
    let changing = async {
        match store.change_client(name, change).await? {
            true => Ok(()),
            false => Err(CommandError::NoClient(name.to_owned())),
        }
    };
    audited(store, action, name, changing).await
}

fn draw() -> Result<SecretString, CommandError> {
    random_token().map_err(CommandError::Secret)
}

/// Whether a list can show this name.
fn is_proper(name: &str) -> bool {
    (1..=100).contains(&name.trim().chars().count()) && !name.contains(char::is_control)
}

/// An address counts as the network that holds only it.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from).ok();
    let network = text.parse::<IpNet>().ok().or_else(address);
    network.map(|network| network.trunc()).ok_or_else(|| "neither an IP address nor a network as 192.0.2.0/24".to_owned())
}

fn credentials(name: &str, client_id: &str, secret: &SecretString, json: bool) -> String {
    let client_secret = secret.expose_secret();
    if json {
        return object(&Credentials { name, client_id, client_secret });
    }
    format!(
        "client_id      {client_id}\n\
         client_secret  {client_secret}\n\
         \n\
         get_token wants them as username and password. certkeep keeps no copy of the secret: write it down now.\n"
    )
}

fn list(clients: &[Client], json: bool) -> String {
    let listed = clients.iter().map(|client| Listed {
        name: &client.name,
        client_id: &client.client_id,
        role: client.role.into(),
        networks: client.networks.iter().map(IpNet::to_string).collect(),
    });
    if json {
        return object(&listed.collect::<Vec<_>>());
    }
    let width = clients.iter().map(|client| client.name.chars().count()).max().unwrap_or(0);
    listed.fold(String::new(), |mut text, client| {
        let role = match client.role {
            Role::Admin => "admin",
            Role::Viewer => "viewer",
        };
        let line = format!("{:<width$}  {}  {role:<6}  {}", client.name, client.client_id, client.networks.join(" "));
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

/// One line of JSON. These values have no map whose keys are not texts: nothing can fail.
pub(super) fn object(value: &impl Serialize) -> String {
    serde_json::to_string(value).map(|line| line + "\n").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_address_or_a_cidr() {
        assert_eq!(network("192.0.2.7/24").unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(network("2001:db8::1").unwrap().to_string(), "2001:db8::1/128");
        network("192.0.2").unwrap_err();
    }

    #[test]
    fn a_name_can_be_shown() {
        assert!(is_proper("Zentrale Süd"));
        for name in ["", "   ", "a\nb", &"x".repeat(101)] {
            assert!(!is_proper(name), "{name:?}");
        }
    }
}
