//! The inventory: what certkeep keeps, in the words of contract §4.1.
use jiff::Timestamp;

use crate::application::Application;
use crate::failure::Code;
use crate::renewal::Validity;

/// The number of an inventory entry; positive, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertificateId(pub i64);

/// An entry of the inventory.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// Its number.
    pub id: CertificateId,
    /// Its file name, unique.
    pub name: String,
    /// What is held: always there for a trusted or uploaded certificate, absent before the first issuance of an
    /// applied one.
    pub held: Option<Held>,
    /// What it is for.
    pub role: Role,
}

/// Facts about the certificate that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// First DNS SAN, else CN, else the subject in RFC 4514 form.
    pub issue_to: String,
    /// From when to when it is valid.
    pub validity: Validity,
}

/// What a certificate is for: the API's `type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// Presented by a server of ours.
    Server(Box<Server>),
    /// Trusted as a CA when others present certificates.
    Trusted,
}

/// What only a server certificate has.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// How it came.
    pub origin: Origin,
    /// Whether it is renewed without a human; always for an applied one.
    pub auto_renewal: bool,
    /// What to ask for; always there for an applied one and where `auto_renewal` is on.
    pub application: Option<Application>,
    /// Where the application stands.
    pub status: ApplyStatus,
    /// What the last application or renewal failed with, until the next one begins.
    pub failure: Option<Code>,
}

/// How a server certificate came: the API's `ca_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By application at a CA.
    Apply,
    /// By upload.
    Upload,
}

/// Where an application stands: the API's `apply_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyStatus {
    /// Failed, perhaps to be tried again.
    IssuanceFail,
    /// Issued, or uploaded and not in need of any issuance.
    IssuanceSuccess,
    /// Under way.
    Issuing,
}

/// The two roles without their data, for filters and uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// See [`Role::Server`].
    Server,
    /// See [`Role::Trusted`].
    Trusted,
}

impl Kind {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Server => "server",
            Kind::Trusted => "trusted",
        }
    }
}

impl Certificate {
    /// The role without its data.
    pub fn kind(&self) -> Kind {
        match self.role {
            Role::Server(_) => Kind::Server,
            Role::Trusted => Kind::Trusted,
        }
    }

    /// The domain the certificate is for, or is being applied for.
    pub fn issue_to(&self) -> &str {
        match (&self.held, &self.role) {
            (_, Role::Server(server)) if server.origin == Origin::Apply => {
                server.application.as_ref().map_or("", |application| application.names.first())
            }
            (Some(held), _) => &held.issue_to,
            (None, _) => "",
        }
    }

    /// The end of its validity, while one is held.
    pub fn expiration(&self) -> Option<Timestamp> {
        self.held.as_ref().map(|held| held.validity.not_after)
    }
}

/// What a list is sorted by (contract §4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SortBy {
    /// End of validity; entries that hold nothing come last in either direction.
    Expiration,
    /// The number.
    #[default]
    Id,
    /// The domain.
    IssueTo,
    /// The file name.
    Name,
    /// Server, trusted.
    Type,
}

/// Which page of the inventory, in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListQuery {
    /// From 1.
    pub page: u32,
    /// Rows a page, from 1.
    pub page_size: u32,
    /// The order; ties go by number, ascending.
    pub sort_by: SortBy,
    /// Largest first.
    pub descending: bool,
    /// One kind only.
    pub kind: Option<Kind>,
}

/// One page of the inventory.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// How many match in all.
    pub total: u64,
    /// Those of this page.
    pub rows: Vec<Certificate>,
}
