//! A limit of a CA as a bucket of tokens that refills.
use jiff::{SignedDuration, Timestamp};

/// How much later than we noted it an act may have reached the CA: as long as a request may take. What comes out is
/// never refused by the CA, and waits this much longer than it might.
pub const ALLOWANCE: SignedDuration = SignedDuration::from_secs(30);

/// What a CA counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counted {
    /// Certificates that hold a name of one registered domain, whoever asks.
    CertificatesOfDomain,
    /// Certificates for exactly the same names, whoever asks.
    CertificatesOfSet,
    /// Authorizations of one name that failed, by one account.
    FailedAuthorizations,
    /// Authorizations of one name that failed without one that succeeded, by one account.
    FailuresInARow,
    /// Orders of one account.
    Orders,
    /// New accounts from one address.
    Registrations,
    /// Nothing: the CA has said itself until when to wait.
    ToldToWait,
}

impl Counted {
    /// All of them.
    pub const ALL: [Counted; 7] = [
        Counted::CertificatesOfDomain,
        Counted::CertificatesOfSet,
        Counted::FailedAuthorizations,
        Counted::FailuresInARow,
        Counted::Orders,
        Counted::Registrations,
        Counted::ToldToWait,
    ];

    /// The stable word, as stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Counted::CertificatesOfDomain => "certificates_of_domain",
            Counted::CertificatesOfSet => "certificates_of_set",
            Counted::FailedAuthorizations => "failed_authorizations",
            Counted::FailuresInARow => "failures_in_a_row",
            Counted::Orders => "orders",
            Counted::Registrations => "registrations",
            Counted::ToldToWait => "told_to_wait",
        }
    }

    /// The one of this word.
    pub fn from_word(word: &str) -> Option<Counted> {
        Counted::ALL.into_iter().find(|counted| counted.as_str() == word)
    }
}

/// A bucket that holds `capacity` tokens when full; each act takes one, and an empty bucket is full again after
/// `period`, its tokens coming back one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted.
    pub counted: Counted,
    /// How many acts at once.
    pub capacity: u32,
    /// How long until an empty bucket is full.
    pub period: SignedDuration,
}

impl Limit {
    /// A bucket of `capacity`, full again after so many hours.
    pub const fn per_hours(counted: Counted, capacity: u32, hours: i64) -> Limit {
        Limit { counted, capacity, period: SignedDuration::from_hours(hours) }
    }

    /// How long one token takes to come back; a whole number of microseconds, rounded up.
    pub fn refill(&self) -> SignedDuration {
        SignedDuration::from_micros(self.refill_micros())
    }

    fn refill_micros(&self) -> i64 {
        let capacity = i64::from(self.capacity.max(1));
        self.period_micros().saturating_add(capacity - 1) / capacity
    }

    fn period_micros(&self) -> i64 {
        i64::try_from(self.period.as_micros()).unwrap_or(i64::MAX)
    }

    /// When the bucket will be full after one more token was taken at `now`. An empty bucket does not get emptier: the
    /// CA does not lend. What passes the limit by (a replacement, an override) may find less than one token; whether
    /// the CA takes that is not known, so it counts as taken: the wait may then be one token's refill too long.
    pub(super) fn take(&self, full_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let now = now.as_microsecond();
        let full = full_at.map_or(now, Timestamp::as_microsecond).max(now);
        let emptiest = now.saturating_add(self.period_micros());
        instant(full.saturating_add(self.refill_micros()).min(emptiest))
    }

    /// The first instant at which a token can be taken, [`ALLOWANCE`] included; `None` when it can be at any time.
    pub(super) fn free_at(&self, full_at: Timestamp) -> Option<Timestamp> {
        // With one token less the bucket would be full this much later, and may not be emptier than empty.
        let full = full_at.as_microsecond().saturating_add(self.refill_micros());
        let allowance = i64::try_from(ALLOWANCE.as_micros()).unwrap_or(0);
        (self.capacity > 0).then(|| instant(full.saturating_sub(self.period_micros()).saturating_add(allowance)))
    }

    /// How many tokens are out at `now`, [`ALLOWANCE`] included.
    pub fn taken(&self, full_at: Timestamp, now: Timestamp) -> u32 {
        let allowance = i64::try_from(ALLOWANCE.as_micros()).unwrap_or(0);
        let missing = full_at.as_microsecond().saturating_add(allowance).saturating_sub(now.as_microsecond()).max(0);
        let refill = self.refill_micros().max(1);
        let taken = missing.saturating_add(refill - 1) / refill;
        u32::try_from(taken).unwrap_or(u32::MAX).min(self.capacity)
    }
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}
