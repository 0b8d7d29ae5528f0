//! Public CAs as data: what an operator names by a short word, with the limits that the CA's own documentation states.
//!
//! Only what a CA documents is here. Where it states no limits, none are counted, and its own answers (429,
//! `Retry-After`) are heeded alone.
use crate::ledger::{Counted, Limit};

/// A public CA.
#[derive(Clone, Copy, Debug)]
pub struct Authority {
    /// What the operator writes: lower case, stable.
    pub word: &'static str,
    /// Its name, for people.
    pub name: &'static str,
    /// The directory URL (RFC 8555 §7.1.1).
    pub directory: &'static str,
    /// Whether an account needs an external account binding (RFC 8555 §7.3.4).
    pub binding: Binding,
    /// The profiles that its documentation describes, the default first; the directory has the last word. Empty where
    /// none are documented.
    pub profiles: &'static [&'static str],
    /// Whether its certificates are for tests only: no browser trusts them.
    pub test_only: bool,
    /// The limits that it states; empty where it states none.
    pub limits: &'static [Limit],
    /// Where this was read.
    pub documentation: &'static [&'static str],
    /// When this was read, or as of when the copy was that was read: year, month, day.
    pub read: &'static str,
}

/// Whether an account needs an external account binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// An account can be registered by anybody.
    NotNeeded,
    /// The CA gives out a key id and an HMAC key to its customers.
    Required,
}

/// <https://letsencrypt.org/docs/rate-limits/>, as of 2026-08-05. Each bucket is full again after the period.
const LETS_ENCRYPT: &[Limit] = &[
    Limit::per_hours(Counted::Orders, 300, 3),
    Limit::per_hours(Counted::CertificatesOfDomain, 50, 7 * 24),
    Limit::per_hours(Counted::CertificatesOfSet, 5, 7 * 24),
    Limit::per_hours(Counted::FailedAuthorizations, 5, 1),
    // One a day is forgiven.
    Limit::per_hours(Counted::FailuresInARow, 1_152, 1_152 * 24),
    Limit::per_hours(Counted::Registrations, 10, 3),
];

/// <https://letsencrypt.org/docs/staging-environment/>, as of 2026-04-10. Its limit on certificates of a domain, 30,000
/// a second, is out of reach.
const LETS_ENCRYPT_STAGING: &[Limit] = &[
    Limit::per_hours(Counted::Orders, 1_500, 3),
    Limit::per_hours(Counted::CertificatesOfSet, 30_000, 7 * 24),
    Limit::per_hours(Counted::FailedAuthorizations, 200, 1),
    Limit::per_hours(Counted::FailuresInARow, 3_600, 6),
    Limit::per_hours(Counted::Registrations, 50, 3),
];

/// The public CAs, in the order of their words. CAs whose directory URL is another for each customer are not here.
pub const AUTHORITIES: &[Authority] = &[
    Authority {
        word: "actalis",
        name: "Actalis",
        directory: "https://acme-api.actalis.com/acme/directory",
        binding: Binding::Required,
        profiles: &[],
        test_only: false,
        limits: &[],
        documentation: &[
            "https://guide.actalis.com/ssl-certificate/acme.aspx",
            "https://go-acme.github.io/lego/advanced/caservers/",
        ],
        read: "2026-11-24",
    },
    Authority {
        word: "google",
        name: "Google Trust Services",
        directory: "https://dv.acme-v02.api.pki.goog/directory",
        binding: Binding::Required,
        profiles: &[],
        test_only: false,
        limits: &[],
        documentation: &[
            "https://cloud.google.com/certificate-manager/docs/public-ca-tutorial",
            "https://go-acme.github.io/lego/advanced/caservers/",
        ],
        read: "2026-11-24",
    },
    Authority {
        word: "google-staging",
        name: "Google Trust Services, staging",
        directory: "https://dv.acme-v02.test-api.pki.goog/directory",
        binding: Binding::Required,
        profiles: &[],
        test_only: true,
        limits: &[],
        documentation: &[
            "https://cloud.google.com/certificate-manager/docs/public-ca-tutorial",
            "https://go-acme.github.io/lego/advanced/caservers/",
        ],
        read: "2026-11-24",
    },
    Authority {
        word: "letsencrypt",
        name: "Let's Encrypt",
        directory: "https://acme-v02.api.letsencrypt.org/directory",
        binding: Binding::NotNeeded,
        profiles: &["classic", "tlsserver", "shortlived"],
        test_only: false,
        limits: LETS_ENCRYPT,
        documentation: &["https://letsencrypt.org/docs/rate-limits/", "https://letsencrypt.org/docs/profiles/"],
        read: "2026-11-24",
    },
    Authority {
        word: "letsencrypt-staging",
        name: "Let's Encrypt, staging",
        directory: "https://acme-staging-v02.api.letsencrypt.org/directory",
        binding: Binding::NotNeeded,
        profiles: &["classic", "tlsserver", "shortlived"],
        test_only: true,
        limits: LETS_ENCRYPT_STAGING,
        documentation: &["https://letsencrypt.org/docs/staging-environment/", "https://letsencrypt.org/docs/profiles/"],
        read: "2026-11-24",
    },
    Authority {
        word: "sslcom-ecc",
        name: "SSL.com, certificates for EC keys",
        directory: "https://acme.ssl.com/sslcom-dv-ecc",
        binding: Binding::Required,
        profiles: &[],
        test_only: false,
        limits: &[],
        documentation: &[
            "https://www.ssl.com/guide/ssl-tls-certificate-issuance-and-revocation-with-acme/",
            "https://go-acme.github.io/lego/advanced/caservers/",
        ],
        read: "2026-11-24",
    },
    Authority {
        word: "sslcom-rsa",
        name: "SSL.com, certificates for RSA keys",
        directory: "https://acme.ssl.com/sslcom-dv-rsa",
        binding: Binding::Required,
        profiles: &[],
        test_only: false,
        limits: &[],
        documentation: &[
            "https://www.ssl.com/guide/ssl-tls-certificate-issuance-and-revocation-with-acme/",
            "https://go-acme.github.io/lego/advanced/caservers/",
        ],
        read: "2026-11-24",
    },
    Authority {
        word: "zerossl",
        name: "ZeroSSL",
        directory: "https://acme.zerossl.com/v2/DV90",
        binding: Binding::Required,
        profiles: &[],
        test_only: false,
        limits: &[],
        documentation: &["https://zerossl.com/documentation/acme/", "https://github.com/zerossl/documentation"],
        read: "2026-11-24",
    },
];

