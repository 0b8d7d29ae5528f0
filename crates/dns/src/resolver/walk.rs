//! Walking names: along CNAME records to where a challenge record really stands, and up to the apex of a zone.
use std::iter;

use certkeep_core::failure::{Code, Failure};
use certkeep_core::issuance::Zone;
use certkeep_core::name::DnsName;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::recursive::plain;
use super::{DnsResolver, from_root, is_unlisted};

/// Most CNAME records that are followed.
pub(super) const MOST_HOPS: usize = 10;

/// What is being done, in the words of the trace.
const FOLLOW: &str = "follow CNAME";
const CONFIRM: &str = "confirm zone";

/// See [`certkeep_core::ports::Resolver::follow`].
pub(super) async fn follow(resolver: &DnsResolver, name: &DnsName) -> Result<DnsName, Failure> {
    let mut trail = Trail::from(name.clone());
    loop {
        let here = from_root(trail.end().as_str(), FOLLOW)?;
        let ask = |name: Name| async move {
            let answer = resolver.recursive.ask(&resolver.permits, FOLLOW, &name, RecordType::CNAME).await?;
            Ok::<_, Failure>(alias_of(&answer, &name))
        };
        let Some(target) = ask(here.clone()).await? else { return Ok(trail.into_end()) };
        // A wildcard's CNAME stands only where nothing else does: the TXT record itself ends it. It gives itself away
        // by standing at a name that nobody can have made (RFC 4592 §2.2).
        if ask(unheard_of_beside(&here)?).await?.as_ref() == Some(&target) {
            return Ok(trail.into_end());
        }
        let next = plain(&target).parse().map_err(|_| {
            Failure::new(Code::DelegationLoop, FOLLOW).about(name.as_str()).fact(format!(
                "{} leads to {}, where no record can stand",
                trail.end(),
                plain(&target)
            ))
        })?;
        trail.extend(next)?;
    }
}

/// See [`certkeep_core::ports::Resolver::confirm_zone`].
pub(super) async fn confirm_zone(resolver: &DnsResolver, zone: &Zone, name: &DnsName) -> Result<(), Failure> {
    let apex = find_apex(resolver, name, CONFIRM).await?;
    if is_unlisted(zone) {
        return Ok(());
    }
    let listed = from_root(&zone.name, CONFIRM)?;
    if apex == listed {
        return Ok(());
    }
    let (apex, listed) = (plain(&apex), plain(&listed));
    let failure = Failure::new(Code::ZoneElsewhere, CONFIRM)
        .about(name.as_str())
        .fact(format!("the provider's account has the zone {listed}"))
        .fact(format!("the world finds {name} in the zone {apex}"));
    let above = from_root(&apex, CONFIRM)?.zone_of(&from_root(&listed, CONFIRM)?);
    Err(if above { failure.fact(format!("{listed} is not delegated from {apex}")) } else { failure })
}

/// The apex of the zone that `name` is in, as the world sees it; the root is none.
///
/// # Errors
/// `name_servers_unknown`, `resolvers_unreachable`.
pub(super) async fn find_apex(resolver: &DnsResolver, name: &DnsName, doing: &str) -> Result<Name, Failure> {
    for candidate in upwards(from_root(name.as_str(), doing)?) {
        let answer = resolver.recursive.ask(&resolver.permits, doing, &candidate, RecordType::SOA).await?;
        match apex_in(&answer, &candidate) {
            Some(apex) if apex.is_root() => break,
            Some(apex) => return Ok(apex),
            None => {}
        }
    }
    Err(Failure::new(Code::NameServersUnknown, doing)
        .about(name.as_str())
        .fact(format!("no zone holds {name}: there is no SOA record at it or above it")))
}

/// The name and all above it, the root excluded.
pub(super) fn upwards(name: Name) -> impl Iterator<Item = Name> {
    iter::successors(Some(name), |name| Some(name.base_name())).take_while(|name| !name.is_root())
}

/// The apex of the zone of `candidate` where an answer about its SOA tells it.
///
/// That is the candidate itself where it has one, else the owner of the SOA that a negative answer carries (RFC 2308
/// §3). The answer for an alias speaks of its target's zone, hence tells nothing.
fn apex_in(answer: &Message, candidate: &Name) -> Option<Name> {
    let owner = |records: &[Record]| {
        records.iter().find(|record| record.record_type() == RecordType::SOA).map(|record| record.name.clone())
    };
    if answer.answers.is_empty() {
        return owner(&answer.authorities).filter(|apex| apex.zone_of(candidate));
    }
    owner(&answer.answers).filter(|apex| apex == candidate)
}

/// Where the CNAME at `name` leads.
pub(super) fn alias_of(answer: &Message, name: &Name) -> Option<Name> {
    answer.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == *name => Some(target.0.clone()),
        _ => None,
    })
}

/// A name beside `name` that only a wildcard can answer for.
fn unheard_of_beside(name: &Name) -> Result<Name, Failure> {
    let internal = |what: String| Failure::new(Code::Internal, FOLLOW).about(plain(name)).fact(what);
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| internal("the machine has no random bytes".into()))?;
    let label = format!("_certkeep-{:016x}", u64::from_be_bytes(bytes));
    name.base_name().prepend_label(label).map_err(|error| internal(error.to_string()))
}

