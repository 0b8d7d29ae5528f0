//! Everything that is wrong with a page, with its lines.
use toml::de::{DeTable, DeValue};

use super::{Page, PageError, check};

/// Checks a page as it would be checked when it is used, and tells everything that is wrong with it.
///
/// # Errors
/// What is wrong, with line and field.
pub fn lint(flag: &str, text: &str) -> Result<(), Vec<PageError>> {
    match read(flag, text) {
        Ok((_, errors)) if errors.is_empty() => Ok(()),
        Ok((_, errors)) => Err(errors),
        Err(error) => Err(vec![error]),
    }
}

/// The page, and what is wrong with what it says.
///
/// # Errors
/// That it cannot be read at all.
pub(super) fn read(flag: &str, text: &str) -> Result<(Page, Vec<PageError>), PageError> {
    let page: Page = toml::from_str(text).map_err(|source| PageError::Format {
        flag: flag.to_owned(),
        line: source.span().map_or(1, |span| line_at(text, span.start)),
        source: Box::new(source),
    })?;
    let errors = check::check(flag, &page)
        .into_iter()
        .map(|(field, problem)| PageError::Field { flag: flag.to_owned(), line: line_of(text, &field), field, problem })
        .collect();
    Ok((page, errors))
}

/// The line of a dotted field, or of what is nearest around it.
fn line_of(text: &str, field: &str) -> usize {
    let Ok(table) = DeTable::parse(text) else { return 1 };
    let mut nearest = 0;
    let mut here: Option<&DeTable<'_>> = Some(table.get_ref());
    let mut list: Option<&[toml::Spanned<DeValue<'_>>]> = None;
    for part in field.split('.') {
        let found = match (here, list) {
            (Some(table), _) => {
                let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref().as_ref() == part) else { break };
                nearest = key.span().start;
                value
            }
            (None, Some(items)) => {
                let Some(item) = part.parse::<usize>().ok().and_then(|at| items.get(at)) else { break };
                nearest = item.span().start;
                item
            }
            (None, None) => break,
        };
        here = found.get_ref().as_table();
        list = found.get_ref().as_array().map(|items| &**items);
    }
    line_at(text, nearest)
}

fn line_at(text: &str, octet: usize) -> usize {
    1 + text.bytes().take(octet).filter(|octet| *octet == b'\n').count()
}
