//! Putting challenge records up, and waiting until the world sees them.
use std::sync::PoisonError;
use std::time::Duration;

use certkeep_core::application::AuthEntry;
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::{ChallengeRecord, Step, TxtRecord, Zone};
use certkeep_core::ports::{AGAIN, Authorization, AuthorizationStatus, DnsProvider, OrderStatus, Propagation};
use certkeep_core::provider::Parameters;
use futures::future::{join_all, try_join_all};

use super::places::{Found, Places};
use super::records::parameters;
use super::{Run, Stopped, order_facts, refused_order};

/// The longest wait for propagation that a client may ask for: it takes the place of other issuances meanwhile.
const MAX_PROPAGATION: Duration = Duration::from_secs(3600);

impl Run {
    /// Puts up a record for every authorization that is pending. Those the CA holds valid already need none.
    pub(super) async fn present(&mut self) -> Result<(), Stopped> {
        let Some(url) = self.order_url() else { return self.start_over().await };
        self.make_key_ahead();
        let account = self.account().await?;
        let reading = self.issuer().order(self.ca(), &account, &url);
        let order = self.notes.act("read the order", self.ca_host(), reading, order_facts).await?;
        refused_order(&order)?;
        if order.status != OrderStatus::Pending {
            return self.save(Step::Validated).await;
        }
        let pending: Vec<&Authorization> =
            order.authorizations.iter().filter(|a| a.status == AuthorizationStatus::Pending).collect();
        let engine = self.engine.clone();
        let application = &self.issuance.application;
        let mut places = Places::new(
            engine.providers(),
            engine.inner.ports.resolver.as_ref(),
            &engine.inner.settings.delegations,
            &application.dns_provider,
            &application.auth,
        )?;
        let known = self.engine.store().records(self.issuance.id).await?;
        let mut new = Vec::new();
        for authorization in pending {
            let Some(challenge) = &authorization.challenge else {
                let failure = Failure::new(Code::ChallengeNotOffered, "read the order").about(authorization.name.as_str());
                return Err(failure.into());
            };
            if known.iter().any(|record| record.challenge == challenge.url) {
                continue;
            }
            let name = authorization.name.challenge_record();
            let finding = self.notes.act("find the zone", name.as_str(), places.find(&name), place_facts).await;
            let Found { target, zone, hand } = finding?;
            new.push(ChallengeRecord {
                id: None,
                issuance: self.issuance.id,
                authorization: authorization.url.clone(),
                challenge: challenge.url.clone(),
                record: TxtRecord { name: target, value: challenge.value.clone() },
                zone,
                dns_provider: hand.dns_provider,
                auth: hand.auth,
                handle: None,
                failed_removals: 0,
            });
        }
        // A record without a handle may or may not be up: adding what is there already is no error. All that is added is
        // journalled under our fence first, or was before that: another may have journalled what was known since.
        let missing: Vec<_> = known.iter().filter(|record| record.handle.is_none()).cloned().chain(new).collect();
        let missing = self.engine.store().journal(missing, self.fence).await?;
        let missing = missing.iter().map(|record| Ok((places.hand(&record.dns_provider, &record.auth)?, record)));
        let missing = missing.collect::<Result<Vec<_>, Failure>>()?;
        // All of them end before any failure is told: a call given up half-way might put its record up after its removal.
        let again = |record: &ChallengeRecord| known.iter().any(|other| other.id == record.id);
        let put_up =
            join_all(missing.iter().map(|(hand, record)| self.put_up(hand.provider.as_ref(), record, again(record)))).await;
        put_up.into_iter().collect::<Result<(), Stopped>>()?;
        self.save(Step::Presented).await
    }

    /// `again` says that nobody knows whether an earlier addition came through.
    async fn put_up(&self, provider: &dyn DnsProvider, record: &ChallengeRecord, again: bool) -> Result<(), Stopped> {
        self.put_up.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
        let adding = provider.add(&record.zone, &record.record);
        let about = record.record.name.as_str();
        let by = |_: &_| vec![format!("By {} in the zone {}.", record.dns_provider, record.zone.name)];
        let mut handle = self.notes.act("put the record up", about, adding, by).await?;
        if let Some(handle) = handle.as_object_mut().filter(|handle| again && !handle.is_empty()) {
            handle.insert(AGAIN.to_owned(), true.into());
        }
        if let Some(id) = record.id {
            self.engine.store().record_added(id, &handle).await?;
        }
        Ok(())
    }

    /// Waits until every name server of every zone shows the records.
    pub(super) async fn await_visible(&mut self) -> Result<(), Stopped> {
        let mut zones: Vec<(Zone, Propagation, Vec<TxtRecord>)> = Vec::new();
        for record in self.engine.store().records(self.issuance.id).await? {
            let propagation = self.propagation(&record.dns_provider, &record.auth);
            match zones.iter_mut().find(|(zone, known, _)| zone.name == record.zone.name && *known == propagation) {
                Some((_, _, records)) => records.push(record.record),
                None => zones.push((record.zone, propagation, vec![record.record])),
            }
        }
        let resolver = self.engine.inner.ports.resolver.as_ref();
        let visible = zones.iter().map(|(zone, propagation, records)| {
            let seeing = resolver.await_visible(zone, records, *propagation);
            self.notes.act("wait until every name server shows the records", &zone.name, seeing, |seen| seen.facts.clone())
        });
        try_join_all(visible).await?;
        self.save(Step::Propagated).await
    }

    /// The PropagationTimeout and PollingInterval of a provider's parameters, or the configuration's.
    fn propagation(&self, dns_provider: &str, auth: &[AuthEntry]) -> Propagation {
        let parameters = parameters(self.engine.providers(), dns_provider, auth).unwrap_or_default();
        propagation(&parameters, self.engine.inner.settings.propagation)
    }

    /// The longest that any of the records may be waited for.
    pub(super) fn longest_propagation(&self) -> Duration {
        let application = &self.issuance.application;
        let own = self.propagation(&application.dns_provider, &application.auth).timeout;
        let delegations = self.engine.inner.settings.delegations.iter();
        delegations.map(|other| self.propagation(&other.dns_provider, &other.auth).timeout).fold(own, Duration::max)
    }
}

/// What a trace tells of where a record has to stand.
fn place_facts(found: &Found) -> Vec<String> {
    vec![format!("The record {} stands in the zone {}, written by {}.", found.target, found.zone.name, found.hand.dns_provider)]
}

/// How long and how often to look: as the client says, and where it says nothing, by these defaults.
pub(crate) fn propagation(parameters: &Parameters, defaults: Propagation) -> Propagation {
    Propagation {
        timeout: parameters.seconds("PropagationTimeout").unwrap_or(defaults.timeout).min(MAX_PROPAGATION),
        interval: parameters.seconds("PollingInterval").unwrap_or(defaults.interval),
    }
}
