//! What was spent at each CA, so that nothing is sent that would surely be refused.
//!
//! A CA's limits are buckets of tokens that refill. A bucket needs one number: when it will be full again. That is a
//! [`Spending`], and all that is stored: one row for each bucket that is not full, by CA, [`Counted`] and key. Before an
//! act the rows of [`Act::buckets`] are read and [`earliest`] is asked; when it has been done, or a moment before it is
//! done, the rows of [`Event::buckets`] are read and those that [`spend`] answers are written, in one transaction. A row
//! that [`Spending::is_over`] may be deleted at any time: a full bucket is the same as none.
//!
//! What others spend at the same limits (a registered domain is counted whoever asks) is not known here; then the CA
//! says so, and its word ([`Event::ToldToWait`]) has to be waited for however little was counted.
mod domain;
mod limit;

use std::collections::BTreeSet;
use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};

pub use self::domain::registered_domain;
pub use self::limit::{ALLOWANCE, Counted, Limit};
use crate::failure::{Code, Failure};
use crate::name::DnsName;

/// One bucket of one CA.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket {
    /// What is counted.
    pub counted: Counted,
    /// For whom or what: account, name, registered domain or set of names.
    pub key: String,
}

/// What is left of a bucket: it will be full at the instant given if nothing is taken from it. Of
/// [`Counted::ToldToWait`] it is the end of the wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spending {
    /// Which bucket.
    pub bucket: Bucket,
    /// When it is full.
    pub full_at: Timestamp,
}

impl Spending {
    /// Whether it says nothing any more and may be forgotten.
    pub fn is_over(&self, now: Timestamp) -> bool {
        // What may have reached the CA a moment later may be there a moment longer.
        self.full_at.saturating_add(ALLOWANCE).unwrap_or(Timestamp::MAX) <= now
    }
}

/// What an order is in the CA's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// It says by `replaces` which certificate it renews (RFC 9773 §5), which none did before it: no limit holds.
    pub replaces: bool,
    /// The CA has issued for exactly these names before, not long ago: see [`Standing::of`].
    pub renews: bool,
}

/// How long after a certificate another one for the same names is a renewal and not a new one. Let's Encrypt looks back
/// 120 days (<https://github.com/letsencrypt/boulder>, `wfe2/wfe.go`); an hour less, for clocks that differ.
const LOOKED_BACK: SignedDuration = SignedDuration::from_hours(120 * 24 - 1);

impl Standing {
    /// The first certificate for these names.
    pub const NEW: Standing = Standing { replaces: false, renews: false };
    /// One more certificate for the same names.
    pub const RENEWAL: Standing = Standing { replaces: false, renews: true };
    /// One more certificate for the same names, by ARI.
    pub const REPLACEMENT: Standing = Standing { replaces: true, renews: true };

    /// What an order is when the CA has last issued for exactly these names at the instant given.
    pub fn of(last_issued: Option<Timestamp>, replaces: bool, now: Timestamp) -> Standing {
        let renews = last_issued.is_some_and(|last| now.duration_since(last) < LOOKED_BACK);
        Standing { replaces, renews }
    }
}

/// What we are about to do.
#[derive(Clone, Copy, Debug)]
pub enum Act<'a> {
    /// Place an order (RFC 8555 §7.4).
    Order {
        /// Whose.
        account: &'a str,
        /// For which names.
        names: &'a [DnsName],
        /// What it is in the CA's eyes.
        standing: Standing,
    },
    /// Register an account (RFC 8555 §7.3).
    Register,
}

/// A question to the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What we are about to do.
    pub act: Act<'a>,
    /// A person wants it done whatever was counted, this once.
    pub overridden: bool,
}

/// What has happened at the CA.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// An authorization failed: the CA looked for the record and did not find it.
    AuthorizationFailed {
        /// Whose.
        account: &'a str,
        /// For which name, with its `*.` if the order had it.
        name: &'a DnsName,
    },
    /// An authorization succeeded.
    AuthorizationValid {
        /// Whose.
        account: &'a str,
        /// For which name, with its `*.` if the order had it.
        name: &'a DnsName,
    },
    /// A certificate was issued, or may have been.
    Issued {
        /// For which names.
        names: &'a [DnsName],
        /// What the order was in the CA's eyes.
        standing: Standing,
    },
    /// An order was placed, or may have been.
    Ordered {
        /// Whose.
        account: &'a str,
        /// What it was in the CA's eyes.
        standing: Standing,
    },
    /// An account was registered, or may have been.
    Registered,
    /// The CA refused with 429 or asked to come again later (`Retry-After`).
    ToldToWait {
        /// Whom.
        account: &'a str,
        /// For which name alone; `None` when it is about the account.
        name: Option<&'a DnsName>,
        /// Until when.
        until: Timestamp,
    },
}

/// Why an act has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which bucket is empty; of several the one that is the last to have a token again.
    pub bucket: Bucket,
    /// What it is about, for people.
    pub subject: String,
    /// The first instant at which the act is not refused, unless more is spent meanwhile.
    pub until: Timestamp,
    /// How many tokens are out.
    pub taken: u32,
    /// How many there are.
    pub capacity: u32,
}

impl Refusal {
    /// The failure of an application that has to wait.
    pub fn failure(&self, doing: &str) -> Failure {
        let (code, fact) = match self.bucket.counted {
            Counted::ToldToWait => (Code::CaRateLimited, format!("the CA asked to wait until {}", self.until)),
            counted => {
                let fact = format!(
                    "{} of {} {} are used up; the next is free at {}",
                    self.taken,
                    self.capacity,
                    counted.as_str().replace('_', " "),
                    self.until
                );
                (Code::CaLimitAhead, fact)
            }
        };
        Failure::new(code, doing).about(&self.subject).fact(fact).not_before(Some(self.until))
    }
}

