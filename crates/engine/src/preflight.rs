//! Whether an application can work, found out without an order: the provider, its zone, delegation, CAA, and a probe that
//! is written, seen everywhere and removed.
//!
//! It goes as far as it can: what fails hinders only what builds on it, so that one run tells all that is wrong. It needs
//! no store. A probe stands in no journal: who is told to stop takes it down first, and what a process leaves that is killed
//! in between is recognised by its first letters and taken down by the next try for the same name.
mod probe;
mod report;

use certkeep_core::application::{AuthEntry, Delegation};
use certkeep_core::caa::{Applicant, Judgement, RelevantSet};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::Zone;
use certkeep_core::name::DnsName;
use certkeep_core::ports::{CertificateAuthority, DnsProviders, Issuer, Propagation, Resolver};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::issuing::{Hand, Places, parameters};

pub use report::{Check, Finding, Report};

/// What an application is tried against.
#[derive(Clone, Copy)]
pub struct Preflight<'a> {
    /// All DNS providers.
    pub providers: &'a dyn DnsProviders,
    /// What the world sees.
    pub resolver: &'a dyn Resolver,
    /// Whose challenge records are written by another provider than the application's.
    pub delegations: &'a [Delegation],
    /// The CA that CAA records are judged for; without one they are told and not judged.
    pub authority: Option<Authority<'a>>,
    /// How long and how often to look where the parameters say nothing.
    pub propagation: Propagation,
    /// Whether the probe is waited for.
    pub wait: bool,
    /// Becomes true when it is to end early: then nothing more is tried, and what was written is taken down.
    pub stop: Option<&'a watch::Receiver<bool>>,
}

/// A CA, and who we are there.
#[derive(Clone, Copy)]
pub struct Authority<'a> {
    /// Speaks with it.
    pub issuer: &'a dyn Issuer,
    /// The CA.
    pub ca: &'a CertificateAuthority,
    /// The account's URL, if it is known.
    pub account: Option<&'a str>,
}

/// Where a probe is to be written.
struct Place {
    target: DnsName,
    zone: Zone,
    hand: Hand,
}

