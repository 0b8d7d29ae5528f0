//! What can go wrong with an application, in one catalogue (contract §4.9).
//!
//! A [`Failure`] is a catalogue entry with evidence. Its number is the API's `apply_tip_code`; numbers are never
//! reused. The families: 1xx credentials and provider account, 2xx zone and delegation, 3xx record and propagation,
//! 4xx CA policy, 5xx CA limits, 6xx order and validation, 7xx key and CSR, 8xx network and timeouts, 9xx our own.
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Whose move it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// The certification authority.
    Ca,
    /// certkeep itself: a fault of ours.
    Certkeep,
    /// The network between us and the others.
    Network,
    /// The DNS provider.
    Provider,
    /// The person who owns the application.
    User,
}

/// Whether certkeep tries again without a human.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Trying again cannot help before somebody has changed something.
    Final,
    /// Tried again by the table of [`crate::renewal::retry_delay`], or when the other side says.
    Later,
}

/// Where an application that names several CAs goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// To the next CA, at once: this one is the reason, and another may not share it.
    NextCa,
    /// To no other CA: it would meet the same. What [`Retry`] says holds.
    SameCa,
}

/// One entry of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The number, three digits, stable.
    pub number: u16,
    /// The name, stable, `snake_case`.
    pub name: &'static str,
    /// Whose move it is.
    pub turn: Turn,
    /// Whether certkeep tries again.
    pub retry: Retry,
    /// Whether another CA is tried at once, where the application names several.
    pub fallback: Fallback,
    /// What happened, one sentence.
    pub what: &'static str,
    /// What to do, one sentence.
    pub next: &'static str,
}

