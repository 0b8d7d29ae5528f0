//! The registered domain of a name: whose certificates a CA counts together.
use crate::name::DnsName;

/// The registered domain of a name, in A-labels: one label more than its public suffix, private suffixes included, as
/// Let's Encrypt counts (<https://letsencrypt.org/docs/rate-limits/#new-certificates-per-registered-domain>). A name
/// that is a public suffix itself stands for itself; a wildcard counts as the name it stands in.
pub fn registered_domain(name: &DnsName) -> String {
    let base = name.base();
    psl::domain_str(base.as_str()).unwrap_or(base.as_str()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_that_was_bought() {
        let cases = [
            ("www.example.com", "example.com"),
            ("example.com", "example.com"),
            ("*.example.com", "example.com"),
            ("*.a.b.example.com", "example.com"),
            ("new.blog.example.co.uk", "example.co.uk"),
            // A suffix in itself, of the list's part for registries and of its private part.
            ("co.uk", "co.uk"),
            ("github.io", "github.io"),
            ("*.github.io", "github.io"),
            ("a.certkeep.github.io", "certkeep.github.io"),
            // A rule with a wildcard, and the exception to one.
            ("shop.anything.ck", "shop.anything.ck"),
            ("shop.www.ck", "www.ck"),
            // Internationalised suffixes and names.
            ("www.食狮.公司.cn", "xn--85x722f.xn--55qx5d.cn"),
            ("a.bücher.de", "xn--bcher-kva.de"),
            // A top-level domain that the list does not know is a suffix (the rule `*`).
            ("pbx.office.unknown-tld", "office.unknown-tld"),
            ("_acme-challenge.pbx.example.com", "example.com"),
        ];
        for (name, domain) in cases {
            assert_eq!(registered_domain(&name.parse().unwrap()), domain, "{name}");
        }
    }
}