/// The names that a CNAME chain has led through, and the one it has led to.
#[derive(Debug)]
struct Trail {
    passed: Vec<DnsName>,
    end: DnsName,
}

impl Trail {
    fn from(start: DnsName) -> Self {
        Trail { passed: Vec::new(), end: start }
    }

    fn end(&self) -> &DnsName {
        &self.end
    }

    fn into_end(self) -> DnsName {
        self.end
    }

    /// Takes one more step; `delegation_loop` where it was there before or has gone [`MOST_HOPS`] steps.
    fn extend(&mut self, next: DnsName) -> Result<(), Failure> {
        let again = self.end == next || self.passed.contains(&next);
        self.passed.push(std::mem::replace(&mut self.end, next));
        if !again && self.passed.len() <= MOST_HOPS {
            return Ok(());
        }
        let names = self.passed.iter().chain([&self.end]).map(DnsName::as_str).collect::<Vec<_>>().join(" → ");
        let fact = if again { format!("in a circle: {names}") } else { format!("more than {MOST_HOPS} steps: {names}") };
        let start = self.passed.first().unwrap_or(&self.end).as_str();
        Err(Failure::new(Code::DelegationLoop, FOLLOW).about(start).fact(fact))
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::OpCode;
    use hickory_proto::rr::rdata::{CNAME, SOA};
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        from_root(text, "test").unwrap()
    }

    fn soa(owner: &str) -> Record {
        Record::from_rdata(name(owner), 60, RData::SOA(SOA::new(name("ns.test"), name("h.test"), 1, 2, 3, 4, 5)))
    }

    fn cname(owner: &str, target: &str) -> Record {
        Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
    }

    fn answer(answers: &[Record], authorities: &[Record]) -> Message {
        let mut message = Message::response(1, OpCode::Query);
        message.add_answers(answers.iter().cloned());
        message.add_authorities(authorities.iter().cloned());
        message
    }

    #[test]
    fn the_apex_is_told_by_the_soa_or_by_a_negative_answer() {
        let cases = [
            ("at it", answer(&[soa("Example.com")], &[]), Some("example.com")),
            ("negative, from above", answer(&[], &[soa("com")]), Some("com")),
            ("negative, the root", answer(&[], &[soa(".")]), Some(".")),
            ("negative, of a stranger", answer(&[], &[soa("example.net")]), None),
            ("negative, from below", answer(&[], &[soa("a.example.com")]), None),
            ("nothing", answer(&[], &[]), None),
            ("an alias with its target's", answer(&[cname("example.com", "x.net"), soa("x.net")], &[]), None),
            ("an alias into nothing", answer(&[cname("example.com", "x.net")], &[soa("net")]), None),
        ];
        for (case, message, expected) in cases {
            assert_eq!(apex_in(&message, &name("example.com")), expected.map(name), "{case}");
        }
    }

    #[test]
    fn only_the_names_own_alias_counts() {
        let message = answer(&[cname("b.test", "c.test"), cname("A.test", "b.test")], &[]);
        assert_eq!(alias_of(&message, &name("a.test")), Some(name("b.test")));
        assert_eq!(alias_of(&message, &name("c.test")), None);
    }

    #[test]
    fn ten_steps_are_taken_and_no_eleventh() {
        let step = |n: usize| format!("n{n}.example.com").parse::<DnsName>().unwrap();
        let mut trail = Trail::from(step(0));
        for n in 1..=10 {
            trail.extend(step(n)).unwrap();
        }
        let failure = trail.extend(step(11)).unwrap_err();
        assert_eq!(failure.code, Code::DelegationLoop);
        assert_eq!(failure.evidence.subject.as_deref(), Some("n0.example.com"));
        assert!(failure.evidence.facts[0].starts_with("more than 10 steps: n0.example.com → n1.example.com"));
    }

    proptest! {
        #[test]
        fn a_circle_is_found_wherever_it_closes(steps in prop::collection::vec(0..6_u8, 1..20)) {
            let step = |n: u8| format!("n{n}.example.com").parse::<DnsName>().unwrap();
            let mut seen = vec![9];
            let mut trail = Trail::from(step(9));
            for n in steps {
                let again = seen.contains(&n);
                prop_assert_eq!(trail.extend(step(n)).is_err(), again);
                if again {
                    break;
                }
                seen.push(n);
            }
        }

        #[test]
        fn upwards_drops_one_label_at_a_time(labels in prop::collection::vec("[a-z0-9_]{1,9}", 1..8)) {
            let all: Vec<Name> = upwards(name(&labels.join("."))).collect();
            prop_assert_eq!(all.len(), labels.len());
            for (n, name) in all.iter().enumerate() {
                prop_assert_eq!(plain(name), labels[n..].join("."));
            }
        }

        #[test]
        fn a_sibling_nobody_made_has_the_same_parent(labels in prop::collection::vec("[a-z0-9_]{1,9}", 2..8)) {
            let here = name(&labels.join("."));
            let beside = unheard_of_beside(&here).unwrap();
            prop_assert_eq!(beside.base_name(), here.base_name());
            prop_assert_ne!(beside, here);
        }
    }
}
