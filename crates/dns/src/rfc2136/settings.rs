//! What the parameters of the flag say.
use certkeep_core::failure::{Code, Failure};
use certkeep_core::provider::Parameters;
use secrecy::ExposeSecret;

use super::CONNECT;
use super::key::{InvalidKey, Key};

/// The port of DNS (RFC 1035 §4.2).
const PORT: u16 = 53;

/// Seconds that a challenge record may be cached where the parameters do not say.
const TTL: u32 = 120;

/// The longest time to live (RFC 2181 §8), in seconds.
const LONGEST_TTL: i64 = (1 << 31) - 1;

/// The algorithm where the parameters do not say.
const ALGORITHM: &str = "hmac-sha1";

/// Where to send updates and how.
#[derive(Debug)]
pub(super) struct Settings {
    /// The primary server: a host name or an address.
    pub(super) host: String,
    pub(super) port: u16,
    /// Without one, requests are not signed.
    pub(super) key: Option<Key>,
    /// Seconds.
    pub(super) ttl: u32,
    /// Zones that need not be asked for; lower case, no final dot.
    pub(super) zones: Vec<String>,
}

impl Settings {
    pub(super) fn read(parameters: &Parameters) -> Result<Self, Failure> {
        for unserved in ["TSIGGSSRealm", "TSIGGSSUsername", "TSIGGSSPassword", "TSIGGSSKeytabFile"] {
            if text(parameters, unserved).is_some() {
                return Err(wrong(unserved, "GSS-TSIG is not served: use a TSIG key"));
            }
        }
        let (host, port) = text(parameters, "Nameserver")
            .and_then(host_and_port)
            .ok_or_else(|| wrong("Nameserver", "a host name or address is needed, perhaps with a port"))?;
        let ttl = match parameters.integer("TTL") {
            None => TTL,
            Some(ttl) => u32::try_from(ttl)
                .ok()
                .filter(|_| ttl <= LONGEST_TTL)
                .ok_or_else(|| wrong("TTL", "not a number of seconds from 0 to 2147483647"))?,
        };
        let zones = text(parameters, "Zones").unwrap_or_default();
        let zones = zones.split(',').map(|zone| zone.trim().trim_end_matches('.').to_ascii_lowercase());
        let zones = zones.filter(|zone| !zone.is_empty()).collect();
        Ok(Settings { host, port, key: key(parameters)?, ttl, zones })
    }
}

fn key(parameters: &Parameters) -> Result<Option<Key>, Failure> {
    let (name, secret) = match (text(parameters, "TSIGKey"), text(parameters, "TSIGSecret")) {
        (None, None) => return Ok(None),
        (Some(name), Some(secret)) => (name, secret),
        (None, Some(_)) => return Err(wrong("TSIGKey", "a secret needs the name of its key")),
        (Some(_), None) => return Err(wrong("TSIGSecret", "a key needs its secret")),
    };
    let algorithm = text(parameters, "TSIGAlgorithm").unwrap_or(ALGORITHM);
    Key::new(name, algorithm, secret).map(Some).map_err(|invalid| match invalid {
        InvalidKey::Algorithm => {
            wrong("TSIGAlgorithm", "served are hmac-sha1, hmac-sha224, hmac-sha256, hmac-sha384 and hmac-sha512")
        }
        InvalidKey::Name => wrong("TSIGKey", "not a domain name"),
        InvalidKey::Secret => wrong("TSIGSecret", "not base64"),
    })
}

/// A text that is not empty.
fn text<'a>(parameters: &'a Parameters, key: &str) -> Option<&'a str> {
    parameters.text(key).map(|text| text.expose_secret().trim()).filter(|text| !text.is_empty())
}

fn wrong(parameter: &str, fact: &str) -> Failure {
    Failure::new(Code::ProviderParameter, CONNECT).about(parameter).fact(fact)
}

/// `host`, `host:port`, `192.0.2.1:53`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:53`.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some((address.ip().to_string(), address.port()));
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<std::net::IpAddr>() {
        return Some((address.to_string(), PORT));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, PORT),
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    (!host.is_empty() && host.bytes().all(fits)).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn name_servers_as_people_write_them() {
        let cases = [
            ("ns1.example.com", Some(("ns1.example.com", 53))),
            ("ns1.example.com:5353", Some(("ns1.example.com", 5353))),
            ("localhost", Some(("localhost", 53))),
            ("192.0.2.1", Some(("192.0.2.1", 53))),
            ("192.0.2.1:8053", Some(("192.0.2.1", 8053))),
            ("2001:db8::1", Some(("2001:db8::1", 53))),
            ("[2001:db8::1]", Some(("2001:db8::1", 53))),
            ("[2001:db8::1]:8053", Some(("2001:db8::1", 8053))),
            ("", None),
            (":53", None),
            ("ns1:", None),
            ("ns1:port", None),
            ("ns1:70000", None),
            ("dns://ns1", None),
            ("[ns1]", None),
            ("a b", None),
        ];
        for (text, expected) in cases {
            assert_eq!(host_and_port(text), expected.map(|(host, port)| (host.to_owned(), port)), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_address_is_read_with_and_without_port(address: std::net::IpAddr, port: u16) {
            let host = address.to_string();
            let with_port = std::net::SocketAddr::new(address, port).to_string();
            prop_assert_eq!(host_and_port(&with_port), Some((host.clone(), port)));
            prop_assert_eq!(host_and_port(&host), Some((host.clone(), PORT)));
        }
    }
}
