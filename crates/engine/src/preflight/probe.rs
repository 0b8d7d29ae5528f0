//! A TXT record that is written, seen everywhere, and removed.
use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::TxtRecord;
use futures::future::join_all;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::report::is_refusal;
use super::{Check, Place, Preflight, Report};
use crate::access::random_token;
use crate::issuing::{parameters, propagation};

/// How every probe begins; no CA's value does.
const PROBE: &str = "certkeep-probe-";
/// As long as the digests that CAs want: there are vendors that take nothing else.
const LENGTH: usize = 43;

/// A value that stood nowhere before.
fn probe() -> Result<String, Failure> {
    let no_random = |_| Failure::new(Code::Internal, "make a probe").fact("the machine has no random bytes");
    let token = random_token().map_err(no_random)?;
    let letters = token.expose_secret().chars();
    Ok(PROBE.chars().chain(letters).take(LENGTH).collect())
}

impl Preflight<'_> {
    /// Writes a probe at each place, waits until all are seen, and removes them.
    pub(super) async fn probe(&self, report: &mut Report, places: Vec<Place>) {
        let mut probes = Vec::new();
        for place in places {
            if report.is_refused(&place.hand.dns_provider) {
                continue;
            }
            if self.is_stopped() {
                break;
            }
            self.remove_leftovers(report, &place).await;
            let began = Instant::now();
            let value = match probe() {
                Ok(value) => value,
                Err(failure) => {
                    report.note(Check::ProbeWritten, place.target.as_str(), began, Err::<(), _>(failure), |()| String::new());
                    continue;
                }
            };
            let record = TxtRecord { name: place.target.clone(), value };
            let added = place.hand.provider.add(&place.zone, &record).await;
            let refusal = added.as_ref().err().filter(|failure| is_refusal(failure)).cloned();
            let handle = report
                .note(Check::ProbeWritten, place.target.as_str(), began, added, |_| format!("in the zone {}", place.zone.name));
            match refusal {
                // What was refused by the password was not written.
                Some(refusal) => report.credentials(&place.hand.dns_provider, began, Err(refusal)),
                None => {
                    if handle.is_some() {
                        report.credentials(&place.hand.dns_provider, began, Ok("the provider takes the probe".to_owned()));
                    }
                    // It may be up even where the answer says that it failed.
                    probes.push((place, record, handle));
                }
            }
        }
        if self.wait {
            let written = probes.iter().filter(|(_, _, handle)| handle.is_some());
            tokio::select! {
                biased;
                () = self.stopped() => {}
                () = self.see(report, written.map(|(place, record, _)| (place, record))) => {}
            }
        }
        for (place, record, handle) in &probes {
            let began = Instant::now();
            let removed = place.hand.provider.remove(&place.zone, record, handle.as_ref()).await;
            report.note(Check::ProbeRemoved, record.name.as_str(), began, removed, |()| "exactly this value".to_owned());
        }
    }

    /// Takes down what a try was killed over. That of another one which is just under way at the same name goes with it.
    async fn remove_leftovers(&self, report: &mut Report, place: &Place) {
        // Whoever sees nothing at the name finds nothing to take down.
        let values = self.resolver.texts(&place.target).await.unwrap_or_default();
        for value in values.into_iter().filter(|value| value.starts_with(PROBE)) {
            let began = Instant::now();
            let record = TxtRecord { name: place.target.clone(), value };
            let removed = place.hand.provider.remove(&place.zone, &record, None).await;
            report
                .note(Check::ProbeRemoved, record.name.as_str(), began, removed, |()| "left behind by an earlier try".to_owned());
        }
    }

    /// Waits for all probes that were written, side by side.
    async fn see<'a>(&self, report: &mut Report, probes: impl Iterator<Item = (&'a Place, &'a TxtRecord)>) {
        let began = Instant::now();
        let looks = probes.map(|(place, record)| async move {
            let parameters = parameters(self.providers, &place.hand.dns_provider, &place.hand.auth).unwrap_or_default();
            let propagation = propagation(&parameters, self.propagation);
            (record, self.resolver.await_visible(&place.zone, std::slice::from_ref(record), propagation).await, began.elapsed())
        });
        for (record, seen, took) in join_all(looks).await {
            report.note(Check::ProbeSeen, record.name.as_str(), began, seen, |sighting| sighting.facts.join("; "));
            if let Some(finding) = report.findings.last_mut() {
                finding.took = took;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_recognised_as_long_as_a_digest_and_never_the_same() {
        let (one, other) = (probe().unwrap(), probe().unwrap());
        assert!(one.starts_with(PROBE) && one != other);
        assert_eq!(one.len(), LENGTH);
    }
}