impl Authority {
    /// The CA of this word, in any case.
    pub fn by_word(word: &str) -> Option<&'static Authority> {
        AUTHORITIES.iter().find(|authority| authority.word.eq_ignore_ascii_case(word))
    }

    /// The CA with this directory URL.
    pub fn by_directory(url: &str) -> Option<&'static Authority> {
        AUTHORITIES.iter().find(|authority| authority.directory == url)
    }
}

/// The limits that are counted at the CA with this directory URL; none where it is not a known one.
pub fn limits_at(directory: &str) -> &'static [Limit] {
    Authority::by_directory(directory).map_or(&[], |authority| authority.limits)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::SignedDuration;
    use jiff::civil::Date;
    use url::Url;

    use super::*;

    #[test]
    fn words_and_directories_name_one_ca_each() {
        let words: Vec<&str> = AUTHORITIES.iter().map(|a| a.word).collect();
        let in_order: BTreeSet<&str> = words.iter().copied().collect();
        assert_eq!(words, in_order.into_iter().collect::<Vec<_>>());
        for authority in AUTHORITIES {
            assert!(!authority.word.contains(':'), "{} could be taken for a URL", authority.word);
            assert_eq!(Authority::by_word(&authority.word.to_uppercase()).map(|a| a.directory), Some(authority.directory));
            assert_eq!(Authority::by_directory(authority.directory).map(|a| a.word), Some(authority.word));
        }
        assert!(Authority::by_word("nobody").is_none());
    }

    #[test]
    fn every_fact_has_a_source_and_a_day() {
        for authority in AUTHORITIES {
            for url in authority.documentation.iter().chain([&authority.directory]) {
                assert_eq!(Url::parse(url).unwrap().scheme(), "https", "{url}");
            }
            assert!(!authority.documentation.is_empty());
            authority.read.parse::<Date>().unwrap();
        }
    }

    #[test]
    fn lets_encrypts_buckets_refill_as_its_documentation_says() {
        let every = |counted| limits_at("https://acme-v02.api.letsencrypt.org/directory").iter().find(|l| l.counted == counted);
        let refill = |counted| every(counted).unwrap().refill();
        assert_eq!(refill(Counted::Orders), SignedDuration::from_secs(36));
        assert_eq!(refill(Counted::CertificatesOfDomain).as_mins(), 201);
        assert_eq!(refill(Counted::CertificatesOfSet).as_hours(), 33);
        assert_eq!(refill(Counted::FailedAuthorizations), SignedDuration::from_mins(12));
        assert_eq!(refill(Counted::FailuresInARow), SignedDuration::from_hours(24));
        assert_eq!(refill(Counted::Registrations), SignedDuration::from_mins(18));
        assert!(limits_at("https://ca.example/directory").is_empty());
    }
}
