//! Values of the file that can only hold what makes sense. What a refused value was is never repeated.
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use certkeep_core::application::AuthValue;
use certkeep_core::authority::Authority;
use certkeep_core::name::DnsName;
use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use toml::Spanned;
use url::{Host, Url};

use super::LETS_ENCRYPT;

/// Where DNS servers answer when no port is named.
const DNS_PORT: u16 = 53;

/// The URL of an ACME directory: HTTPS, or HTTP on loopback. Read also from the word for a public CA.
#[derive(Clone, Debug)]
pub(super) struct Directory(pub(super) String);

impl Default for Directory {
    fn default() -> Self {
        Directory(LETS_ENCRYPT.to_owned())
    }
}

impl<'de> Deserialize<'de> for Directory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "the HTTPS address of an ACME directory, or the word for a public CA: \"letsencrypt\"", |text| {
            let known = Authority::by_word(text).map(|known| known.directory);
            known.or_else(|| is_secure(text).then_some(text)).map(|url| Directory(url.to_owned()))
        })
    }
}

/// Whether this is an address by HTTPS, or by HTTP on loopback.
pub(crate) fn is_secure(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

/// A resolver by HTTPS (RFC 8484).
#[derive(Clone)]
pub(super) struct Doh(pub(super) String);

impl fmt::Debug for Doh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some resolvers know their customers by the path.
        f.write_str("Doh")
    }
}

impl<'de> Deserialize<'de> for Doh {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "the HTTPS address of a resolver: \"https://dns.example/dns-query\"", |text| {
            let bare = Url::parse(text).is_ok_and(|url| url.username().is_empty() && url.password().is_none());
            (bare && is_secure(text)).then(|| Doh(text.to_owned()))
        })
    }
}

/// A domain name.
#[derive(Clone, Debug)]
pub(super) struct Domain(pub(super) DnsName);

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "a domain name with at least two parts: \"acme.example.net\"", |text| {
            text.parse::<DnsName>().ok().filter(|name| !name.is_wildcard()).map(Domain)
        })
    }
}

/// The value of a provider's parameter.
#[derive(Clone, Debug)]
pub(super) struct Parameter(pub(super) AuthValue);

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyKind;
        impl Visitor<'_> for AnyKind {
            type Value = Parameter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a whole number, true or false")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Parameter, E> {
                Ok(Parameter(AuthValue::Boolean(value)))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Parameter, E> {
                // The number may be a secret.
                Err(E::custom("this is not a text, a whole number, true or false"))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Parameter, E> {
                Ok(Parameter(AuthValue::Integer(value)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Parameter, E> {
                Ok(Parameter(AuthValue::Text(text.into())))
            }
        }
        deserializer.deserialize_any(AnyKind)
    }
}

/// A contact URL (RFC 8555 §7.3).
#[derive(Clone, Debug)]
pub(super) struct Contact(pub(super) String);

impl<'de> Deserialize<'de> for Contact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "a contact as a URL: \"mailto:name@example.com\"", |text| {
            let (_, rest) = text.split_once(':').filter(|_| Url::parse(text).is_ok())?;
            // CAs refuse lists and headers in mailto (RFC 8555 §7.3).
            let one = !text.starts_with("mailto:") || (rest.contains('@') && !rest.contains([',', '?']));
            one.then(|| Contact(text.to_owned()))
        })
    }
}

/// The beginning of a URL, as far as its port.
#[derive(Clone, Debug)]
pub(super) struct Endpoint(pub(super) String);

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "a scheme and a host, with or without a port: \"http://127.0.0.1:8081\"", |text| {
            let url = Url::parse(text).ok()?;
            let bare = url.has_host() && url.path() == "/" && url.query().is_none() && !text.ends_with('/');
            (bare && matches!(url.scheme(), "http" | "https")).then(|| Endpoint(text.to_owned()))
        })
    }
}

/// A DNS server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server(pub(super) SocketAddr);

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(
            deserializer,
            "the IP address of a DNS server, with or without a port: \"192.0.2.53\", \"[2001:db8::53]:53\"",
            |text| {
                let address = text.parse().ok();
                address.or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, DNS_PORT))).map(Server)
            },
        )
    }
}

struct Address(SocketAddr);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "an IP address with a port: \"0.0.0.0:8088\"", |text| text.parse().ok().map(Address))
    }
}

/// An address to listen on.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    Address::deserialize(deserializer).map(|address| address.0)
}

/// An address to listen on, where one may be absent.
pub(super) fn some_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    address(deserializer).map(Some)
}

/// A secret, where one may be absent.
pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Spanned<SecretString>>, D::Error> {
    struct Secret(SecretString);
    impl<'de> Deserialize<'de> for Secret {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            text(deserializer, "a text", |text| (!text.is_empty()).then(|| Secret(SecretString::from(text))))
        }
    }
    let spanned = Spanned::<Secret>::deserialize(deserializer)?;
    let span = spanned.span();
    Ok(Some(Spanned::new(span, spanned.into_inner().0)))
}

/// Reads a text; `expected` says what it ought to be.
fn text<'de, D, T>(deserializer: D, expected: &'static str, read: fn(&str) -> Option<T>) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(TextVisitor { expected, read })
}

struct TextVisitor<T> {
    expected: &'static str,
    read: fn(&str) -> Option<T>,
}

impl<T> TextVisitor<T> {
    fn refuse<E: Error>(&self) -> E {
        E::custom(format_args!("this is not {}", self.expected))
    }
}

impl<T> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<T, E> {
        Err(self.refuse())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
        Err(self.refuse())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<T, E> {
        Err(self.refuse())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).ok_or_else(|| self.refuse())
    }
}
