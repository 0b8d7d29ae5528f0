//! The part of the store that holds the inventory and the files it is made of.
use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;

use super::store::StoreError;
use crate::application::Application;
use crate::certificate::{Certificate, CertificateId, Held, Kind, ListQuery, Page};
use crate::client::ClientKey;
use crate::material::{Chain, PrivateKey};

/// A leaf with chain and key, as it is served.
#[derive(Clone, Debug)]
pub struct Version {
    /// Leaf first.
    pub chain: Chain,
    /// Only a server certificate has one.
    pub key: Option<PrivateKey>,
    /// Facts about the leaf.
    pub held: Held,
    /// The directory URL of the CA that issued it to us; absent for what was uploaded.
    pub directory: Option<String>,
}

/// An entry to be added.
#[derive(Clone, Debug)]
pub struct NewCertificate {
    /// Its file name.
    pub name: String,
    /// What is held from the start; absent for an applied one.
    pub version: Option<Version>,
    /// What a server certificate has besides; `None` for a trusted one.
    pub server: Option<NewServer>,
    /// The upload that is used up by this.
    pub upload: Option<UsedUpload>,
    /// Refused when there are this many of its kind already.
    pub limit: Option<u32>,
}

/// What a server certificate has besides its version.
#[derive(Clone, Debug)]
pub struct NewServer {
    /// What to ask for; without it the entry is never renewed.
    pub application: Option<Application>,
    /// When the first issuance begins: at once for an applied entry, at renewal time for an uploaded one.
    pub next_issuance: Option<Timestamp>,
    /// Who asks for it: applications of different clients begin by turns.
    pub owner: Option<ClientKey>,
}

/// Why an entry cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// So many of its kind are there already.
    #[error("there are {0} of its kind already")]
    LimitReached(u32),
    /// Another entry has this name.
    #[error("the name is taken")]
    NameTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The upload is used up, replaced or swept.
    #[error("the upload is no longer there")]
    UploadGone,
}

/// A change of a server certificate; absent means unchanged.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// A new file name.
    pub name: Option<String>,
    /// A version that becomes the current one.
    pub version: Option<Version>,
    /// What to ask for from now on; `Some(None)` forgets it.
    pub application: Option<Option<Application>>,
    /// When the next issuance begins; `Some(None)` never.
    pub next_issuance: Option<Option<Timestamp>>,
    /// Who asks for it.
    pub owner: Option<ClientKey>,
    /// The upload that is used up by this.
    pub upload: Option<UsedUpload>,
}

/// Why an entry cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// An issuance is under way.
    #[error("an application is running")]
    Busy,
    /// Another entry has the new name.
    #[error("the name is taken")]
    NameTaken,
    /// There is no such entry.
    #[error("there is no such entry")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The upload is used up, replaced or swept.
    #[error("the upload is no longer there")]
    UploadGone,
}

/// Why an entry cannot be deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// An issuance is under way.
    #[error("an application is running")]
    Busy,
    /// There is no such entry.
    #[error("there is no such entry")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The inventory.
#[async_trait]
pub trait Certificates: Send + Sync {
    /// The entry of this number.
    async fn certificate(&self, id: CertificateId) -> Result<Option<Certificate>, StoreError>;

    /// The entry of this file name.
    async fn certificate_by_name(&self, name: &str) -> Result<Option<Certificate>, StoreError>;

    /// Those of these entries that exist, by number.
    async fn certificates(&self, ids: &[CertificateId]) -> Result<HashMap<CertificateId, Certificate>, StoreError>;

    /// A page of the inventory (contract §4.3).
    async fn list(&self, query: &ListQuery) -> Result<Page, StoreError>;

    /// The current version of an entry, with its key.
    async fn current_version(&self, id: CertificateId) -> Result<Option<Version>, StoreError>;

    /// Adds an entry, using up its upload. An applied one (application, no version) is `issuing` from now on.
    async fn create(&self, new: &NewCertificate) -> Result<CertificateId, CreateError>;

    /// Changes a server certificate that no issuance is running for. A change whose `next_issuance` is not after `now`
    /// makes it `issuing` and forgets its failure; `next_issuance: Some(None)` with no version held stays as it is.
    /// A new version makes it `issuance_success` otherwise. Refused with `Busy` while it is `issuing`.
    async fn change(&self, id: CertificateId, change: &Change, now: Timestamp) -> Result<(), ChangeError>;

    /// Deletes an entry that is not `issuing`. Its leftover challenge records stay in the journal until they are removed.
    async fn delete(&self, id: CertificateId) -> Result<(), DeleteError>;

    /// The names of the server certificates that hold a version, in alphabetical order.
    async fn servable_names(&self) -> Result<Vec<String>, StoreError>;
}

/// A file that was uploaded and not yet used.
#[derive(Clone, Debug)]
pub struct Upload {
    /// What it is to become.
    pub kind: Kind,
    /// Base name; a later upload of the same kind and name replaces the earlier.
    pub name: String,
    /// Its octets; they may hold a private key.
    pub content: secrecy::SecretSlice<u8>,
    /// The password that opens it.
    pub password: Option<SecretString>,
    /// When it was kept.
    pub kept: Timestamp,
}

/// An upload that was read and is used up by what was made of it; a later one of the same name is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedUpload {
    /// What it became.
    pub kind: Kind,
    /// Its base name.
    pub name: String,
    /// When it was kept.
    pub kept: Timestamp,
}

/// Temporary files (contract §4.5).
#[async_trait]
pub trait Uploads: Send + Sync {
    /// Keeps a file, unless `max` others are kept already; answers whether it did.
    async fn keep_upload(&self, upload: &Upload, max: u32) -> Result<bool, StoreError>;

    /// The file, if it was kept after `since`.
    async fn upload(&self, kind: Kind, name: &str, since: Timestamp) -> Result<Option<Upload>, StoreError>;

    /// Deletes what was kept before `before`; answers how many.
    async fn sweep_uploads(&self, before: Timestamp) -> Result<u64, StoreError>;
}
