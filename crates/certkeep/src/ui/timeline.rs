//! The time line of *Today*: drawn on the server, words in HTML and shapes in SVG, so that it stretches to any width.
//!
//! Few certificates have a line each. Many are counted by day: above the axis what ends, below it what is tried.
use std::fmt::Write;

use askama::Template;
use certkeep_core::outline::{Calendar, Concern, DayCount, Fate, Outline};
use jiff::{SignedDuration, Timestamp};

use super::texts::Texts;
use super::when;

/// How far it reaches.
pub(super) const DAYS: u32 = 90;
/// Units of the drawing for a day.
const DAY: f64 = 10.0;
/// Heights of the drawing of days: above the axis, and below it.
const ABOVE: f64 = 96.0;
const BELOW: f64 = 36.0;
/// The least height of a bar, so that one among thousands is seen.
const LEAST: f64 = 3.0;

#[derive(Template)]
#[template(path = "timeline_lines.html")]
struct Lines<'a> {
    texts: &'a Texts,
    lines: Vec<Line>,
    ticks: Vec<String>,
}

struct Line {
    name: String,
    href: String,
    /// The same as the drawing, in words.
    words: String,
    drawing: String,
}

#[derive(Template)]
#[template(path = "timeline_days.html")]
struct Days<'a> {
    texts: &'a Texts,
    drawing: String,
    ticks: Vec<String>,
    rows: Vec<DayRow>,
}

struct DayRow {
    day: String,
    ends: u64,
    tries: u64,
}

/// The first day, and every thirtieth.
fn ticks(now: Timestamp) -> Vec<String> {
    (0..=3).map(|month| when::day(after(now, month * 30))).collect()
}

fn after(now: Timestamp, days: u32) -> Timestamp {
    now.saturating_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(now)
}

/// Where an instant stands, kept within the drawing.
fn place(at: Timestamp, now: Timestamp) -> f64 {
    let days = at.duration_since(now).as_secs_f64() / 86_400.0;
    (days * DAY).clamp(0.0, f64::from(DAYS) * DAY)
}

/// A line for each certificate.
pub(super) fn lines(texts: &Texts, rows: &[Outline], now: Timestamp) -> String {
    let lines = rows.iter().map(|row| line(texts, row, now)).collect();
    Lines { texts, lines, ticks: ticks(now) }.render().unwrap_or_default()
}

