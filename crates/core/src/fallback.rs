//! Which CA an issuance asks next, and what is told when none of them issued.
//!
//! CAs are asked in the operator's order. Whether a failure is the CA's alone, so that another may still issue, is told by
//! the catalogue ([`Failure::moves_on`]).
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// A CA that was asked within an issuance, and did not issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Its directory URL.
    pub directory: String,
    /// Why it did not issue.
    pub failure: Failure,
}

/// The first of `directories`, in the operator's order, that was not tried.
pub fn next<'a>(directories: impl IntoIterator<Item = &'a str>, tried: &[Tried]) -> Option<&'a str> {
    directories.into_iter().find(|directory| tried.iter().all(|tried| tried.directory != *directory))
}

/// What an issuance ends with after `last`, which no further CA could mend. Where any CA would meet the last failure, it
/// is the one told, and says alone when to try again. Otherwise it is the last that is tried again without a human, if
/// there is one, and it is tried again as soon as any of the CAs allows it. The others are among its facts.
pub fn outcome(tried: &[Tried], last: Failure) -> Failure {
    let told =
        if last.moves_on() && !last.is_retried() { tried.iter().rposition(|tried| tried.failure.is_retried()) } else { None };
    let mut outcome = told.and_then(|place| tried.get(place)).map_or(&last, |tried| &tried.failure).clone();
    if last.moves_on() {
        let retried = tried.iter().map(|tried| &tried.failure).chain([&last]).filter(|failure| failure.is_retried());
        // One that names no instant may be asked whenever the table of retries says.
        outcome.not_before = retried.map(|failure| failure.not_before).min().flatten();
    }
    let others = tried.iter().enumerate().filter(|(place, _)| Some(*place) != told).map(|(_, tried)| tried);
    for Tried { directory, failure } in others {
        outcome = outcome.fact(format!("Asked before at {}: {}.", host(directory), summary(failure)));
    }
    if told.is_some() {
        outcome = outcome.fact(format!("Asked last: {}.", summary(&last)));
    }
    outcome
}

fn summary(failure: &Failure) -> String {
    format!("{} {}", failure.code.number(), failure.code.name())
}

/// The host of a directory, with its port: a URL's path and query may name a customer.
pub fn host(directory: &str) -> &str {
    let after = directory.split_once("://").map_or(directory, |(_, after)| after);
    after.split(['/', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::failure::Code;

    fn at(second: i64) -> Option<Timestamp> {
        Some(Timestamp::from_second(second).unwrap())
    }

    fn tried(directory: &str, failure: Failure) -> Tried {
        Tried { directory: directory.to_owned(), failure }
    }

    #[test]
    fn cas_are_asked_in_order_and_once() {
        let all = ["https://a.example/dir", "https://b.example/dir"];
        assert_eq!(next(all, &[]), Some(all[0]));
        let first = tried(all[0], Failure::new(Code::CaUnreachable, "new order"));
        assert_eq!(next(all, std::slice::from_ref(&first)), Some(all[1]));
        assert_eq!(next(all, &[first, tried(all[1], Failure::new(Code::CaError, "new order"))]), None);
    }

    #[test]
    fn the_others_are_told_without_their_paths() {
        let before =
            [tried("https://a.example/customer-4711?k=1", Failure::new(Code::CaRateLimited, "new order").not_before(at(500)))];
        let outcome = outcome(&before, Failure::new(Code::CaUnreachable, "new order").not_before(at(900)));
        assert_eq!(outcome.code, Code::CaUnreachable);
        assert_eq!(outcome.evidence.facts, ["Asked before at a.example: 501 ca_rate_limited."]);
        assert_eq!(outcome.not_before, at(500), "the first that allows it");
    }

    #[test]
    fn who_did_not_say_when_may_be_asked_by_the_table() {
        let before = [tried("https://a.example/", Failure::new(Code::CaRateLimited, "new order").not_before(at(500)))];
        assert_eq!(outcome(&before, Failure::new(Code::CaError, "new order")).not_before, None);
    }

    #[test]
    fn what_goes_away_by_itself_is_told_before_what_needs_a_human() {
        let before = [tried("https://a.example/", Failure::new(Code::CaRateLimited, "new order").not_before(at(500)))];
        let outcome = outcome(&before, Failure::new(Code::NameRefused, "new order"));
        assert_eq!((outcome.code, outcome.not_before), (Code::CaRateLimited, at(500)));
        assert_eq!(outcome.evidence.facts, ["Asked last: 402 name_refused."]);
    }

    #[test]
    fn what_every_ca_would_meet_is_told_alone() {
        let before = [tried("https://a.example/", Failure::new(Code::CaRateLimited, "new order").not_before(at(500)))];
        let outcome = outcome(&before, Failure::new(Code::CredentialsRejected, "find zone"));
        assert_eq!((outcome.code, outcome.is_retried(), outcome.not_before), (Code::CredentialsRejected, false, None));
    }
}
