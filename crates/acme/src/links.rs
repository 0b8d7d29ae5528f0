//! `Link` headers (RFC 8288).
use http::HeaderMap;
use http::header::LINK;
use url::Url;

/// The targets of this relation, absolute, in the order of the headers.
pub(crate) fn related(headers: &HeaderMap, relation: &str, base: &str) -> Vec<String> {
    let base = Url::parse(base).ok();
    let values = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let links = values.flat_map(links).filter(|link| link.is(relation));
    links.filter_map(|link| Some(base.as_ref()?.join(link.target).ok()?.to_string())).collect()
}

struct Link<'a> {
    target: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl Link<'_> {
    fn is(&self, relation: &str) -> bool {
        // Only the first `rel` counts (RFC 8288 §3.3).
        let rel = self.parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("rel"));
        rel.is_some_and(|(_, value)| value.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case(relation)))
    }
}

/// The links of one header; what is damaged ends the reading.
fn links(value: &str) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    let mut rest = value;
    while let Some((target, after)) = rest.trim_start_matches([',', ' ', '\t']).strip_prefix('<').and_then(|t| t.split_once('>'))
    {
        let mut parameters = Vec::new();
        rest = after;
        while let Some(parameter) = rest.trim_start().strip_prefix(';') {
            let Some((name, value, after)) = self::parameter(parameter) else { return links };
            parameters.push((name, value));
            rest = after;
        }
        links.push(Link { target: target.trim(), parameters });
    }
    links
}

/// Name, value without its quotes, and what follows.
fn parameter(text: &str) -> Option<(&str, &str, &str)> {
    let text = text.trim_start();
    let (name, rest) = text.split_at(text.find(['=', ';', ',']).unwrap_or(text.len()));
    let Some(value) = rest.strip_prefix('=') else { return Some((name.trim(), "", rest)) };
    let value = value.trim_start();
    match value.strip_prefix('"') {
        // A backslash may hide a quote; no relation holds either.
        Some(quoted) => {
            let mut escaped = false;
            let end = quoted.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })?;
            let (value, rest) = quoted.split_at(end);
            Some((name.trim(), value, rest.get(1..)?))
        }
        None => {
            let (value, rest) = value.split_at(value.find([';', ',']).unwrap_or(value.len()));
            Some((name.trim(), value.trim(), rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alternates(values: &[&str]) -> Vec<String> {
        let headers = HeaderMap::from_iter(values.iter().map(|value| (LINK, value.parse().unwrap())));
        related(&headers, "alternate", "https://ca.example/cert/1")
    }

    #[test]
    fn links_in_every_notation() {
        let cases: [(&[&str], &[&str]); 8] = [
            (&["<https://ca.example/cert/1/1>;rel=\"alternate\""], &["https://ca.example/cert/1/1"]),
            (&["</cert/1/1>; rel=alternate"], &["https://ca.example/cert/1/1"]),
            (&["<1/1> ; title=\"a; b, <c>\" ; REL=\"up Alternate\""], &["https://ca.example/cert/1/1"]),
            (
                &["<https://ca.example/directory>;rel=\"index\"", "<2>;rel=\"alternate\", <3>;rel=\"alternate\""],
                &["https://ca.example/cert/2", "https://ca.example/cert/3"],
            ),
            (&["<2>;rel=\"up\";rel=\"alternate\""], &[]),
            (&["<2>;title=\"a \\\" b\";rel=alternate"], &["https://ca.example/cert/2"]),
            (&["2;rel=alternate", "<2;rel=alternate", "<2>;rel=\"alternate"], &[]),
            (&[], &[]),
        ];
        for (values, expected) in cases {
            assert_eq!(alternates(values), expected, "{values:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_breaks_the_reading(value in "[ -~]{0,80}") {
            let _ = alternates(&[&value]);
        }

        #[test]
        fn every_link_is_found(targets in proptest::collection::vec("[a-z0-9/]{1,10}", 1..6), other in "[a-z \\\\,;<>=]{0,12}") {
            let escaped = other.replace('\\', "\\\\");
            let links: Vec<String> =
                targets.iter().map(|target| format!("</{}>; title=\"{escaped}\"; rel=\"alternate\"", target.trim_start_matches('/'))).collect();
            proptest::prop_assert_eq!(alternates(&[&links.join(", ")]).len(), targets.len());
        }
    }
}
