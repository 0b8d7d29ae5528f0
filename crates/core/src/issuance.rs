//! One durable run that turns an application into a version, step by saved step (DESIGN §3).
//!
//! ```text
//! queued → ordered → presented → propagated → validated → finalizing → issued → done
//!             └──────────────────── failed; the records are removed in every outcome
//! ```
//! The state is saved before every outward act, so that the first run and recovery are the same code.
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::application::{Application, AuthEntry};
use crate::certificate::CertificateId;
use crate::failure::Failure;
use crate::fallback::Tried;
use crate::material::{Chain, PrivateKey};
use crate::name::DnsName;
use crate::trace::Trace;

/// The number of an issuance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuanceId(pub i64);

/// A saved state: what is known to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The certificate holds a new version; the records are gone or on their way.
    Done,
    /// Ended by a failure; the records are gone or on their way.
    Failed,
    /// Key and request are saved; the order may have been finalized.
    Finalizing,
    /// The CA has issued and the chain is saved, unchecked.
    Issued,
    /// An order stands at the CA.
    Ordered,
    /// Every challenge record is in the journal and was written.
    Presented,
    /// Every name server shows the records; the CA may have been told.
    Propagated,
    /// Nothing was done yet.
    Queued,
    /// Every authorization is valid.
    Validated,
}

impl Step {
    /// All steps, in the order they are taken, `Failed` last.
    pub const ALL: [Step; 9] = [
        Step::Queued,
        Step::Ordered,
        Step::Presented,
        Step::Propagated,
        Step::Validated,
        Step::Finalizing,
        Step::Issued,
        Step::Done,
        Step::Failed,
    ];

    /// The stable word, as stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Step::Done => "done",
            Step::Failed => "failed",
            Step::Finalizing => "finalizing",
            Step::Issued => "issued",
            Step::Ordered => "ordered",
            Step::Presented => "presented",
            Step::Propagated => "propagated",
            Step::Queued => "queued",
            Step::Validated => "validated",
        }
    }

    /// The step of this word.
    pub fn from_word(word: &str) -> Option<Step> {
        Step::ALL.into_iter().find(|step| step.as_str() == word)
    }

    /// Whether the run is over.
    pub const fn is_final(self) -> bool {
        matches!(self, Step::Done | Step::Failed)
    }
}

/// A run.
#[derive(Clone, Debug)]
pub struct Issuance {
    /// Its number.
    pub id: IssuanceId,
    /// The entry that will hold the new version.
    pub certificate: CertificateId,
    /// What is asked for, as it was when the run began.
    pub application: Application,
    /// What is known to be done.
    pub step: Step,
    /// The CAs that did not issue, in the order in which they were asked.
    pub tried: Vec<Tried>,
    /// The directory URL of the CA where the order stands; from `Ordered` on.
    pub directory: Option<String>,
    /// The order's URL (RFC 8555 §7.1.3); from `Ordered` on.
    pub order_url: Option<String>,
    /// The new version's key; from `Finalizing` on.
    pub key: Option<PrivateKey>,
    /// The request (PKCS#10, DER); from `Finalizing` on.
    pub csr: Option<Vec<u8>>,
    /// What the CA issued; from `Issued` on.
    pub chain: Option<Chain>,
    /// What ended the run; only at `Failed`.
    pub failure: Option<Failure>,
    /// When the run began.
    pub started: Timestamp,
    /// What was seen on the way.
    pub trace: Trace,
}

/// What is told of an issuance, running or over: no secret.
#[derive(Clone, Debug)]
pub struct IssuanceSummary {
    /// Its number.
    pub id: IssuanceId,
    /// What is known to be done.
    pub step: Step,
    /// The directory URL of the CA where the order stands, or stood.
    pub directory: Option<String>,
    /// The CAs that did not issue.
    pub tried: Vec<Tried>,
    /// What ended it.
    pub failure: Option<Failure>,
    /// When it began.
    pub started: Timestamp,
    /// What was seen.
    pub trace: Trace,
}

/// How many issuances of an entry are kept after their end.
pub const KEPT_ISSUANCES: u32 = 5;

/// The right to take an issuance's next step until a given instant; writes need the fence.
#[derive(Clone, Debug)]
pub struct Lease {
    /// What is leased.
    pub issuance: Issuance,
    /// Grows with every lease of the issuance; a write with an older one is refused.
    pub fence: Fence,
}

/// The number of a lease of one issuance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence(pub i64);

/// The number of a challenge record in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordId(pub i64);

/// A zone at a provider, with what the provider's own calls need to know of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    /// The zone's name, A-labels, no trailing dot.
    pub name: String,
    /// The provider's own data of it: an id, for one. Holds no secret.
    #[serde(default)]
    pub saved: serde_json::Value,
}

/// A TXT value to be put up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxtRecord {
    /// Where it stands: the challenge name, or where its CNAME leads.
    pub name: DnsName,
    /// The value: base64url of a SHA-256 digest (RFC 8555 §8.4).
    pub value: String,
}

/// A TXT value we own, journalled before it is created and until it is surely gone.
///
/// It carries everything its removal needs, so that it can be removed after its certificate was deleted or its
/// application changed.
#[derive(Clone, Debug)]
pub struct ChallengeRecord {
    /// Its number; `None` until the journal has given one.
    pub id: Option<RecordId>,
    /// The run it belongs to.
    pub issuance: IssuanceId,
    /// Whose authorization it proves (RFC 8555 §7.1.4).
    pub authorization: String,
    /// The challenge's URL.
    pub challenge: String,
    /// Name and value.
    pub record: TxtRecord,
    /// The zone it stands in.
    pub zone: Zone,
    /// The provider's flag.
    pub dns_provider: String,
    /// The provider's parameters.
    pub auth: Vec<AuthEntry>,
    /// What the provider's `add` answered and `remove` can use: a record id, for one. `None` before `add` has
    /// answered.
    pub handle: Option<serde_json::Value>,
    /// Failed removals so far.
    pub failed_removals: u32,
}

/// An account at a CA; the credentials hold its key.
#[derive(Clone, Debug)]
pub struct AcmeAccount {
    /// The CA's directory URL.
    pub directory: String,
    /// What the port `Issuer` needs to act as this account.
    pub credentials: SecretString,
    /// Whether the CA knows it: only then may orders be placed.
    pub registered: bool,
}
