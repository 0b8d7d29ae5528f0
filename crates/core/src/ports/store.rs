//! Port to durable memory. Every method is one transaction; what it answers was committed.
use std::collections::HashMap;
use std::error::Error;
use std::net::IpAddr;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use crate::application::Application;
use crate::certificate::{Certificate, CertificateId, Held, Kind, ListQuery, Page};
use crate::client::{Client, ClientKey, ClientRole, Digest, Session, TokenPair};
use crate::failure::Failure;
use crate::issuance::{AcmeAccount, ChallengeRecord, Fence, Issuance, IssuanceId, Lease, RecordId};
use crate::material::{Chain, PrivateKey};

/// Why the store did not do as asked. `Display` never repeats the source.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What was read cannot have been written by certkeep, or not under this sealing key.
    #[error("{what} cannot be read back")]
    Corrupt {
        /// Table and row.
        what: String,
        /// What was wrong with it.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The lease was taken over by somebody else; nothing was written.
    #[error("the lease of issuance {} is no longer ours", .0.0)]
    LeaseLost(IssuanceId),
    /// The database did not answer, or refused.
    #[error("the store cannot {doing} now")]
    Unavailable {
        /// The operation.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// All of the store.
pub trait Store: Certificates + Clients + Issuances + Settings + Uploads {}

/// A leaf with chain and key, as it is served.
#[derive(Clone, Debug)]
pub struct Version {
    /// Leaf first.
    pub chain: Chain,
    /// Only a server certificate has one.
    pub key: Option<PrivateKey>,
    /// Facts about the leaf.
    pub held: Held,
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

/// How an issuance ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It failed; the entry keeps what it holds and is tried again at the instant given, or never.
    Failed(Failure, Option<Timestamp>),
    /// The version is the entry's current one from now on, and it is renewed at the instant given.
    Issued(Box<Version>, Timestamp),
}

/// Issuances, their records, and due work.
#[async_trait]
pub trait Issuances: Send + Sync {
    /// Begins an issuance for up to `limit` entries whose next one is due and which have none; makes them `issuing`.
    /// Answers how many.
    async fn start_due(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Leases up to `limit` unfinished issuances that nobody holds, until the instant given.
    async fn lease(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<Lease>, StoreError>;

    /// Saves an issuance as it is and prolongs the lease.
    ///
    /// # Errors
    /// `LeaseLost` when the fence no longer holds; then nothing is written.
    async fn save(&self, issuance: &Issuance, fence: Fence, until: Timestamp) -> Result<(), StoreError>;

    /// Hands a lease back, so that the issuance may be leased at once, or not before `again`.
    async fn release(&self, id: IssuanceId, fence: Fence, again: Option<Timestamp>) -> Result<(), StoreError>;

    /// Writes records into the journal, before they are created; answers them with their numbers.
    async fn journal(&self, records: Vec<ChallengeRecord>, fence: Fence) -> Result<Vec<ChallengeRecord>, StoreError>;

    /// Saves what the provider's `add` answered.
    async fn record_added(&self, id: RecordId, handle: &serde_json::Value) -> Result<(), StoreError>;

    /// The journalled records of an issuance.
    async fn records(&self, issuance: IssuanceId) -> Result<Vec<ChallengeRecord>, StoreError>;

    /// Takes a record out of the journal: it is surely gone.
    async fn record_removed(&self, id: RecordId) -> Result<(), StoreError>;

    /// Ends an issuance, the entry's new state and version in the same transaction.
    ///
    /// # Errors
    /// `LeaseLost` when the fence no longer holds; then nothing is written.
    async fn finish(&self, issuance: &Issuance, fence: Fence, outcome: &Outcome) -> Result<(), StoreError>;

    /// How many issuances of the entry failed in a row, until now.
    async fn failures_in_a_row(&self, id: CertificateId) -> Result<u32, StoreError>;

    /// The last failure of the entry, with its evidence.
    async fn last_failure(&self, id: CertificateId) -> Result<Option<Failure>, StoreError>;

    /// Records of finished or deleted issuances that are due for removal.
    async fn due_removals(&self, now: Timestamp, limit: u32) -> Result<Vec<ChallengeRecord>, StoreError>;

    /// Whether an issuance that still runs, another than this record's, has journalled the same value at the same name:
    /// a CA may hand the same pending authorization to both (RFC 8555 §7.1.4), and the record has to stay for the other.
    async fn is_wanted_elsewhere(&self, record: &ChallengeRecord) -> Result<bool, StoreError>;

    /// Remembers that a removal failed; it is due again at the instant given.
    async fn removal_failed(&self, id: RecordId, again: Timestamp) -> Result<(), StoreError>;

    /// The earliest instant at which any work is due: an issuance to begin, one to go on with, a record to remove.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// The account at a CA.
    async fn acme_account(&self, directory: &str) -> Result<Option<AcmeAccount>, StoreError>;

    /// Keeps an account; one directory has one account.
    async fn keep_acme_account(&self, account: &AcmeAccount) -> Result<(), StoreError>;
}

/// A change of a client.
#[derive(Clone, Debug)]
pub enum ClientChange {
    /// Deletes it with all its tokens.
    Remove,
    /// Gives it another secret and revokes all its tokens.
    Rotate(Digest),
}

/// Who or what is blocked after failed logins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BlockSubject {
    /// An address, or the /64 of an IPv6 address.
    Address(ipnet::IpNet),
    /// A pair of client id and secret that is wrong, hashed.
    Credential(Digest),
}

/// What became of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The session is open.
    Opened,
    /// The client is gone or has another secret by now.
    SecretChanged,
    /// As many as are allowed are live.
    TooMany,
}

/// What became of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The address is outside the client's networks; nothing was changed.
    Forbidden,
    /// The new pair is in place.
    Rotated(ClientKey),
    /// The session's access token had ended, and as many as are allowed are live without it; nothing was changed.
    TooMany,
    /// The refresh token is unknown or dead.
    Unknown,
}

/// Clients, tokens, blocks.
#[async_trait]
pub trait Clients: Send + Sync {
    /// Adds a client; `false` if its name or its client id is taken.
    async fn add_client(
        &self,
        name: &str,
        client_id: &str,
        secret: Digest,
        role: ClientRole,
        networks: &[ipnet::IpNet],
    ) -> Result<bool, StoreError>;

    /// All clients, by name.
    async fn clients(&self) -> Result<Vec<Client>, StoreError>;

    /// The client of this client id, with the hash of its secret.
    async fn client(&self, client_id: &str) -> Result<Option<(Client, Digest)>, StoreError>;

    /// Changes the client of this name; `false` if there is none. The epoch grows.
    async fn change_client(&self, name: &str, change: ClientChange) -> Result<bool, StoreError>;

    /// Opens a session with these tokens for a client whose secret still has this hash, unless `max_live` are live at
    /// `now`. A replaced pair in its grace does not count.
    async fn open_session(
        &self,
        client: ClientKey,
        secret: &Digest,
        pair: &TokenPair,
        now: Timestamp,
        max_live: u32,
    ) -> Result<Opening, StoreError>;

    /// What an access token stands for, dead or alive.
    async fn session(&self, access: &Digest) -> Result<Option<Session>, StoreError>;

    /// Puts a new pair in the place of the one whose refresh token this is; the old pair dies at `now + grace` at the
    /// latest. A second rotation of the same pair within its grace replaces the first one's pair: one session never has
    /// two current pairs. A session whose access token has ended counts as a new one against `max_live`.
    async fn rotate_session(
        &self,
        refresh: &Digest,
        pair: &TokenPair,
        address: IpAddr,
        now: Timestamp,
        grace: SignedDuration,
        max_live: u32,
    ) -> Result<Rotation, StoreError>;

    /// Revokes an access token with its refresh token and the pairs they replaced; answers whose it was, `None` if it
    /// never was valid. Revoking twice is no error.
    async fn revoke_session(&self, access: &Digest, now: Timestamp) -> Result<Option<ClientKey>, StoreError>;

    /// Counts a failed login; answers until when the subject is blocked, once `max` failed in a row. A failure while
    /// blocked prolongs the block.
    async fn failed_login(
        &self,
        subject: &BlockSubject,
        now: Timestamp,
        max: u32,
        block: SignedDuration,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Until when the subject is blocked, if it is.
    async fn blocked_until(&self, subject: &BlockSubject, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// Forgets the failed logins of a subject.
    async fn clear_failed_logins(&self, subject: &BlockSubject) -> Result<(), StoreError>;

    /// Deletes tokens that died before the instant given; answers how many.
    async fn sweep_sessions(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Deletes counters of failed logins that were last used before the instant given; answers how many.
    async fn sweep_failed_logins(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Grows whenever clients or tokens were changed by another process; what is remembered of them is void then.
    async fn epoch(&self) -> Result<i64, StoreError>;
}

/// Single values, all of them sealed.
#[async_trait]
pub trait Settings: Send + Sync {
    /// The value of a key.
    async fn setting(&self, key: &str) -> Result<Option<SecretString>, StoreError>;

    /// Sets the value of a key.
    async fn set_setting(&self, key: &str, value: &SecretString) -> Result<(), StoreError>;
}
