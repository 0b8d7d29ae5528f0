//! Domain names as certificates and DNS know them.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A domain name in canonical form: A-labels, lower case, no trailing dot, perhaps with a leading `*.`.
///
/// At least two labels besides the wildcard, at most 253 octets, each label 1 to 63 octets of letters, digits and
/// inner hyphens (RFC 1123 §2.1, RFC 5890). Underscores are allowed, so that names of challenge records fit as well.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(String);

/// Why a text is no domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// An empty name, or an empty label inside one.
    #[error("a domain name may not have an empty part")]
    Empty,
    /// The text cannot be converted to A-labels (UTS #46).
    #[error("not a valid internationalised domain name")]
    Idna,
    /// A label with other characters than letters, digits, hyphens and underscores, or with a hyphen at its edge.
    #[error("a part of a domain name holds only letters, digits and inner hyphens")]
    Label,
    /// Longer than 253 octets, or a label longer than 63.
    #[error("too long for a domain name")]
    Long,
    /// An address or a bare host name.
    #[error("a public domain name is needed, with at least two parts")]
    NotPublic,
    /// A `*` elsewhere than as the whole first label.
    #[error("a wildcard may only be the whole first part")]
    Wildcard,
}

impl DnsName {
    /// The name in A-labels, with its `*.` where it is a wildcard.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name starts with `*.`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// The name without a leading `*.`: what an authorization is for (RFC 8555 §7.1.4).
    pub fn base(&self) -> DnsName {
        DnsName(self.0.strip_prefix("*.").unwrap_or(&self.0).to_owned())
    }

    /// Where the DNS-01 challenge record of this name stands (RFC 8555 §8.4).
    pub fn challenge_record(&self) -> DnsName {
        DnsName(format!("_acme-challenge.{}", self.base().0))
    }

    /// The name one label up, or `None` at a top-level domain.
    pub fn parent(&self) -> Option<&str> {
        self.0.split_once('.').map(|(_, rest)| rest)
    }

    /// Whether this name is `zone` itself or lies below it, by whole labels.
    pub fn is_within(&self, zone: &str) -> bool {
        let zone = zone.strip_suffix('.').unwrap_or(zone);
        self.0.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl FromStr for DnsName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        let text = text.strip_suffix('.').unwrap_or(text);
        let (wildcard, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if rest.is_empty() {
            return Err(InvalidName::Empty);
        }
        if rest.contains('*') {
            return Err(InvalidName::Wildcard);
        }
        if rest.parse::<std::net::IpAddr>().is_ok() {
            return Err(InvalidName::NotPublic);
        }
        let ascii = if rest.is_ascii() {
            rest.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(rest).map_err(|_| InvalidName::Idna)?
        };
        let mut labels = 0;
        for label in ascii.split('.') {
            labels += 1;
            match label.len() {
                0 => return Err(InvalidName::Empty),
                1..=63 => {}
                _ => return Err(InvalidName::Long),
            }
            let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if !label.bytes().all(fits) || label.starts_with('-') || label.ends_with('-') {
                return Err(InvalidName::Label);
            }
        }
        if ascii.split('.').any(|label| label.starts_with("xn--")) {
            idna::domain_to_unicode(&ascii).1.map_err(|_| InvalidName::Idna)?;
        }
        let name = if wildcard { format!("*.{ascii}") } else { ascii };
        if name.len() > 253 {
            return Err(InvalidName::Long);
        }
        // A last label of digits alone would be read as an IPv4 address (WHATWG URL, RFC 3696 §2).
        let last_is_number = name.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
        if labels < 2 || last_is_number {
            return Err(InvalidName::NotPublic);
        }
        Ok(DnsName(name))
    }
}

impl TryFrom<String> for DnsName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<DnsName> for String {
    fn from(name: DnsName) -> String {
        name.0
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        let cases = [
            ("Docs.Example.COM.", Ok("docs.example.com")),
            ("*.example.com", Ok("*.example.com")),
            ("bücher.example", Ok("xn--bcher-kva.example")),
            ("_acme-challenge.a.example.com", Ok("_acme-challenge.a.example.com")),
            ("", Err(InvalidName::Empty)),
            ("a..example.com", Err(InvalidName::Empty)),
            ("*", Err(InvalidName::Wildcard)),
            ("a.*.example.com", Err(InvalidName::Wildcard)),
            ("localhost", Err(InvalidName::NotPublic)),
            ("192.168.5.150", Err(InvalidName::NotPublic)),
            ("1.2.3", Err(InvalidName::NotPublic)),
            ("-a.example.com", Err(InvalidName::Label)),
            ("a b.example.com", Err(InvalidName::Label)),
            ("a\u{0}.example.com", Err(InvalidName::Label)),
        ];
        for (text, expected) in cases {
            let got = text.parse::<DnsName>().map(String::from);
            assert_eq!(got, expected.map(str::to_owned), "{text:?}");
        }
        assert_eq!(format!("{}.com", "a".repeat(64)).parse::<DnsName>(), Err(InvalidName::Long));
        assert_eq!(format!("{}com", "a.".repeat(130)).parse::<DnsName>(), Err(InvalidName::Long));
    }

    #[test]
    fn within_goes_by_labels() {
        let name: DnsName = "a.notexample.com".parse().unwrap();
        assert!(!name.is_within("example.com"));
        assert!(name.is_within("notexample.com."));
        assert!(name.is_within("a.notexample.com"));
    }
}
