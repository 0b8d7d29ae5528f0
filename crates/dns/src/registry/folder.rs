//! Pages of the operator's own, in the place of those that are compiled in or beside them.
use std::error::Error as _;
use std::fs;
use std::path::Path;

use crate::page::{self, PageError};

/// The pages of a folder by flag. One that is wrong is told in the log and left out.
pub(super) fn pages(folder: &Path) -> Vec<(String, String)> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::error!(folder = %folder.display(), %error, "the folder of pages cannot be read");
            return Vec::new();
        }
    };
    let mut pages = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let flag = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| path.extension().is_some_and(|x| x == "toml"));
        let Some(flag) = flag else { continue };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(page = %path.display(), %error, "a page cannot be read");
                continue;
            }
        };
        match page::lint(flag, &text) {
            Ok(()) => pages.push((flag.to_owned(), text)),
            Err(errors) => errors.iter().for_each(|error| refused(&path, error)),
        }
    }
    pages
}

fn refused(path: &Path, error: &PageError) {
    let page = path.display();
    match error {
        PageError::Field { line, field, problem, .. } => tracing::error!("{page}:{line}: {field}: {problem}"),
        PageError::Format { line, source, .. } => tracing::error!("{page}:{line}: {}", source.message()),
    }
    if let Some(source) = error.source() {
        tracing::debug!(%source, "the page is refused");
    }
}