impl Act<'_> {
    /// The buckets that [`earliest`] looks at.
    pub fn buckets(&self) -> Vec<Bucket> {
        self.subjects().into_iter().map(|(bucket, _)| bucket).collect()
    }

    fn subjects(&self) -> Vec<(Bucket, String)> {
        let Act::Order { account, names, standing } = *self else {
            return vec![(bucket(Counted::Registrations, String::new()), "new accounts".to_owned())];
        };
        let mut all = vec![(bucket(Counted::ToldToWait, account.to_owned()), account.to_owned())];
        for name in names {
            all.push((bucket(Counted::ToldToWait, of_name(account, name)), name.to_string()));
        }
        if standing.replaces {
            return all;
        }
        for name in names {
            for counted in [Counted::FailedAuthorizations, Counted::FailuresInARow] {
                all.push((bucket(counted, of_name(account, name)), name.to_string()));
            }
        }
        let first = names.first().map(ToString::to_string).unwrap_or_default();
        all.push((bucket(Counted::CertificatesOfSet, of_set(names)), first));
        if !standing.renews {
            all.push((bucket(Counted::Orders, account.to_owned()), account.to_owned()));
            all.extend(domains(names).into_iter().map(|domain| (bucket(Counted::CertificatesOfDomain, domain.clone()), domain)));
        }
        all
    }
}

impl Event<'_> {
    /// The buckets that [`spend`] may change.
    pub fn buckets(&self) -> Vec<Bucket> {
        match *self {
            Event::AuthorizationFailed { account, name } => [Counted::FailedAuthorizations, Counted::FailuresInARow]
                .map(|counted| bucket(counted, of_name(account, name)))
                .to_vec(),
            Event::AuthorizationValid { account, name } => vec![bucket(Counted::FailuresInARow, of_name(account, name))],
            Event::Issued { names, standing } => {
                let mut all = vec![bucket(Counted::CertificatesOfSet, of_set(names))];
                if !standing.renews {
                    all.extend(domains(names).into_iter().map(|domain| bucket(Counted::CertificatesOfDomain, domain)));
                }
                all
            }
            Event::Ordered { standing, .. } if standing.replaces || standing.renews => Vec::new(),
            Event::Ordered { account, .. } => vec![bucket(Counted::Orders, account.to_owned())],
            Event::Registered => vec![bucket(Counted::Registrations, String::new())],
            Event::ToldToWait { account, name, .. } => {
                vec![bucket(Counted::ToldToWait, name.map_or_else(|| account.to_owned(), |name| of_name(account, name)))]
            }
        }
    }
}

/// Whether the CA would take the act now; `spent` are the rows of the buckets that the act looks at.
///
/// # Errors
/// Which limit is in the way, and until when.
pub fn earliest(limits: &[Limit], spent: &[Spending], asked: &Asked<'_>, now: Timestamp) -> Result<(), Refusal> {
    if asked.overridden {
        return Ok(());
    }
    let refusals = asked.act.subjects().into_iter().filter_map(|(bucket, subject)| {
        let full_at = found(spent, &bucket)?;
        if bucket.counted == Counted::ToldToWait {
            return (full_at > now).then_some(Refusal { bucket, subject, until: full_at, taken: 0, capacity: 0 });
        }
        let limit = limits.iter().find(|limit| limit.counted == bucket.counted)?;
        let until = limit.free_at(full_at)?;
        let taken = limit.taken(full_at, now);
        (until > now).then_some(Refusal { bucket, subject, until, taken, capacity: limit.capacity })
    });
    refusals.max_by_key(|refusal| refusal.until).map_or(Ok(()), Err)
}

/// What an event leaves of the buckets that it touches; `spent` are their rows. Limits that the CA does not have are
/// not counted.
pub fn spend(limits: &[Limit], spent: &[Spending], event: &Event<'_>, now: Timestamp) -> Vec<Spending> {
    let buckets = event.buckets().into_iter();
    let after = buckets.filter_map(|bucket| {
        let before = found(spent, &bucket);
        let full_at = match event {
            Event::AuthorizationValid { .. } => before.map(|_| now),
            // A longer wait is not shortened by a shorter one.
            Event::ToldToWait { until, .. } => Some(before.map_or(*until, |before| before.max(*until))),
            _ => limits.iter().find(|limit| limit.counted == bucket.counted).map(|limit| limit.take(before, now)),
        };
        full_at.map(|full_at| Spending { bucket, full_at })
    });
    after.collect()
}

fn found(spent: &[Spending], bucket: &Bucket) -> Option<Timestamp> {
    spent.iter().find(|spending| spending.bucket == *bucket).map(|spending| spending.full_at)
}

fn bucket(counted: Counted, key: String) -> Bucket {
    Bucket { counted, key }
}

fn of_name(account: &str, name: &DnsName) -> String {
    format!("{account} {name}")
}

/// The registered domains of the names, each once.
fn domains(names: &[DnsName]) -> BTreeSet<String> {
    names.iter().map(registered_domain).collect()
}

/// A digest of the names, whatever their order: a hundred of them would make a long key.
fn of_set(names: &[DnsName]) -> String {
    let names: BTreeSet<&str> = names.iter().map(DnsName::as_str).collect();
    let joined = names.into_iter().collect::<Vec<_>>().join(",");
    digest(&SHA256, joined.as_bytes()).as_ref().iter().fold(String::with_capacity(64), |mut hex, octet| {
        let _ = write!(hex, "{octet:02x}");
        hex
    })
}
