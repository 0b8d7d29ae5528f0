//! The inventory as people look at it: an entry in outline, what about it needs a human, and what the coming days bring.
//!
//! An outline holds no secret and no parameter of a provider, so that everybody who may look at the inventory may see it.
use jiff::{SignedDuration, Timestamp};

use crate::certificate::{ApplyStatus, CertificateId, Kind, Origin, SortBy};
use crate::failure::{Code, Turn};
use crate::renewal::Validity;
use crate::renewal_info::Window;

/// An entry without secrets, and with what is planned for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// Its number.
    pub id: CertificateId,
    /// Its file name.
    pub name: String,
    /// Server or trusted.
    pub kind: Kind,
    /// The domain it is for.
    pub issue_to: String,
    /// From when to when what is held is valid; `None` while nothing is held.
    pub validity: Option<Validity>,
    /// How it came; only a server certificate has one.
    pub origin: Option<Origin>,
    /// Where its application stands; only a server certificate has one.
    pub status: Option<ApplyStatus>,
    /// What the last application or renewal failed with, until the next one begins.
    pub failure: Option<Code>,
    /// The provider's flag, where it is applied for.
    pub dns_provider: Option<String>,
    /// When the next issuance begins, or began.
    pub next_issuance: Option<Timestamp>,
    /// When its CA wants it to be renewed (RFC 9773), if it told.
    pub window: Option<Window>,
    /// The CA's page that says why.
    pub explanation: Option<String>,
    /// How many issuances failed in a row.
    pub failures: u32,
}

/// Why an entry needs a human; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// What is held is no longer valid.
    Expired,
    /// What is held ends before anything is tried for it, or nothing will be.
    EndsFirst,
    /// An application failed and is not tried again.
    FailedForGood,
    /// An application failed, is tried again, and is likely to fail again unless somebody does something.
    FailsUntilChanged,
}

/// What is not renewed by itself is told of when this part of its life is left …
const TOLD_PART: i32 = 10;
/// … and this long before its end at the earliest.
const TOLD_BEFORE: SignedDuration = SignedDuration::from_hours(60 * 24);

/// From which instant on an end is told of, where nothing will be tried before it.
pub fn told_from(validity: Validity) -> Timestamp {
    let before = (validity.life() / TOLD_PART).min(TOLD_BEFORE);
    validity.not_after.saturating_sub(before).unwrap_or(validity.not_after)
}

impl Outline {
    /// Why the entry needs a human now, if it does.
    pub fn concern(&self, now: Timestamp) -> Option<Concern> {
        if let Some(validity) = self.validity {
            if validity.not_after <= now {
                return Some(Concern::Expired);
            }
            let missed = match self.next_issuance {
                _ if self.status == Some(ApplyStatus::Issuing) => false,
                Some(next) => next >= validity.not_after,
                None => told_from(validity) <= now,
            };
            if missed {
                return Some(Concern::EndsFirst);
            }
        }
        match (self.status, self.failure) {
            (Some(ApplyStatus::IssuanceFail), _) if self.next_issuance.is_none() => Some(Concern::FailedForGood),
            (Some(ApplyStatus::IssuanceFail), Some(code)) if code.entry().turn == Turn::User => Some(Concern::FailsUntilChanged),
            _ => None,
        }
    }
}

/// What an entry is looked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It needs a human, see [`Outline::concern`].
    Concern,
    /// What is held is no longer valid.
    Expired,
    /// The last application failed.
    Failed,
    /// An application is under way.
    Issuing,
    /// It holds what is valid, and nothing failed.
    Valid,
}

