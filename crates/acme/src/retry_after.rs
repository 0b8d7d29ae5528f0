//! `Retry-After` (RFC 9110 §10.2.3), which CAs give with errors and with everything that is not finished yet.
use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

/// The longest wait that is believed: a year.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 365);

/// When the CA wants to be asked again.
pub(crate) fn instant(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let latest = now.checked_add(LONGEST).ok()?;
    let instant = match value.parse::<i64>() {
        Ok(seconds) if seconds >= 0 => now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(latest),
        Ok(_) => return None,
        // An HTTP-date is a date of RFC 5322; a wrong day of the week is forgiven.
        Err(_) => DateTimeParser::new().relaxed_weekday(true).parse_timestamp(value).ok()?,
    };
    Some(instant.min(latest))
}

/// How long to wait from `now` until `instant`.
pub(crate) fn wait(instant: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(instant.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let cases = [
            ("0", Some("2026-11-24T12:00:00Z")),
            ("120", Some("2026-11-24T12:02:00Z")),
            (" 3 ", Some("2026-11-24T12:00:03Z")),
            ("Tue, 24 Nov 2026 13:00:00 GMT", Some("2026-11-24T13:00:00Z")),
            ("9223372036854775807", Some("2027-11-24T12:00:00Z")),
            ("Tue, 24 Nov 9026 13:00:00 GMT", Some("2027-11-24T12:00:00Z")),
            ("-5", None),
            ("soon", None),
            ("", None),
        ];
        for (value, expected) in cases {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            let expected = expected.map(|text| text.parse::<Timestamp>().unwrap());
            assert_eq!(instant(&headers, now), expected, "{value:?}");
        }
        assert_eq!(instant(&HeaderMap::new(), now), None);
    }

    proptest::proptest! {
        #[test]
        fn any_value_gives_an_instant_within_a_year_or_none(value in "[ -~]{0,40}") {
            let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            if let Some(instant) = instant(&headers, now) {
                assert!(instant <= now + LONGEST);
            }
        }
    }

    #[test]
    fn a_past_instant_is_no_wait() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        assert_eq!(wait(now - SignedDuration::from_secs(9), now), Duration::ZERO);
        assert_eq!(wait(now + SignedDuration::from_secs(9), now), Duration::from_secs(9));
    }
}
