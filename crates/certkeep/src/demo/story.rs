//! Telling: headings, requests and answers, with colours on a terminal and without secrets anywhere.
use std::env;
use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use super::DemoError;

/// The widest JSON that stays on one line.
const WIDTH: usize = 100;
/// How far requests and answers are indented.
const INDENT: &str = "   ";

/// The story as it is told on stdout.
pub(super) struct Story {
    colours: bool,
    chapter: u32,
    /// Secrets, and what is shown in their place.
    hidden: Vec<(String, String)>,
}

/// How a piece of text looks on a terminal.
#[derive(Clone, Copy)]
enum Look {
    Bold,
    Dim,
    Good,
    Plain,
}

impl Story {
    pub(super) fn new() -> Story {
        let colours = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        Story { colours, chapter: 0, hidden: Vec::new() }
    }

    /// Shows stars from now on where this secret stood.
    pub(super) fn hide(&mut self, secret: &str) {
        self.hidden.push((secret.to_owned(), "********".to_owned()));
    }

    /// Shows only the beginning of this token from now on.
    pub(super) fn shorten(&mut self, token: &str) {
        let beginning: String = token.chars().take(4).collect();
        self.hidden.push((token.to_owned(), format!("{beginning}...")));
    }

    /// Begins a chapter.
    pub(super) fn chapter(&mut self, title: &str) -> Result<(), DemoError> {
        self.chapter += 1;
        self.line(Look::Plain, "")?;
        self.line(Look::Bold, &format!("{}. {title}", self.chapter))
    }

    /// A title without a number.
    pub(super) fn title(&self, text: &str) -> Result<(), DemoError> {
        self.line(Look::Bold, text)
    }

    /// Some lines that explain.
    pub(super) fn tell(&self, text: &str) -> Result<(), DemoError> {
        text.lines().try_for_each(|line| self.line(Look::Plain, &format!("{INDENT}{line}")))
    }

    /// Something that went well.
    pub(super) fn good(&self, text: &str) -> Result<(), DemoError> {
        self.line(Look::Good, &format!("{INDENT}{text}"))
    }

    /// A request as it goes out.
    pub(super) fn request(&self, method: &str, url: &str, body: Option<&Value>) -> Result<(), DemoError> {
        self.line(Look::Dim, &format!("{INDENT}> {method} {url}"))?;
        body.map_or(Ok(()), |body| self.json("> ", body))
    }

    /// An answer as it came.
    pub(super) fn answer(&self, body: &Value) -> Result<(), DemoError> {
        self.json("< ", body)
    }

    /// A command to type, its secrets in the open: whoever reads it is to use it.
    pub(super) fn command(&self, text: &str) -> Result<(), DemoError> {
        self.write(Look::Plain, &format!("{INDENT}{text}"))
    }

    fn json(&self, mark: &str, body: &Value) -> Result<(), DemoError> {
        laid_out(body, 0).lines().try_for_each(|line| self.line(Look::Dim, &format!("{INDENT}{mark}{line}")))
    }

    fn line(&self, look: Look, text: &str) -> Result<(), DemoError> {
        let shown = self.hidden.iter().fold(text.to_owned(), |text, (secret, shown)| text.replace(secret, shown));
        self.write(look, &shown)
    }

    fn write(&self, look: Look, text: &str) -> Result<(), DemoError> {
        let code = match look {
            Look::Bold => "1",
            Look::Dim => "2",
            Look::Good => "32",
            Look::Plain => "",
        };
        let mut out = io::stdout().lock();
        if self.colours && !code.is_empty() { writeln!(out, "\u{1b}[{code}m{text}\u{1b}[0m") } else { writeln!(out, "{text}") }
            .map_err(DemoError::Output)
    }
}

/// JSON on one line where that is short enough, else with its members on lines of their own.
fn laid_out(value: &Value, depth: usize) -> String {
    let short = value.to_string();
    if depth + short.chars().count() <= WIDTH {
        return short;
    }
    let inner = depth + 2;
    let (open, close, members): (_, _, Vec<String>) = match value {
        Value::Array(items) => ('[', ']', items.iter().map(|item| laid_out(item, inner)).collect()),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{}:{}", Value::from(name.as_str()), laid_out(value, inner));
            ('{', '}', members.iter().map(member).collect())
        }
        _ => return short,
    };
    let lines: Vec<String> = members.iter().map(|member| format!("{:inner$}{member}", "")).collect();
    format!("{open}\n{}\n{:depth$}{close}", lines.join(",\n"), "")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_long_takes_several_lines() {
        let short = json!({ "errcode": 0, "list": [1, 2] });
        assert_eq!(laid_out(&short, 0), short.to_string());
        let long = json!({ "list": [{ "k": "a".repeat(40) }, { "k": "b".repeat(60) }], "n": 1 });
        let (a, b) = ("a".repeat(40), "b".repeat(60));
        let expected = format!("{{\n  \"list\":[\n    {{\"k\":\"{a}\"}},\n    {{\"k\":\"{b}\"}}\n  ],\n  \"n\":1\n}}");
        assert_eq!(laid_out(&long, 0), expected);
    }
}
