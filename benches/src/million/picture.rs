//! The picture of how everything grows: a panel for each measure, both axes logarithmic, the budget a dashed line.
use std::fmt::Write as _;

use super::Measured;

/// Of a panel's field, and what is left around it, in pixels.
const WIDTH: f64 = 250.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 46.0;
const COLUMN: f64 = WIDTH + LEFT + 24.0;
const ROW: f64 = HEIGHT + TOP + 40.0;
const COLUMNS: usize = 3;
/// Of the lines, by database.
const COLOURS: [(&str, &str); 2] = [("SQLite", "#0b6e99"), ("PostgreSQL", "#c1571a")];

/// A measure, with its budget.
struct Panel {
    title: &'static str,
    budget: f64,
    value: fn(&Measured) -> f64,
}

const PANELS: [Panel; 6] = [
    Panel { title: "ready after a start, ms", budget: 1000.0, value: |row| row.ready },
    Panel { title: "resident memory after use, MiB", budget: 150.0, value: |row| row.memory_used },
    Panel { title: "picking one due renewal, ms", budget: 5.0, value: |row| row.one_due },
    Panel { title: "slowest order of a list, first pages, ms", budget: 20.0, value: |row| row.list.first.milliseconds },
    Panel { title: "slowest order of a list, last pages, ms", budget: 20.0, value: |row| row.list.last.milliseconds },
    Panel {
        title: "certificate/get, part of the bare handler",
        budget: 0.85,
        value: |row| row.get.first().map_or(0.0, |rate| rate.ratio),
    },
];

/// The picture as SVG.
pub(super) fn draw(all: &[Measured]) -> String {
    let rows = PANELS.len().div_ceil(COLUMNS) as f64;
    let (width, height) = (COLUMN * COLUMNS as f64 + 16.0, ROW * rows + 40.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\" fill=\"#333\">\n\
         <title>From a thousand certificates to a million</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (index, panel) in PANELS.iter().enumerate() {
        let (x, y) = ((index % COLUMNS) as f64 * COLUMN + LEFT, (index / COLUMNS) as f64 * ROW + TOP);
        let _ = writeln!(svg, "<g transform=\"translate({x:.0},{y:.0})\">");
        panel.draw(&mut svg, all);
        svg.push_str("</g>\n");
    }
    for (index, (database, colour)) in COLOURS.iter().enumerate() {
        let (x, y) = (LEFT + 110.0 * index as f64, height - 16.0);
        let _ = writeln!(svg, "<path d=\"M{x},{y}h24\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{database}</text>", x + 30.0, y + 4.0);
    }
    let (x, y) = (LEFT + 240.0, height - 16.0);
    let _ = writeln!(svg, "<path d=\"M{x},{y}h24\" stroke=\"#888\" stroke-dasharray=\"4 3\"/>");
    let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">budget; below the pictures, certificates</text>", x + 30.0, y + 4.0);
    svg.push_str("</svg>\n");
    svg
}

impl Panel {
    fn draw(&self, svg: &mut String, all: &[Measured]) {
        let values = || all.iter().map(self.value).filter(|value| *value > 0.0).chain([self.budget]);
        // Whole powers of ten around all values.
        let low = values().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values().fold(0.0, f64::max).log10().ceil().max(low + 1.0);
        let y = |value: f64| HEIGHT - (value.log10() - low) / (high - low) * HEIGHT;
        let x = |certificates: usize| ((certificates as f64).log10() - 3.0) / 3.0 * WIDTH;
        let _ = writeln!(svg, "<text y=\"-14\" font-size=\"13\">{}</text>", self.title);
        for power in (low as i32)..=(high as i32) {
            let at = y(10_f64.powi(power));
            let _ = writeln!(svg, "<path d=\"M0,{at:.1}h{WIDTH}\" stroke=\"#ddd\"/>");
            let _ = writeln!(svg, "<text x=\"-8\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", at + 4.0, 10_f64.powi(power));
        }
        for (certificates, label) in [(1_000, "1,000"), (10_000, "10,000"), (100_000, "100,000"), (1_000_000, "1,000,000")] {
            let at = x(certificates);
            let _ = writeln!(svg, "<path d=\"M{at:.1},0v{HEIGHT}\" stroke=\"#ddd\"/>");
            let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{label}</text>", HEIGHT + 16.0);
        }
        let _ = writeln!(svg, "<path d=\"M0,{:.1}h{WIDTH}\" stroke=\"#888\" stroke-dasharray=\"4 3\"/>", y(self.budget));
        for (database, colour) in COLOURS {
            let points = all.iter().filter(|row| row.database == database && (self.value)(row) > 0.0);
            let points: Vec<(f64, f64)> = points.map(|row| (x(row.certificates), y((self.value)(row)))).collect();
            let line = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ");
            let _ = writeln!(svg, "<polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
            for (x, y) in points {
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
            }
        }
    }
}
