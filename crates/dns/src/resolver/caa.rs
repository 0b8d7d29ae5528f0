//! The CAA records that rule a name (RFC 8659 §3): those of the nearest name upwards that has any.
use certkeep_core::caa::{Property, RelevantSet};
use certkeep_core::failure::{Code, Failure};
use certkeep_core::name::DnsName;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, RecordType};

use super::recursive::plain;
use super::walk::{MOST_HOPS, alias_of, upwards};
use super::{DnsResolver, from_root};

/// What is being done, in the words of the trace.
const READ: &str = "read CAA";

/// See [`certkeep_core::ports::Resolver::caa`].
pub(super) async fn relevant(resolver: &DnsResolver, name: &DnsName) -> Result<RelevantSet, Failure> {
    let mut set = RelevantSet::default();
    for level in upwards(from_root(name.base().as_str(), READ)?) {
        set.asked.push(plain(&level));
        set.properties = at(resolver, level).await?;
        if !set.properties.is_empty() {
            break;
        }
    }
    Ok(set)
}

/// The records at a name, or where its alias leads; what stands above the target of an alias does not count.
async fn at(resolver: &DnsResolver, name: Name) -> Result<Vec<Property>, Failure> {
    let mut passed = vec![name.clone()];
    let mut here = name;
    loop {
        let answer = resolver.recursive.ask(&resolver.permits, READ, &here, RecordType::CAA).await?;
        let end = end_of(&answer, &here, &mut passed)?;
        let properties = properties(&answer, &end);
        // A resolver that follows aliases has told all there is. One that leads elsewhere and shows nothing is asked on:
        // an authoritative server does not follow an alias out of its zones.
        if !properties.is_empty() || end == here {
            return Ok(properties);
        }
        here = end;
    }
}

/// Where the aliases in an answer lead.
fn end_of(answer: &Message, name: &Name, passed: &mut Vec<Name>) -> Result<Name, Failure> {
    let mut end = name.clone();
    while let Some(target) = alias_of(answer, &end) {
        let again = passed.contains(&target);
        passed.push(target.clone());
        if again || passed.len() > MOST_HOPS + 1 {
            let start = passed.first().map(plain).unwrap_or_default();
            let way = passed.iter().map(plain).collect::<Vec<_>>().join(" → ");
            return Err(Failure::new(Code::DelegationLoop, READ).about(start).fact(format!("aliases without end: {way}")));
        }
        end = target;
    }
    Ok(end)
}

fn properties(answer: &Message, owner: &Name) -> Vec<Property> {
    let records = answer.answers.iter().filter(|record| record.name == *owner);
    let property = |data: &RData| match data {
        RData::CAA(caa) => {
            Some(Property { flags: caa.flags(), tag: caa.tag.clone(), value: String::from_utf8_lossy(&caa.value).into_owned() })
        }
        _ => None,
    };
    records.filter_map(|record| property(&record.data)).collect()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::OpCode;
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::CNAME;

    use super::*;

    fn name(text: &str) -> Name {
        from_root(text, "test").unwrap()
    }

    fn aliases(pairs: &[(&str, &str)]) -> Message {
        let mut message = Message::response(1, OpCode::Query);
        let record = |(owner, target): &(&str, &str)| Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))));
        message.add_answers(pairs.iter().map(record));
        message
    }

    fn end(pairs: &[(&str, &str)], passed: &[&str]) -> Result<String, Code> {
        let mut passed: Vec<Name> = passed.iter().map(|passed| name(passed)).collect();
        let here = passed.last().unwrap().clone();
        let end = end_of(&aliases(pairs), &here, &mut passed);
        end.map(|end| plain(&end)).map_err(|failure| failure.code)
    }

    #[test]
    fn aliases_are_followed_in_whatever_order_and_circles_found() {
        assert_eq!(end(&[], &["a.test"]), Ok("a.test".to_owned()));
        assert_eq!(end(&[("b.test", "c.test"), ("a.test", "b.test")], &["a.test"]), Ok("c.test".to_owned()));
        assert_eq!(end(&[("a.test", "b.test"), ("b.test", "a.test")], &["a.test"]), Err(Code::DelegationLoop));
        // A circle that takes several questions.
        assert_eq!(end(&[("b.test", "a.test")], &["a.test", "b.test"]), Err(Code::DelegationLoop));
        let long: Vec<(String, String)> = (0..12).map(|n| (format!("n{n}.test"), format!("n{}.test", n + 1))).collect();
        let long: Vec<(&str, &str)> = long.iter().map(|(owner, target)| (owner.as_str(), target.as_str())).collect();
        assert_eq!(end(&long[..10], &["n0.test"]), Ok("n10.test".to_owned()));
        assert_eq!(end(&long, &["n0.test"]), Err(Code::DelegationLoop));
    }
}
