//! DNS over HTTPS (RFC 8484): resolvers that nobody on the way can stand in for.
use std::fmt;
use std::io;
use std::time::Duration;

use hickory_proto::op::Message;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use url::{Host, Url};

use super::InvalidOptions;
use super::exchange::{Unanswered, answers};
use crate::recipe::Client;

/// The media type of a DNS message.
const MEDIA_TYPE: &str = "application/dns-message";

/// How long one question may take, the connection included.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest DNS message there is.
const LONGEST: usize = u16::MAX as usize;

/// Resolvers by HTTPS; the client is made when the first one is asked.
pub(super) struct Https {
    servers: Vec<Url>,
    client: Client,
}

impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without their paths, which some resolvers know their customers by.
        f.debug_list().entries(self.names()).finish()
    }
}

impl Https {
    /// Resolvers at these addresses, trusted by the machine's roots and `roots` (PEM).
    pub(super) fn new(addresses: &[String], roots: Vec<String>) -> Result<Https, InvalidOptions> {
        let read = |text: &String| secure(text).ok_or(InvalidOptions::Https);
        let servers = addresses.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Https { servers, client: Client::new(roots, None) })
    }

    /// The resolvers' names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.servers.iter().map(|server| server.host_str().unwrap_or_default().to_owned())
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Asks the resolver of this number.
    pub(super) async fn ask(&self, number: usize, mut question: Message) -> Result<Message, Unanswered> {
        let Some(server) = self.servers.get(number) else { return Err(Unanswered::Unreadable) };
        // Caches on the way shall take equal questions for equal (RFC 8484 §4.1).
        question.metadata.id = 0;
        let body = question.to_vec().map_err(|_| Unanswered::Unreadable)?;
        let client = self.client.ready().map_err(|why| io::Error::other(why.to_owned()))?;
        let asking = client.post(server.clone()).timeout(PATIENCE).body(body);
        let asking = asking.header(CONTENT_TYPE, MEDIA_TYPE).header(ACCEPT, MEDIA_TYPE);
        let failed = |error: reqwest::Error| Unanswered::Network(io::Error::other(told(&error.without_url())));
        let mut answer = asking.send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(Unanswered::Network(io::Error::other(format!("HTTP status {}", answer.status().as_u16()))));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > LONGEST {
                return Err(Unanswered::Unreadable);
            }
        }
        let answer = Message::from_vec(&bytes).map_err(|_| Unanswered::Unreadable)?;
        if answers(&answer, &question) { Ok(answer) } else { Err(Unanswered::Unreadable) }
    }
}

/// An error with what it came from.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// An address by HTTPS, or by HTTP on loopback, where nobody listens in.
fn secure(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let loopback = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let bare = url.username().is_empty() && url.password().is_none();
    (bare && (url.scheme() == "https" || (url.scheme() == "http" && loopback))).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_asked() {
        for (text, expected) in [
            ("https://dns.example/dns-query", true),
            ("https://[2001:db8::1]/", true),
            ("http://127.0.0.1:8053/dns-query", true),
            ("http://dns.example/dns-query", false),
            ("https://user:secret@dns.example/", false),
            ("dns.example", false),
            ("", false),
        ] {
            assert_eq!(secure(text).is_some(), expected, "{text}");
        }
    }
}