macro_rules! catalogue {
    ($( $(#[$doc:meta])* $variant:ident = $number:literal $name:literal $turn:ident $retry:ident $fallback:ident $what:literal $next:literal; )*) => {
        /// The number of a catalogue entry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $( #[doc = $what] $variant, )* }

        /// Every entry, in the order of their numbers.
        pub const CATALOGUE: &[(Code, Entry)] = &[ $( (Code::$variant, Entry {
            number: $number, name: $name, turn: Turn::$turn, retry: Retry::$retry, fallback: Fallback::$fallback,
            what: $what, next: $next,
        }), )* ];

        impl Code {
            /// What the catalogue says of this code.
            pub const fn entry(self) -> Entry {
                match self { $( Code::$variant => Entry {
                    number: $number, name: $name, turn: Turn::$turn, retry: Retry::$retry, fallback: Fallback::$fallback,
            what: $what, next: $next,
                }, )* }
            }
        }
    };
}

catalogue! {
    CredentialsRejected = 101 "credentials_rejected" User Final SameCa
        "The DNS provider does not accept the credentials."
        "Make a new key at the DNS provider and enter it here.";
    CredentialsForbidden = 102 "credentials_forbidden" User Final SameCa
        "The DNS provider accepts the credentials but forbids this change."
        "Give the key the right to read the zone and to write TXT records in it.";
    ProviderRateLimited = 103 "provider_rate_limited" Provider Later SameCa
        "The DNS provider asks for fewer requests."
        "Nothing: certkeep tries again later.";
    ProviderParameter = 104 "provider_parameter" User Final SameCa
        "A parameter of the DNS provider has a value that cannot work."
        "Correct the parameter that the evidence names.";
    ZoneNotFound = 201 "zone_not_found" User Final SameCa
        "The DNS provider's account has no zone for this name."
        "Check the account, or create the zone there; the name servers of the domain must be that provider's.";
    ZoneElsewhere = 202 "zone_elsewhere" User Final SameCa
        "The zone in the provider's account is not the one the world asks: a closer zone is delegated to other servers."
        "Apply with the provider that serves the closer zone, or remove its delegation.";
    DelegationLoop = 203 "delegation_loop" User Final SameCa
        "The CNAME records of the challenge name run in a circle or are too many."
        "Correct the CNAME at _acme-challenge; at most 10 are followed.";
    NameServersUnknown = 204 "name_servers_unknown" User Later SameCa
        "No name servers could be found for the zone of this name."
        "Check that the domain is registered and delegated; certkeep tries again later.";
    DelegationMissing = 205 "delegation_missing" User Later SameCa
        "The challenge name has no CNAME to the place where this provider writes."
        "Put the CNAME that the evidence names into the DNS of the domain; certkeep tries again later.";
    RecordRefused = 301 "record_refused" Provider Final SameCa
        "The DNS provider refuses the TXT record."
        "Read the provider's own message in the evidence.";
    RecordNotVisible = 302 "record_not_visible" Provider Later SameCa
        "The TXT record was written but not every name server of the zone shows it."
        "Raise PropagationTimeout if the provider is slow; certkeep tries again later.";
    CaaForbids = 401 "caa_forbids" User Final NextCa
        "A CAA record of the domain forbids this CA to issue."
        "Add the CA to the domain's CAA records, or choose another CA.";
    NameRefused = 402 "name_refused" Ca Final NextCa
        "The CA does not issue for this name."
        "Apply for another name, or at another CA.";
    AccountRefused = 403 "account_refused" User Later NextCa
        "The CA refuses our account."
        "Check [acme] contact, and the CA's terms of service.";
    AccountBindingRequired = 404 "account_binding_required" User Later NextCa
        "The CA wants an external account binding."
        "Get a key id and an HMAC key from the CA and enter them as [acme] eab_kid and eab_hmac_key.";
    AccountBindingRejected = 405 "account_binding_rejected" User Later NextCa
        "The CA does not accept the external account binding."
        "Get a new key id and HMAC key from the CA.";
    ProfileNotOffered = 406 "profile_not_offered" User Final NextCa
        "The CA does not offer the certificate profile that is asked for."
        "Choose one of the profiles that the evidence names, or none.";
    RevocationRefused = 407 "revocation_refused" Ca Final SameCa
        "The CA refuses to revoke the certificate."
        "Read the CA's own message in the evidence.";
    CaRateLimited = 501 "ca_rate_limited" Ca Later NextCa
        "The CA's limit is reached."
        "Nothing: certkeep tries again when the CA allows it.";
    CaLimitAhead = 502 "ca_limit_ahead" Ca Later NextCa
        "The CA would surely refuse: by what certkeep has counted, its limit is used up."
        "Nothing: certkeep tries again at the instant named in the evidence.";
    OrderInvalid = 601 "order_invalid" Ca Later NextCa
        "The CA gave the order up."
        "Nothing: certkeep places a new order later.";
    ValidationFailed = 602 "validation_failed" User Later SameCa
        "The CA looked for the TXT record and found none, or another value."
        "Check that the name servers the world asks are those of the provider named here.";
    ValidationDns = 603 "validation_dns" User Later SameCa
        "The CA could not resolve the challenge name."
        "Check the domain's delegation and its DNSSEC.";
    ChallengeNotOffered = 604 "challenge_not_offered" Ca Final NextCa
        "The CA offers no DNS-01 challenge for this name."
        "Choose another CA.";
    ValidationTimeout = 605 "validation_timeout" Ca Later NextCa
        "The CA did not finish its validation in time."
        "Nothing: certkeep tries again later.";
    CaProtocol = 606 "ca_protocol" Ca Later NextCa
        "The CA's answer is not what the protocol allows."
        "Check that [acme] directory is the address of an ACME directory.";
    CsrRefused = 701 "csr_refused" Ca Later NextCa
        "The CA refuses the certificate request."
        "Choose another key type in [acme] key_type.";
    CertificateNames = 702 "certificate_names" Ca Later NextCa
        "The certificate that was issued does not bear the names asked for."
        "Nothing: it was not stored; certkeep tries again later.";
    CertificateKey = 703 "certificate_key" Ca Later NextCa
        "The certificate that was issued does not belong to our key."
        "Nothing: it was not stored; certkeep tries again later.";
    CertificateChain = 704 "certificate_chain" Ca Later NextCa
        "The chain that was issued is broken, or not valid now."
        "Nothing: it was not stored; certkeep tries again later. Check the clock of this machine.";
    CaUnreachable = 801 "ca_unreachable" Network Later NextCa
        "The CA cannot be reached."
        "Check the network and [acme] directory; certkeep tries again later.";
    CaUntrusted = 802 "ca_untrusted" User Later NextCa
        "The certificate of the CA's own address is not trusted."
        "Add the private CA's root to [acme] roots.";
    CaError = 803 "ca_error" Ca Later NextCa
        "The CA answers with a fault of its own."
        "Nothing: certkeep tries again later.";
    ProviderUnreachable = 804 "provider_unreachable" Network Later SameCa
        "The DNS provider cannot be reached."
        "Check the network and the address among the provider's parameters; certkeep tries again later.";
    ProviderError = 805 "provider_error" Provider Later SameCa
        "The DNS provider answers with a fault of its own."
        "Nothing: certkeep tries again later.";
    ProviderUnreadable = 806 "provider_unreadable" Provider Later SameCa
        "The DNS provider's answer cannot be read."
        "Check the address among the provider's parameters; certkeep tries again later.";
    ResolversUnreachable = 807 "resolvers_unreachable" Network Later SameCa
        "The DNS resolvers do not answer."
        "Check the network and [dns] resolvers; certkeep tries again later.";
    Internal = 901 "internal" Certkeep Later SameCa
        "certkeep met a fault of its own."
        "Read the log and report it; certkeep tries again later.";
    StepTimeout = 902 "step_timeout" Certkeep Later SameCa
        "A step took longer than it may."
        "Nothing: certkeep tries again later.";
}

impl Code {
    /// The three-digit number.
    pub const fn number(self) -> u16 {
        self.entry().number
    }

    /// The entry's stable name.
    pub const fn name(self) -> &'static str {
        self.entry().name
    }

    /// The code with this number.
    pub fn from_number(number: u16) -> Option<Code> {
        CATALOGUE.iter().find(|(_, e)| e.number == number).map(|(code, _)| *code)
    }

    /// The code with this name.
    pub fn from_name(name: &str) -> Option<Code> {
        CATALOGUE.iter().find(|(_, e)| e.name == name).map(|(code, _)| *code)
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.number())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u16::deserialize(deserializer)?;
        Code::from_number(number).ok_or_else(|| serde::de::Error::custom(format!("no failure has the number {number}")))
    }
}

