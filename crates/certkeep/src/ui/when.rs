//! Instants and spans in words for people.
use jiff::Timestamp;

use super::texts::Texts;

/// `2026-11-24`, in UTC.
pub(super) fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// `2026-11-24 23:30 UTC`.
pub(super) fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `in 3 days`, `5 hours ago`, by the largest unit that fits.
pub(super) fn distance(texts: &Texts, at: Timestamp, now: Timestamp) -> String {
    let seconds = at.duration_since(now).as_secs();
    let span = span(texts, seconds.unsigned_abs());
    match seconds {
        -59..=59 => texts.t("when.now").to_owned(),
        60.. => texts.fill("when.in", &[("span", &span)]),
        _ => texts.fill("when.ago", &[("span", &span)]),
    }
}

/// `3 days`, by the largest unit that fits.
pub(super) fn span(texts: &Texts, seconds: u64) -> String {
    match seconds {
        0..60 => texts.count("when.second", seconds),
        60..7_200 => texts.count("when.minute", seconds / 60),
        7_200..172_800 => texts.count("when.hour", seconds / 3_600),
        _ => texts.count("when.day", seconds / 86_400),
    }
}

/// Milliseconds after a beginning as seconds.
pub(super) fn seconds(ms: i128) -> String {
    format!("{}.{:03} s", ms.max(0) / 1000, ms.max(0) % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_in_words() {
        let now = Timestamp::from_second(1_900_000_000).unwrap();
        for (seconds, words) in [
            (0, "now"),
            (90, "in 1 minute"),
            (-7_200, "2 hours ago"),
            (86_400, "in 24 hours"),
            (3 * 86_400 + 5, "in 3 days"),
            (-90 * 86_400, "90 days ago"),
        ] {
            let at = Timestamp::from_second(1_900_000_000 + seconds).unwrap();
            assert_eq!(distance(Texts::english(), at, now), words);
        }
    }

    #[test]
    fn instants_in_utc() {
        let at = Timestamp::from_second(1_900_000_000).unwrap();
        assert_eq!((day(at), minute(at)), ("2030-03-17".to_owned(), "2030-03-17 17:46 UTC".to_owned()));
        assert_eq!(seconds(1_234), "1.234 s");
    }
}
