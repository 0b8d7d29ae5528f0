//! Putting challenge records up, and waiting until the world sees them.
use std::collections::HashMap;
use std::sync::Arc;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{ChallengeRecord, Step, TxtRecord, Zone};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{AGAIN, Authorization, AuthorizationStatus, DnsProvider, OrderStatus, Propagation};
use certkeep_core::provider::Parameters;
use futures::future::{join_all, try_join_all};

use super::{Run, Stopped, refused_order};

/// The longest wait for propagation that a client may ask for: it takes the place of other issuances meanwhile.
const MAX_PROPAGATION: std::time::Duration = std::time::Duration::from_secs(3600);

impl Run {
    /// Puts up a record for every authorization that is pending. Those the CA holds valid already need none.
    pub(super) async fn present(&mut self) -> Result<(), Stopped> {
        let Some(url) = self.order_url() else { return self.start_over().await };
        self.make_key_ahead();
        let account = self.account().await?;
        let order = self.issuer().order(self.ca(), &account, &url).await?;
        refused_order(&order)?;
        if order.status != OrderStatus::Pending {
            return self.save(Step::Validated).await;
        }
        let pending: Vec<&Authorization> =
            order.authorizations.iter().filter(|a| a.status == AuthorizationStatus::Pending).collect();
        let provider = self.provider()?;
        let known = self.engine.store().records(self.issuance.id).await?;
        let mut new = Vec::new();
        let mut places = Places::default();
        for authorization in pending {
            let Some(challenge) = &authorization.challenge else {
                let failure = Failure::new(Code::ChallengeNotOffered, "read the order").about(authorization.name.as_str());
                return Err(failure.into());
            };
            if known.iter().any(|record| record.challenge == challenge.url) {
                continue;
            }
            let (name, zone) = self.place(provider.as_ref(), &mut places, &authorization.name).await?;
            new.push(ChallengeRecord {
                id: None,
                issuance: self.issuance.id,
                authorization: authorization.url.clone(),
                challenge: challenge.url.clone(),
                record: TxtRecord { name, value: challenge.value.clone() },
                zone,
                dns_provider: self.issuance.application.dns_provider.clone(),
                auth: self.issuance.application.auth.clone(),
                handle: None,
                failed_removals: 0,
            });
        }
        let new = if new.is_empty() { new } else { self.engine.store().journal(new, self.fence).await? };
        // A record without a handle may or may not be up: adding what is there already is no error.
        let missing = known.iter().chain(&new).filter(|record| record.handle.is_none());
        // All of them end before any failure is told: a call given up half-way might put its record up after its removal.
        let again = |record: &ChallengeRecord| known.iter().any(|other| other.id == record.id);
        let put_up = join_all(missing.map(|record| self.put_up(provider.as_ref(), record, again(record)))).await;
        put_up.into_iter().collect::<Result<(), Stopped>>()?;
        self.save(Step::Presented).await
    }

    /// `again` says that nobody knows whether an earlier addition came through.
    async fn put_up(&self, provider: &dyn DnsProvider, record: &ChallengeRecord, again: bool) -> Result<(), Stopped> {
        let mut handle = provider.add(&record.zone, &record.record).await?;
        if let Some(handle) = handle.as_object_mut().filter(|handle| again && !handle.is_empty()) {
            handle.insert(AGAIN.to_owned(), true.into());
        }
        if let Some(id) = record.id {
            self.engine.store().record_added(id, &handle).await?;
        }
        Ok(())
    }

    /// Where the record of a name has to stand: after its CNAME, in the zone that the world asks.
    async fn place(&self, provider: &dyn DnsProvider, places: &mut Places, name: &DnsName) -> Result<(DnsName, Zone), Failure> {
        let challenge_name = name.challenge_record();
        if let Some(place) = places.names.get(&challenge_name) {
            return Ok(place.clone());
        }
        let resolver = self.engine.inner.ports.resolver.as_ref();
        let target = resolver.follow(&challenge_name).await?;
        let zone = match places.confirmed(resolver, &target).await {
            Some(zone) => zone,
            None => {
                let zone = provider.find_zone(&target).await?;
                resolver.confirm_zone(&zone, &target).await?;
                places.zones.push(zone.clone());
                zone
            }
        };
        places.names.insert(challenge_name, (target.clone(), zone.clone()));
        Ok((target, zone))
    }

    /// Waits until every name server of every zone shows the records.
    pub(super) async fn await_visible(&mut self) -> Result<(), Stopped> {
        let mut zones: Vec<(Zone, Vec<TxtRecord>)> = Vec::new();
        for record in self.engine.store().records(self.issuance.id).await? {
            match zones.iter_mut().find(|(zone, _)| zone.name == record.zone.name) {
                Some((_, records)) => records.push(record.record),
                None => zones.push((record.zone, vec![record.record])),
            }
        }
        let resolver = self.engine.inner.ports.resolver.as_ref();
        let propagation = self.propagation();
        try_join_all(zones.iter().map(|(zone, records)| resolver.await_visible(zone, records, propagation))).await?;
        self.save(Step::Propagated).await
    }

    /// The client's PropagationTimeout and PollingInterval, or the configuration's.
    pub(super) fn propagation(&self) -> Propagation {
        let defaults = self.engine.inner.settings.propagation;
        let parameters = self.parameters().unwrap_or_default();
        Propagation {
            timeout: parameters.seconds("PropagationTimeout").unwrap_or(defaults.timeout).min(MAX_PROPAGATION),
            interval: parameters.seconds("PollingInterval").unwrap_or(defaults.interval),
        }
    }

    fn parameters(&self) -> Result<Parameters, Failure> {
        let application = &self.issuance.application;
        super::records::parameters(&self.engine, &application.dns_provider, &application.auth)
    }

    fn provider(&self) -> Result<Arc<dyn DnsProvider>, Failure> {
        self.engine.providers().connect(&self.issuance.application.dns_provider, &self.parameters()?)
    }
}

/// What one step has found out about names and zones, so that it is asked once.
#[derive(Default)]
struct Places {
    names: HashMap<DnsName, (DnsName, Zone)>,
    zones: Vec<Zone>,
}

impl Places {
    /// A zone found before that the world asks for this name as well: saves the provider a question.
    async fn confirmed(&self, resolver: &dyn certkeep_core::ports::Resolver, name: &DnsName) -> Option<Zone> {
        let zone = self.zones.iter().filter(|zone| name.is_within(&zone.name)).max_by_key(|zone| zone.name.len())?;
        resolver.confirm_zone(zone, name).await.ok().map(|()| zone.clone())
    }
}
