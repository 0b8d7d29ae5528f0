//! The addresses that a recipe calls.
use url::Url;

/// The base of every call, checked.
///
/// Some providers are servers of the user's own (PowerDNS, an HTTP endpoint), so private addresses are allowed by
/// nature. What keeps a client from steering certkeep elsewhere: only HTTP, no credentials in the address, no other
/// host or port than this one in any call, and redirects are not followed.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint(Url);

/// Why an address cannot be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadEndpoint {
    #[error("the address may not hold a user name or password")]
    Credentials,
    #[error("the address has to end with its path")]
    Query,
    #[error("the address has to begin with https:// or http://")]
    Scheme,
    #[error("this is no address of a web server")]
    Unreadable,
}

impl Endpoint {
    /// Reads an address; slashes at its end do not matter.
    pub(crate) fn parse(text: &str) -> Result<Endpoint, BadEndpoint> {
        let url = Url::parse(text.trim().trim_end_matches('/')).map_err(|_| BadEndpoint::Unreadable)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BadEndpoint::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadEndpoint::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BadEndpoint::Query);
        }
        Ok(Endpoint(url))
    }

    /// The same path at another server.
    pub(crate) fn moved_to(&self, other: &Endpoint) -> Endpoint {
        let mut url = other.0.clone();
        url.set_path(self.0.path());
        Endpoint(url)
    }

    /// The address of a call; `None` if the path leads elsewhere.
    pub(crate) fn at(&self, path: &str) -> Option<Url> {
        let url = Url::parse(&format!("{}{path}", self.0.as_str().trim_end_matches('/'))).ok()?;
        (url.origin() == self.0.origin() && url.username().is_empty()).then_some(url)
    }

    /// The address of a following page, whole or relative to the page before; `None` if it leads elsewhere.
    pub(crate) fn following(&self, before: &Url, address: &str) -> Option<Url> {
        let url = before.join(address.trim()).ok()?;
        (self.is_at(&url) && url.username().is_empty() && url.password().is_none()).then_some(url)
    }

    /// Whether it is at the same server.
    pub(crate) fn is_at(&self, url: &Url) -> bool {
        self.0.origin() == url.origin()
    }

    /// Whether calls may go here: encrypted unless `main` is not, and at its host or one of these.
    pub(crate) fn is_among(&self, main: &Endpoint, hosts: &[String]) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let fits = |allowed: &String| match allowed.strip_prefix("*.") {
            Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            None => host == allowed,
        };
        let scheme = self.0.scheme() == "https" || self.0.scheme() == main.0.scheme();
        scheme && (self.is_at(&main.0) || hosts.iter().any(fits))
    }

    /// The same path and query of an address at this server.
    pub(crate) fn moving(&self, url: &Url) -> Url {
        let mut moved = self.0.clone();
        moved.set_path(url.path());
        moved.set_query(url.query());
        moved
    }

    /// Host and port, for evidence.
    pub(crate) fn server(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_addresses() {
        assert!(Endpoint::parse("http://127.0.0.1:8081/").is_ok());
        for (text, error) in [
            ("ftp://host.example", BadEndpoint::Scheme),
            ("file:///etc/passwd", BadEndpoint::Scheme),
            ("https://user:pass@host.example", BadEndpoint::Credentials),
            ("https://host.example/?a=b", BadEndpoint::Query),
            ("host.example", BadEndpoint::Unreadable),
            ("", BadEndpoint::Unreadable),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn a_call_stays_at_its_server() {
        let endpoint = Endpoint::parse("https://host.example/v1/").unwrap();
        assert_eq!(endpoint.at("/zones?a=b").unwrap().as_str(), "https://host.example/v1/zones?a=b");
        let bare = Endpoint::parse("https://host.example").unwrap();
        for path in [".evil.example/", "@evil.example/", ":1/x"] {
            assert!(bare.at(path).is_none_or(|url| url.host_str() == Some("host.example") && url.port().is_none()), "{path}");
        }
        let main = Endpoint::parse("https://api.example").unwrap();
        let hosts = ["login.example".to_owned(), "*.eu.example".to_owned()];
        for (base, expected) in [
            ("https://api.example/v2", true),
            ("https://login.example", true),
            ("https://a.eu.example", true),
            ("https://eu.example", false),
            ("https://aeu.example", false),
            ("http://login.example", false),
            ("https://evil.example", false),
        ] {
            assert_eq!(Endpoint::parse(base).unwrap().is_among(&main, &hosts), expected, "{base}");
        }
        let moved = endpoint.moved_to(&Endpoint::parse("http://127.0.0.1:9").unwrap());
        assert_eq!(moved.at("/zones").unwrap().as_str(), "http://127.0.0.1:9/v1/zones");
    }

    proptest::proptest! {
        #[test]
        fn no_path_leads_elsewhere(path in ".*") {
            let endpoint = Endpoint::parse("https://host.example:8443/v1").unwrap();
            if let Some(url) = endpoint.at(&path) {
                proptest::prop_assert_eq!((url.host_str(), url.port()), (Some("host.example"), Some(8443)));
            }
        }
    }
}
