//! Several CAs for one application: which failure it bears when none of them issued.
//!
//! The CAs are tried in the order of the application. Whether a failure leads to the next one is said by the catalogue
//! ([`Failure::moves_on`]), nowhere else.
use crate::failure::Failure;

/// The failure of an application that has come to its end without a certificate; `met` holds what each CA that was
/// tried has led to, in order, with the CA's name. `None` when no CA was tried.
///
/// It is tried again if any of the CAs may be. The failure told is the last one when that one stays with its CA (the
/// others were only in the way), else the first that is tried again, else the first; the others become facts of it.
/// It is not tried before the earliest instant at which one of the CAs may be.
pub fn together(mut met: Vec<(String, Failure)>) -> Option<Failure> {
    let (_, last) = met.last()?;
    let told = if last.moves_on() {
        met.iter().position(|(_, failure)| failure.is_retried()).unwrap_or(0)
    } else {
        met.len().saturating_sub(1)
    };
    let earliest = if last.moves_on() {
        let retried = met.iter().filter(|(_, failure)| failure.is_retried());
        // One that names no instant may be tried whenever certkeep's own table says.
        retried.map(|(_, failure)| failure.not_before).min().flatten()
    } else {
        last.not_before
    };
    let (ca, mut failure) = met.remove(told);
    if !met.is_empty() {
        failure = failure.fact(format!("this is what {ca} led to"));
    }
    for (ca, other) in met {
        failure = failure.fact(format!("{ca} led to {} {}", other.code.number(), other.code.name()));
    }
    Some(failure.not_before(earliest))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::failure::Code;

    fn met(all: &[(&str, Code, Option<i64>)]) -> Vec<(String, Failure)> {
        let failure = |(ca, code, second): &(&str, Code, Option<i64>)| {
            let not_before = second.map(|second| Timestamp::from_second(second).unwrap());
            ((*ca).to_owned(), Failure::new(*code, "new order").not_before(not_before))
        };
        all.iter().map(failure).collect()
    }

    #[test]
    fn one_ca_that_may_be_tried_again_has_the_application_tried_again() {
        let failure = together(met(&[("a", Code::CaaForbids, None), ("b", Code::CaUnreachable, None)])).unwrap();
        assert_eq!(failure.code, Code::CaUnreachable);
        assert!(failure.is_retried());
        assert_eq!(failure.evidence.facts, ["this is what b led to", "a led to 401 caa_forbids"]);
        let failure = together(met(&[("a", Code::CaaForbids, None), ("b", Code::NameRefused, None)])).unwrap();
        assert_eq!((failure.code, failure.is_retried()), (Code::CaaForbids, false));
    }

    #[test]
    fn a_failure_that_stays_with_its_ca_is_the_one_to_be_told() {
        let failure = together(met(&[("a", Code::CaRateLimited, Some(9)), ("b", Code::CredentialsRejected, None)])).unwrap();
        assert_eq!((failure.code, failure.is_retried(), failure.not_before), (Code::CredentialsRejected, false, None));
    }

    #[test]
    fn the_earliest_of_the_instants_counts_and_none_is_the_earliest() {
        let all = [("a", Code::CaRateLimited, Some(900)), ("b", Code::CaLimitAhead, Some(500)), ("c", Code::CaaForbids, Some(1))];
        let failure = together(met(&all)).unwrap();
        assert_eq!((failure.code, failure.not_before), (Code::CaRateLimited, Some(Timestamp::from_second(500).unwrap())));
        let failure = together(met(&[("a", Code::CaRateLimited, Some(900)), ("b", Code::CaError, None)])).unwrap();
        assert_eq!(failure.not_before, None);
    }

    #[test]
    fn a_single_failure_is_left_as_it_is() {
        let alone = met(&[("a", Code::CaRateLimited, Some(900))]);
        assert_eq!(together(alone.clone()), alone.into_iter().next().map(|(_, failure)| failure));
        assert_eq!(together(Vec::new()), None);
    }
}
