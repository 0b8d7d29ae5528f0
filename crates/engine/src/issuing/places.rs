//! Where challenge records have to stand, and who writes them there.
use std::collections::HashMap;
use std::sync::Arc;

use certkeep_core::application::{AuthEntry, Delegation};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::Zone;
use certkeep_core::name::DnsName;
use certkeep_core::ports::{DnsProvider, DnsProviders, Resolver};

use super::records::connect;

/// What one run has found out about names, zones and providers, so that it is asked once.
pub(crate) struct Places<'a> {
    providers: &'a dyn DnsProviders,
    resolver: &'a dyn Resolver,
    delegations: &'a [Delegation],
    /// The application's own provider.
    own: Hand,
    /// Those of delegations.
    others: Vec<Hand>,
    names: HashMap<DnsName, Found>,
    zones: Vec<(Hand, Zone)>,
}

/// A provider ready to be called, and what it was made of.
#[derive(Clone)]
pub(crate) struct Hand {
    pub(crate) dns_provider: String,
    pub(crate) auth: Vec<AuthEntry>,
    pub(crate) provider: Arc<dyn DnsProvider>,
}

/// Where a record has to stand.
#[derive(Clone)]
pub(crate) struct Found {
    /// The challenge name, or where its CNAME leads.
    pub(crate) target: DnsName,
    pub(crate) zone: Zone,
    pub(crate) hand: Hand,
}

impl Hand {
    fn new(providers: &dyn DnsProviders, dns_provider: &str, auth: &[AuthEntry]) -> Result<Hand, Failure> {
        let provider = connect(providers, dns_provider, auth)?;
        Ok(Hand { dns_provider: dns_provider.to_owned(), auth: auth.to_vec(), provider })
    }

    /// Whether the two are one.
    pub(crate) fn is(&self, other: &Hand) -> bool {
        Arc::ptr_eq(&self.provider, &other.provider)
    }
}

impl<'a> Places<'a> {
    /// Nothing found yet; the application's provider is connected.
    pub(crate) fn new(
        providers: &'a dyn DnsProviders,
        resolver: &'a dyn Resolver,
        delegations: &'a [Delegation],
        dns_provider: &str,
        auth: &[AuthEntry],
    ) -> Result<Self, Failure> {
        let own = Hand::new(providers, dns_provider, auth)?;
        Ok(Places { providers, resolver, delegations, own, others: Vec::new(), names: HashMap::new(), zones: Vec::new() })
    }

    /// Where the record of a name has to stand: after its CNAME, in the zone that the world asks.
    pub(crate) async fn find(&mut self, challenge_name: &DnsName) -> Result<Found, Failure> {
        if let Some(found) = self.names.get(challenge_name) {
            return Ok(found.clone());
        }
        let target = self.resolver.follow(challenge_name).await?;
        let hand = self.writer(challenge_name, &target)?;
        let zone = match self.found_before(&hand, &target).await {
            Some(zone) => zone,
            None => {
                let zone = hand.provider.find_zone(&target).await?;
                let zone = self.confirm(&hand, zone, &target).await?;
                self.keep(&hand, &zone);
                zone
            }
        };
        let found = Found { target, zone, hand };
        self.names.insert(challenge_name.clone(), found.clone());
        Ok(found)
    }

    /// Who writes at a target: the application's provider, but for a delegation that the configuration names another for.
    pub(crate) fn writer(&mut self, challenge_name: &DnsName, target: &DnsName) -> Result<Hand, Failure> {
        match Delegation::of(self.delegations, target).filter(|_| target != challenge_name) {
            Some(delegation) => self.hand(&delegation.dns_provider, &delegation.auth),
            None => Ok(self.own.clone()),
        }
    }

    /// The provider that a record was, or is to be, written by.
    pub(crate) fn hand(&mut self, dns_provider: &str, auth: &[AuthEntry]) -> Result<Hand, Failure> {
        let known = std::iter::once(&self.own).chain(&self.others);
        if let Some(known) = known.into_iter().find(|hand| hand.dns_provider == dns_provider && hand.auth == auth) {
            return Ok(known.clone());
        }
        let hand = Hand::new(self.providers, dns_provider, auth)?;
        self.others.push(hand.clone());
        Ok(hand)
    }

    /// The zone if it is the one that the world asks for the target, else the next above it in the account that is: a
    /// zone that was made there and never delegated would hide it for ever.
    pub(crate) async fn confirm(&self, hand: &Hand, zone: Zone, target: &DnsName) -> Result<Zone, Failure> {
        let mut zone = zone;
        let mut nearest = None;
        loop {
            let failure = match self.resolver.confirm_zone(&zone, target).await {
                Ok(()) => return Ok(zone),
                Err(failure) if failure.code == Code::ZoneElsewhere => nearest.get_or_insert(failure),
                Err(failure) => return Err(failure),
            };
            let above = zone.name.split_once('.').and_then(|(_, above)| above.parse().ok());
            let outer = match &above {
                Some(above) => hand.provider.find_zone(above).await.ok(),
                None => None,
            };
            zone = match outer.filter(|outer| outer.name.len() < zone.name.len()) {
                Some(outer) => outer,
                None => return Err(failure.clone()),
            };
        }
    }

    /// A zone found before that the world asks for this name as well: saves the provider a question.
    pub(crate) async fn found_before(&self, hand: &Hand, name: &DnsName) -> Option<Zone> {
        let fitting = self.zones.iter().filter(|(by, zone)| by.is(hand) && name.is_within(&zone.name));
        let (_, zone) = fitting.max_by_key(|(_, zone)| zone.name.len())?;
        self.resolver.confirm_zone(zone, name).await.ok().map(|()| zone.clone())
    }

    /// Remembers a zone that was confirmed.
    pub(crate) fn keep(&mut self, hand: &Hand, zone: &Zone) {
        self.zones.push((hand.clone(), zone.clone()));
    }
}
