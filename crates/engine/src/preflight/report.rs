//! What a preflight has found.
use std::time::Duration;

use certkeep_core::failure::{Code, Failure};
use tokio::sync::watch;
use tokio::time::Instant;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Whether CAA records allow the CA to issue.
    Caa,
    /// Whether the provider accepts the credentials.
    Credentials,
    /// Where the challenge record has to stand.
    Delegation,
    /// Whether the CA answers, and by which names it goes in CAA records.
    Directory,
    /// Whether the parameters can work.
    Parameters,
    /// Whether the probe is gone.
    ProbeRemoved,
    /// Whether every name server shows the probe.
    ProbeSeen,
    /// Whether the probe could be written.
    ProbeWritten,
    /// Whether the zone is the one that the world asks.
    ZoneConfirmed,
    /// Whether the provider has the zone.
    ZoneFound,
}

impl Check {
    /// What it is called.
    pub const fn as_str(self) -> &'static str {
        match self {
            Check::Caa => "CAA",
            Check::Credentials => "credentials",
            Check::Delegation => "delegation",
            Check::Directory => "CA directory",
            Check::Parameters => "parameters",
            Check::ProbeRemoved => "probe removed",
            Check::ProbeSeen => "probe seen",
            Check::ProbeWritten => "probe written",
            Check::ZoneConfirmed => "zone confirmed",
            Check::ZoneFound => "zone found",
        }
    }
}

/// What came of one check.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was tried.
    pub check: Check,
    /// The name, provider or CA that it is about.
    pub about: String,
    /// How long it took.
    pub took: Duration,
    /// What was seen, or what is wrong.
    pub outcome: Result<String, Failure>,
}

/// Everything that was found, in the order in which it was tried.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each check and what it is about.
    pub findings: Vec<Finding>,
    told: Option<watch::Sender<Vec<Finding>>>,
}

impl Report {
    /// A report that tells what it has found so far as soon as it is found.
    pub fn told_to(told: watch::Sender<Vec<Finding>>) -> Report {
        Report { findings: Vec::new(), told: Some(told) }
    }

    /// The first failure, if there is one.
    pub fn failure(&self) -> Option<&Failure> {
        self.findings.iter().find_map(|finding| finding.outcome.as_ref().err())
    }

    /// Notes what came of a check; answers what it gave.
    pub(super) fn note<T>(
        &mut self,
        check: Check,
        about: &str,
        began: Instant,
        outcome: Result<T, Failure>,
        tell: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let told = outcome.as_ref().map(tell).map_err(Clone::clone);
        self.findings.push(Finding { check, about: about.to_owned(), took: began.elapsed(), outcome: told });
        if let Some(listening) = &self.told {
            listening.send_replace(self.findings.clone());
        }
        outcome.ok()
    }

    /// Notes whether a provider accepts the credentials, once for each provider.
    pub(super) fn credentials(&mut self, dns_provider: &str, began: Instant, outcome: Result<String, Failure>) {
        let known = self.findings.iter().any(|known| known.check == Check::Credentials && known.about == dns_provider);
        if !known || outcome.is_err() {
            self.note(Check::Credentials, dns_provider, began, outcome, String::clone);
        }
    }

    /// Whether a provider has refused the credentials: it is not asked again with the same ones.
    pub(super) fn is_refused(&self, dns_provider: &str) -> bool {
        let of = |finding: &&Finding| finding.check == Check::Credentials && finding.about == dns_provider;
        self.findings.iter().filter(of).any(|finding| finding.outcome.as_ref().is_err_and(is_refusal))
    }
}

/// Whether a failure is the provider's refusal of the credentials.
pub(super) fn is_refusal(failure: &Failure) -> bool {
    matches!(failure.code, Code::CredentialsRejected | Code::CredentialsForbidden)
}
