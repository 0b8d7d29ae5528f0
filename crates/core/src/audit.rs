//! Who did what, from where, with what result: entries in a chain of hashes, so that none can be changed, left out or put in
//! unseen.
mod chain;

use std::net::IpAddr;

use jiff::Timestamp;

pub use chain::{Break, Entry, Head, Link, NO_LINK, verify};

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A client of the appliance's API, by its name.
    ApiClient(String),
    /// Certkeep by itself.
    Certkeep,
    /// A command on this machine, by the system's user.
    CommandLine(String),
    /// Somebody who has not said who, or has not proved it.
    Nobody,
    /// An API token, by its name.
    Token(String),
    /// A user, by name.
    User(String),
}

impl Actor {
    /// The word for what it is.
    pub const fn kind(&self) -> &'static str {
        match self {
            Actor::ApiClient(_) => "client",
            Actor::Certkeep => "certkeep",
            Actor::CommandLine(_) => "command",
            Actor::Nobody => "nobody",
            Actor::Token(_) => "token",
            Actor::User(_) => "user",
        }
    }

    /// Its name; empty where there is none.
    pub fn name(&self) -> &str {
        match self {
            Actor::ApiClient(name) | Actor::CommandLine(name) | Actor::Token(name) | Actor::User(name) => name,
            Actor::Certkeep | Actor::Nobody => "",
        }
    }
}

/// Who acts, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// Who.
    pub actor: Actor,
    /// From where; absent on the machine itself.
    pub address: Option<IpAddr>,
}

impl Author {
    /// Certkeep by itself.
    pub const CERTKEEP: Author = Author { actor: Actor::Certkeep, address: None };

    /// Somebody at an address.
    pub fn at(actor: Actor, address: IpAddr) -> Author {
        Author { actor, address: Some(address.to_canonical()) }
    }
}

/// What was done, or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The account at a CA was given another key.
    AccountRotate,
    /// All that is stored was written into a file.
    Backup,
    /// An application moved on to the next CA.
    CertificateChangeCa,
    /// An entry was added.
    CertificateCreate,
    /// An entry was deleted.
    CertificateDelete,
    /// A private key was read.
    CertificateExport,
    /// An application ended, with a certificate or without.
    CertificateIssue,
    /// A certificate was revoked at its CA.
    CertificateRevoke,
    /// An entry was changed.
    CertificateUpdate,
    /// A file was kept for later use.
    CertificateUpload,
    /// A client was added.
    ClientAdd,
    /// A client was changed.
    ClientChange,
    /// A client was removed.
    ClientRemove,
    /// A client was given another secret.
    ClientRotate,
    /// The key under which secrets are sealed was changed.
    KeysRotate,
    /// Somebody logged in, or tried to.
    Login,
    /// Somebody logged out.
    Logout,
    /// A setting was changed.
    SettingsChange,
    /// The first user was made by the setup link.
    Setup,
    /// An API token was made.
    TokenAdd,
    /// An API token was revoked.
    TokenRevoke,
    /// A user was added.
    UserAdd,
    /// A user was locked out, or let in again.
    UserDisable,
    /// A password was changed.
    UserPassword,
    /// A user was removed.
    UserRemove,
    /// A user was given another role.
    UserRole,
    /// One-time passwords were switched on or off.
    UserTotp,
    /// Another certificate was chosen for certkeep's own HTTPS.
    WebserverUpdate,
}

impl Action {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::AccountRotate => "account.rotate",
            Action::Backup => "backup",
            Action::CertificateChangeCa => "certificate.change-ca",
            Action::CertificateCreate => "certificate.create",
            Action::CertificateDelete => "certificate.delete",
            Action::CertificateExport => "certificate.export",
            Action::CertificateIssue => "certificate.issue",
            Action::CertificateRevoke => "certificate.revoke",
            Action::CertificateUpdate => "certificate.update",
            Action::CertificateUpload => "certificate.upload",
            Action::ClientAdd => "client.add",
            Action::ClientChange => "client.change",
            Action::ClientRemove => "client.remove",
            Action::ClientRotate => "client.rotate",
            Action::KeysRotate => "keys.rotate",
            Action::Login => "login",
            Action::Logout => "logout",
            Action::SettingsChange => "settings.change",
            Action::Setup => "setup",
            Action::TokenAdd => "token.add",
            Action::TokenRevoke => "token.revoke",
            Action::UserAdd => "user.add",
            Action::UserDisable => "user.disable",
            Action::UserPassword => "user.password",
            Action::UserRemove => "user.remove",
            Action::UserRole => "user.role",
            Action::UserTotp => "user.totp",
            Action::WebserverUpdate => "webserver.update",
        }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It could not be done.
    Failed,
    /// It was not allowed.
    Refused,
}

impl Outcome {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Failed => "failed",
            Outcome::Refused => "refused",
        }
    }
}

/// What is to be remembered of a deed. None of its texts may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// Who, and from where.
    pub author: Author,
    /// What.
    pub action: Action,
    /// To what or whom; empty where there is nothing to name.
    pub subject: String,
    /// With what result.
    pub outcome: Outcome,
    /// What else there is to know, shortly.
    pub detail: String,
}
