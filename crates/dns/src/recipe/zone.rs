//! Which of a provider's zones a name is in.
use certkeep_core::name::DnsName;

/// A zone's name as certkeep compares it: A-labels, lower case, no trailing dot. `None` if it is none.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('.');
    let ascii = if text.is_ascii() { text.to_ascii_lowercase() } else { idna::domain_to_ascii(text).ok()? };
    let fits = !ascii.is_empty() && ascii.split('.').all(|label| !label.is_empty());
    fits.then_some(ascii)
}

/// The longest of the zones that ends `name` by whole labels, as the provider's element and its canonical name.
pub(crate) fn longest<T>(zones: impl IntoIterator<Item = (String, T)>, name: &DnsName) -> Option<(String, T)> {
    zones
        .into_iter()
        .filter_map(|(text, zone)| Some((canonical(&text)?, zone)))
        .filter(|(zone, _)| name.is_within(zone))
        .max_by_key(|(zone, _)| zone.len())
}

/// Every zone that `name` can be in, the longest first, down to two labels.
pub(crate) fn candidates(name: &DnsName) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name.as_str()), |name| name.split_once('.').map(|(_, rest)| rest))
        .filter(|candidate| candidate.contains('.'))
}

/// The part of `name` below `zone`, or `@` for the zone itself.
pub(crate) fn owner<'a>(name: &'a DnsName, zone: &str) -> &'a str {
    let name = name.as_str();
    match name.strip_suffix(zone) {
        Some("") => "@",
        Some(rest) => rest.strip_suffix('.').unwrap_or(name),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(zones: &[&str], name: &str) -> Option<String> {
        let zones = zones.iter().map(|zone| ((*zone).to_owned(), ()));
        longest(zones, &name.parse().unwrap()).map(|(zone, ())| zone)
    }

    #[test]
    fn the_longest_by_whole_labels() {
        let name = "_acme-challenge.a.sub.example.com";
        assert_eq!(chosen(&["example.com", "sub.example.com", "com"], name).as_deref(), Some("sub.example.com"));
        assert_eq!(chosen(&["Example.COM."], name).as_deref(), Some("example.com"));
        assert_eq!(chosen(&["ample.com", "other.example", "", "..", "a..com"], name), None);
        assert_eq!(chosen(&["bücher.example"], "a.xn--bcher-kva.example").as_deref(), Some("xn--bcher-kva.example"));
    }

    #[test]
    fn candidates_go_down_to_two_labels() {
        let name: DnsName = "_acme-challenge.a.example.com".parse().unwrap();
        let all: Vec<&str> = candidates(&name).collect();
        assert_eq!(all, ["_acme-challenge.a.example.com", "a.example.com", "example.com"]);
    }

    #[test]
    fn owners() {
        let name: DnsName = "_acme-challenge.a.example.com".parse().unwrap();
        assert_eq!(owner(&name, "example.com"), "_acme-challenge.a");
        assert_eq!(owner(&name, name.as_str()), "@");
    }

    proptest! {
        #[test]
        fn what_is_chosen_is_a_zone_of_the_provider_and_none_is_longer(
            labels in proptest::collection::vec("[a-z]{1,3}", 2..6),
            zones in proptest::collection::vec("([a-zA-Z]{1,3}\\.){0,4}[a-z]{1,3}\\.?", 0..12),
        ) {
            let name: DnsName = labels.join(".").parse().unwrap();
            let named = zones.iter().map(|zone| (zone.clone(), ()));
            let fits = |zone: &&String| {
                let zone = canonical(zone).unwrap();
                candidates(&name).any(|candidate| candidate == zone) || labels.last() == Some(&zone)
            };
            let expected = zones.iter().filter(fits).map(|zone| canonical(zone).unwrap()).max_by_key(String::len);
            prop_assert_eq!(longest(named, &name).map(|(zone, ())| zone), expected);
        }

        #[test]
        fn any_zone_name_can_be_read(text in ".*") {
            canonical(&text);
        }
    }
}