impl State {
    /// All of them.
    pub const ALL: [State; 5] = [State::Concern, State::Expired, State::Failed, State::Issuing, State::Valid];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Concern => "concern",
            State::Expired => "expired",
            State::Failed => "failed",
            State::Issuing => "issuing",
            State::Valid => "valid",
        }
    }

    /// The state of this word.
    pub fn from_word(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// Which entries, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// A part of the file name, the domain or one of the names applied for; in any case.
    pub text: Option<String>,
    /// Only those of this state.
    pub state: Option<State>,
    /// One kind only.
    pub kind: Option<Kind>,
    /// Only those whose end is not before the first instant and before the second.
    pub ends: Option<(Timestamp, Timestamp)>,
    /// The order; ties go by number, ascending.
    pub sort_by: SortBy,
    /// Largest first.
    pub descending: bool,
    /// From 1.
    pub page: u32,
    /// Rows a page, from 1.
    pub page_size: u32,
}

impl Search {
    /// The first page of everything, the next to end first.
    pub fn everything(page_size: u32) -> Search {
        Search {
            text: None,
            state: None,
            kind: None,
            ends: None,
            sort_by: SortBy::Expiration,
            descending: false,
            page: 1,
            page_size,
        }
    }
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// How many match in all.
    pub total: u64,
    /// Those of the page.
    pub rows: Vec<Outline>,
}

/// What becomes of the entries whose end falls on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Nothing is tried before the end.
    Ends,
    /// The last try failed; another one comes before the end.
    Failing,
    /// Replaced before the end, if all goes well.
    Renewed,
}

/// How many entries do the same on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayCount {
    /// Full days after the instant asked for.
    pub day: u32,
    /// How many.
    pub count: u64,
}

/// What the coming days bring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Ends of what is held, by fate and day.
    pub ends: Vec<(Fate, DayCount)>,
    /// Issuances that begin, by day; what is overdue counts for the first.
    pub tries: Vec<DayCount>,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Server certificates.
    pub server: u64,
    /// Trusted ones.
    pub trusted: u64,
    /// Applications under way.
    pub issuing: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(2_000_000_000 + hours * 3600).unwrap()
    }

    fn outline(ends: Option<i64>, next: Option<i64>, status: ApplyStatus, failure: Option<Code>) -> Outline {
        Outline {
            id: CertificateId(1),
            name: "a.pem".into(),
            kind: Kind::Server,
            issue_to: "a.example.com".into(),
            validity: ends.map(|ends| Validity { not_before: at(-1000), not_after: at(ends) }),
            origin: Some(Origin::Apply),
            status: Some(status),
            failure,
            dns_provider: None,
            next_issuance: next.map(at),
            window: None,
            explanation: None,
            failures: 0,
        }
    }

    #[test]
    fn the_worst_is_told() {
        use ApplyStatus::{IssuanceFail, IssuanceSuccess, Issuing};
        let final_code = Some(Code::CredentialsRejected);
        for (outline, concern) in [
            (outline(Some(1000), Some(500), IssuanceSuccess, None), None),
            (outline(Some(0), Some(0), IssuanceFail, final_code), Some(Concern::Expired)),
            (outline(Some(10), Some(10), IssuanceSuccess, None), Some(Concern::EndsFirst)),
            (outline(Some(10), Some(9), IssuanceSuccess, None), None),
            (outline(Some(10), None, Issuing, None), None),
            (outline(Some(111), None, IssuanceSuccess, None), Some(Concern::EndsFirst)),
            (outline(Some(112), None, IssuanceSuccess, None), None),
            (outline(None, None, IssuanceFail, final_code), Some(Concern::FailedForGood)),
            (outline(None, Some(1), IssuanceFail, Some(Code::ValidationFailed)), Some(Concern::FailsUntilChanged)),
            (outline(None, Some(1), IssuanceFail, Some(Code::CaError)), None),
            (outline(None, Some(1), Issuing, None), None),
        ] {
            assert_eq!(outline.concern(at(0)), concern, "{outline:?}");
        }
    }

    #[test]
    fn a_long_life_is_not_told_of_years_before_its_end() {
        let years = Validity { not_before: at(-90_000), not_after: at(90_000) };
        assert_eq!(told_from(years), at(90_000 - 60 * 24));
    }
}