impl Preflight<'_> {
    /// Tries everything that an application for these names with this provider needs.
    pub async fn run(&self, names: &[DnsName], dns_provider: &str, auth: &[AuthEntry]) -> Report {
        self.run_on(Report::default(), names, dns_provider, auth).await
    }

    /// The same on a report that others may follow.
    pub async fn run_on(&self, mut report: Report, names: &[DnsName], dns_provider: &str, auth: &[AuthEntry]) -> Report {
        let found = tokio::select! {
            biased;
            () = self.stopped() => return report,
            found = self.look(&mut report, names, dns_provider, auth) => found,
        };
        self.probe(&mut report, found).await;
        report
    }

    /// Everything that changes nothing; answers where probes can be written.
    async fn look(&self, report: &mut Report, names: &[DnsName], dns_provider: &str, auth: &[AuthEntry]) -> Vec<Place> {
        let began = Instant::now();
        let places = Places::new(self.providers, self.resolver, self.delegations, dns_provider, auth);
        let places = report.note(Check::Parameters, dns_provider, began, places, |_| "they can work".to_owned());
        let mut found = Vec::new();
        if let Some(mut places) = places {
            let mut challenge_names: Vec<DnsName> = names.iter().map(DnsName::challenge_record).collect();
            challenge_names.sort_unstable();
            challenge_names.dedup();
            for name in challenge_names {
                found.extend(self.place(report, &mut places, &name).await);
            }
        }
        let identities = self.identities(report).await;
        for name in names {
            let began = Instant::now();
            let judged = match self.resolver.caa(name).await {
                Ok(set) => self.judge(name, &set, identities.as_deref()),
                Err(failure) => Err(failure),
            };
            report.note(Check::Caa, name.as_str(), began, judged, String::clone);
        }
        found
    }

    /// Returns when it is to end early.
    async fn stopped(&self) {
        let told = match self.stop {
            Some(stop) => stop.clone().wait_for(|stop| *stop).await.is_ok(),
            None => false,
        };
        if !told {
            std::future::pending::<()>().await;
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| *stop.borrow())
    }

    /// Follows a challenge name, and finds the zone to write in and who writes there.
    async fn place(&self, report: &mut Report, places: &mut Places<'_>, name: &DnsName) -> Option<Place> {
        let began = Instant::now();
        let followed = match self.resolver.follow(name).await {
            Ok(target) => places.writer(name, &target).map(|hand| (target, hand)),
            Err(failure) => Err(failure),
        };
        let (target, hand) = report.note(Check::Delegation, name.as_str(), began, followed, |(target, hand)| {
            if target == name { "the name itself".to_owned() } else { format!("to {target}, written by {}", hand.dns_provider) }
        })?;
        if report.is_refused(&hand.dns_provider) {
            return None;
        }
        let began = Instant::now();
        if let Some(zone) = places.found_before(&hand, &target).await {
            let known = |zone: &Zone| format!("{}, found before", zone.name);
            let zone = report.note(Check::ZoneFound, target.as_str(), began, Ok(zone), known)?;
            return Some(Place { target, zone, hand });
        }
        let zone = hand.provider.find_zone(&target).await;
        match &zone {
            Err(failure) if failure.code != Code::ZoneNotFound => {
                report.credentials(&hand.dns_provider, began, Err(failure.clone()));
                return None;
            }
            _ if self.asks_for_zones(&hand) => {
                report.credentials(&hand.dns_provider, began, Ok("the provider answers about its zones".to_owned()));
            }
            _ => {}
        }
        let zone = report.note(Check::ZoneFound, target.as_str(), began, zone, |zone| zone.name.clone())?;
        let began = Instant::now();
        let confirmed = places.confirm(&hand, zone.clone(), &target).await;
        let zone = report.note(Check::ZoneConfirmed, target.as_str(), began, confirmed, |confirmed| {
            if confirmed.name == zone.name {
                "the world asks this zone".to_owned()
            } else {
                format!("the world asks {}, and nobody delegates {}", confirmed.name, zone.name)
            }
        })?;
        places.keep(&hand, &zone);
        Some(Place { target, zone, hand })
    }

    fn asks_for_zones(&self, hand: &Hand) -> bool {
        let parameters = parameters(self.providers, &hand.dns_provider, &hand.auth);
        parameters.is_ok_and(|parameters| self.providers.asks_for_zones(&hand.dns_provider, &parameters))
    }

    /// The names by which the CA goes in CAA records; `None` where no CA is named or it does not answer.
    async fn identities(&self, report: &mut Report) -> Option<Vec<String>> {
        let Authority { issuer, ca, .. } = self.authority?;
        let began = Instant::now();
        let identities = issuer.caa_identities(ca).await;
        report.note(Check::Directory, &ca.directory, began, identities, |identities| match identities.as_slice() {
            [] => "it does not tell by which names it goes in CAA records".to_owned(),
            identities => format!("in CAA records it goes by {}", identities.join(", ")),
        })
    }

    /// What the CAA records of a name mean for the CA.
    fn judge(&self, name: &DnsName, set: &RelevantSet, identities: Option<&[String]>) -> Result<String, Failure> {
        let Some(at) = set.found_at() else {
            return Ok(format!("any CA may issue: there is no CAA record at {}", set.asked.join(", ")));
        };
        let records = set.properties.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let Some(identities) = identities else {
            return Ok(format!("not judged, since no CA is known: {at} has {records}"));
        };
        let account = self.authority.and_then(|authority| authority.account);
        match set.judge(name.is_wildcard(), Applicant { identities, account }) {
            Judgement::Allowed(property) => Ok(format!("{at} allows it: {property}")),
            Judgement::Unrestricted => Ok(format!("any CA may issue: {at} has only {records}")),
            Judgement::Unsure(what) => Ok(format!("not known: at {at} {what}")),
            Judgement::Forbidden(reasons) => {
                let failure = Failure::new(Code::CaaForbids, "judge CAA").about(name.as_str());
                let failure = failure.fact(format!("{at} has {records}"));
                let failure = reasons.into_iter().fold(failure, Failure::fact);
                Err(match identities {
                    [] => failure,
                    identities => failure.fact(format!("the CA goes by {}", identities.join(", "))),
                })
            }
        }
    }
}