/// What was seen: never a secret, never a URL with its query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was being done, in the words of the trace: `find zone`, `new order` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
    /// Name, zone, parameter or server that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// HTTP status or DNS response code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The other side's own code, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub their_code: Option<String>,
    /// The other side's own message, verbatim but for blanked secrets, at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub their_message: Option<String>,
    /// Further facts, one sentence each: what each name server showed, for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
}

/// A catalogue entry with evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The entry.
    pub code: Code,
    /// What was seen.
    pub evidence: Box<Evidence>,
    /// Not before this instant, when the other side said so (`Retry-After`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

impl Failure {
    /// A failure met while `doing` something.
    pub fn new(code: Code, doing: &str) -> Self {
        let evidence = Evidence { doing: Some(doing.to_owned()), ..Evidence::default() };
        Failure { code, evidence: Box::new(evidence), not_before: None }
    }

    /// Says what it is about: a name, zone, parameter or server.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.evidence.subject = Some(subject.into());
        self
    }

    /// Adds the HTTP status or DNS response code.
    #[must_use]
    pub fn status(mut self, status: impl Into<String>) -> Self {
        self.evidence.status = Some(status.into());
        self
    }

    /// Adds the other side's own code and message; the message is cut at 500 characters.
    #[must_use]
    pub fn said(mut self, code: Option<String>, message: Option<String>) -> Self {
        self.evidence.their_code = code;
        self.evidence.their_message = message.map(|m| m.chars().take(500).collect());
        self
    }

    /// Adds one more fact.
    #[must_use]
    pub fn fact(mut self, fact: impl Into<String>) -> Self {
        self.evidence.facts.push(fact.into());
        self
    }

    /// Not to be tried before this instant.
    #[must_use]
    pub fn not_before(mut self, instant: Option<Timestamp>) -> Self {
        self.not_before = instant;
        self
    }

    /// Whether nothing was tried: what is not sent does not fail, and makes no later wait longer.
    pub fn is_wait(&self) -> bool {
        self.code == Code::CaLimitAhead
    }

    /// Whether certkeep tries again without a human.
    pub fn is_retried(&self) -> bool {
        self.code.entry().retry == Retry::Later
    }

    /// Whether the next CA is tried at once, where the application names several.
    pub fn moves_on(&self) -> bool {
        self.code.entry().fallback == Fallback::NextCa
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = self.code.entry();
        write!(f, "{} {}: {}", entry.number, entry.name, entry.what)?;
        let e = &self.evidence;
        for (label, value) in [
            ("while", &e.doing),
            ("about", &e.subject),
            ("status", &e.status),
            ("code", &e.their_code),
            ("said", &e.their_message),
        ] {
            if let Some(value) = value {
                write!(f, " [{label}: {value}]")?;
            }
        }
        e.facts.iter().try_for_each(|fact| write!(f, " [{fact}]"))
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_in_order() {
        let numbers: Vec<u16> = CATALOGUE.iter().map(|(_, e)| e.number).collect();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(numbers, sorted);
        for (code, entry) in CATALOGUE {
            assert_eq!(Code::from_name(entry.name), Some(*code));
            assert_eq!(Code::from_number(entry.number), Some(*code));
            assert!((100..1000).contains(&entry.number));
            assert!(entry.what.ends_with('.') && entry.next.ends_with('.'));
        }
    }
}