fn line(texts: &Texts, row: &Outline, now: Timestamp) -> Line {
    let concern = row.concern(now);
    let tone = match concern {
        Some(Concern::Expired | Concern::EndsFirst | Concern::FailedForGood) => "bad",
        Some(Concern::FailsUntilChanged) => "warn",
        None => "ok",
    };
    let mut drawing = String::new();
    let mut words = Vec::new();
    let mut rect = |class: &str, from: f64, width: f64, y: u8, height: u8| {
        let _ = write!(drawing, r#"<rect class="{class}" x="{from:.1}" y="{y}" width="{width:.1}" height="{height}"/>"#);
    };
    if let Some(validity) = row.validity {
        let end = place(validity.not_after, now);
        rect(&format!("life {tone}"), 0.0, end.max(1.0), 9, 4);
        let beyond = validity.not_after > after(now, DAYS);
        if !beyond {
            rect(&format!("end {tone}"), (end - 2.0).max(0.0), 4.0, 3, 16);
        }
        let key = if validity.not_after <= now { "timeline.ended" } else { "timeline.ends" };
        words.push(texts.fill(key, &[("day", &when::day(validity.not_after))]));
    } else {
        words.push(texts.t("timeline.nothing").to_owned());
    }
    if let Some(window) = row.window.filter(|window| window.start() < after(now, DAYS)) {
        let (from, to) = (place(window.start(), now), place(window.end(), now));
        rect("window", from, (to - from).max(3.0), 6, 10);
    }
    if let Some(next) = row.next_issuance.filter(|next| *next < after(now, DAYS)) {
        rect("try", (place(next, now) - 3.0).max(0.0), 6.0, 5, 12);
        words.push(texts.fill("timeline.next", &[("day", &when::day(next.max(now)))]));
    }
    Line { name: row.issue_to.clone(), href: format!("/ui/certificates/{}", row.id.0), words: words.join(", "), drawing }
}

/// All certificates, counted by day.
pub(super) fn days(texts: &Texts, calendar: &Calendar, now: Timestamp) -> String {
    let ends = |day: u32, wanted: Option<Fate>| -> u64 {
        let of = calendar.ends.iter().filter(|(fate, count)| count.day == day && wanted.is_none_or(|wanted| wanted == *fate));
        of.map(|(_, count)| count.count).sum()
    };
    let tries =
        |day: u32| -> u64 { calendar.tries.iter().filter(|count| count.day == day).map(|DayCount { count, .. }| count).sum() };
    let most_ends = (0..DAYS).map(|day| ends(day, None)).max().unwrap_or(0);
    let most_tries = (0..DAYS).map(tries).max().unwrap_or(0);
    let mut drawing = String::new();
    let mut rows = Vec::new();
    for day in 0..DAYS {
        let (ending, trying) = (ends(day, None), tries(day));
        if ending == 0 && trying == 0 {
            continue;
        }
        let date = when::day(after(now, day));
        let x = f64::from(day) * DAY + 1.0;
        let words = texts.fill("timeline.day", &[("day", &date), ("ends", &ending.to_string()), ("tries", &trying.to_string())]);
        let _ = write!(drawing, r#"<a href="/ui/certificates?ends={date}" aria-label="{}"><title>{0}</title>"#, escaped(&words));
        let mut top = ABOVE;
        for (fate, class) in [(Fate::Renewed, "ok"), (Fate::Failing, "warn"), (Fate::Ends, "bad")] {
            let count = ends(day, Some(fate));
            if count > 0 {
                let height = scaled(count, most_ends, ABOVE - 8.0);
                top -= height;
                let _ = write!(drawing, r#"<rect class="{class}" x="{x}" y="{top:.1}" width="8" height="{height:.1}"/>"#);
            }
        }
        if trying > 0 {
            let height = scaled(trying, most_tries, BELOW - 4.0);
            let _ = write!(drawing, r#"<rect class="try" x="{x}" y="{:.1}" width="8" height="{height:.1}"/>"#, ABOVE + 2.0);
        }
        drawing.push_str("</a>");
        rows.push(DayRow { day: date, ends: ending, tries: trying });
    }
    Days { texts, drawing, ticks: ticks(now), rows }.render().unwrap_or_default()
}

fn scaled(count: u64, most: u64, height: f64) -> f64 {
    (count as f64 / most.max(1) as f64 * height).max(LEAST)
}

/// A text for an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_900_000_000).unwrap()
    }

    #[test]
    fn full_days_fit_their_page() {
        let count = |day| DayCount { day, count: 1000 };
        let ends = (0..DAYS).flat_map(|day| [Fate::Ends, Fate::Failing, Fate::Renewed].map(|fate| (fate, count(day))));
        let calendar = Calendar { ends: ends.collect(), tries: (0..DAYS).map(count).collect() };
        let drawn = days(Texts::english(), &calendar, now());
        assert!(drawn.len() < 50_000, "{}", drawn.len());
        assert_eq!(drawn.matches("<a href=").count(), DAYS as usize);
    }

    #[test]
    fn a_bar_never_leaves_the_drawing() {
        for (count, most) in [(1, 1_000_000), (5, 5), (0, 0)] {
            let height = scaled(count, most, 88.0);
            assert!((LEAST..=88.0).contains(&height), "{height}");
        }
        assert_eq!(place(after(now(), 200), now()), 900.0);
        assert_eq!(place(Timestamp::UNIX_EPOCH, now()), 0.0);
    }
}
