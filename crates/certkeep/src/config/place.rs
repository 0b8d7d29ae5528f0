//! Where in the file something is wrong.
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why a configuration cannot be used. None of it shows a value that could be a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Something in the file is wrong.
    #[error("{}, line {line}, column {column}: {}{message}", .path.display(), .key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default())]
    At {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// `[section] key`, where there is one.
        key: Option<String>,
        /// What is wrong, as a sentence without its final stop.
        message: String,
    },
    /// The file cannot be read.
    #[error("the configuration {} cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the machine said.
        #[source]
        source: io::Error,
    },
}

/// The file a configuration was read from; empty when there was none. `Debug` leaves out the text, which holds secrets.
#[derive(Default)]
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Source {
    pub(super) fn new(path: PathBuf, text: String) -> Source {
        Source { path, text }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A path of the configuration: relative ones start at the folder of the file.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    /// Something wrong at octets `span` of the text.
    pub(super) fn problem(&self, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ConfigError::At {
            path: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            key: self.key_at(span.start),
            message: message.into().trim_end().replace('\n', ", "),
        }
    }

    /// `[section] key` of the entry that the octet at `at` belongs to. Only what stands before the equals sign is
    /// repeated: the value may be a secret.
    fn key_at(&self, at: usize) -> Option<String> {
        let line_end = self.text.get(at..).and_then(|rest| rest.find('\n')).map_or(self.text.len(), |end| at + end);
        let lines = || self.text.get(..line_end).unwrap_or_default().lines().rev().map(str::trim_start);
        let section = |line: &str| {
            let brackets = line.len() - line.trim_start_matches('[').len();
            let name = line.get(brackets..)?.split(']').next()?;
            (brackets > 0).then(|| format!("{}{name}{}", "[".repeat(brackets), "]".repeat(brackets)))
        };
        // A value of several lines has its key further up, but not above its section.
        let key = lines().take_while(|line| section(line).is_none()).find_map(name_of_entry);
        match (lines().find_map(section), key) {
            (Some(section), Some(key)) => Some(format!("{section} {key}")),
            (section, key) => section.or(key.map(str::to_owned)),
        }
    }
}

/// The name in `name = value`.
fn name_of_entry(line: &str) -> Option<&str> {
    let (name, _) = line.split_once('=')?;
    let name = name.trim();
    let bare = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    (!name.is_empty() && name.bytes().all(bare)).then_some(name)
}
