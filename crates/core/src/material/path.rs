//! Which certificate stands above which.
use super::Refusal;
use super::certificate::Certificate;

/// More certificates than this are no chain; what is done with fewer is quadratic at most.
pub(super) const MAX_CERTIFICATES: usize = 16;

/// Certificates grouped into entities, with the entity that signed each.
///
/// An entity is what shares subject and key: usually one certificate, several where a CA is cross-signed. A signature
/// holds under one key only, so each certificate has at most one entity above it. That bounds the ways up: they branch
/// only where an entity has several certificates.
pub(super) struct Family<'a>(Vec<Vec<Member<'a>>>);

struct Member<'a> {
    certificate: &'a Certificate,
    /// Index of the entity above.
    issuer: Option<usize>,
}

impl<'a> Family<'a> {
    /// # Errors
    /// [`Refusal::TooMany`], before any signature is verified.
    pub(super) fn new(certificates: &'a [Certificate]) -> Result<Family<'a>, Refusal> {
        if certificates.len() > MAX_CERTIFICATES {
            return Err(Refusal::TooMany);
        }
        let mut entities: Vec<Vec<&Certificate>> = Vec::new();
        for certificate in certificates {
            let same = |members: &&mut Vec<&Certificate>| members.first().is_some_and(|first| first.is_same_entity(certificate));
            match entities.iter_mut().find(same) {
                Some(members) => members.push(certificate),
                None => entities.push(vec![certificate]),
            }
        }
        let issuer = |home: usize, certificate: &Certificate| {
            entities.iter().enumerate().position(|(index, members)| {
                let issuer = members.iter().find(|member| member.may_issue);
                index != home && issuer.is_some_and(|issuer| certificate.is_issued_by(issuer))
            })
        };
        let member = |home, certificate| Member { certificate, issuer: issuer(home, certificate) };
        let members = |(home, members): (usize, &Vec<&'a Certificate>)| {
            members.iter().map(|certificate| member(home, *certificate)).collect()
        };
        Ok(Family(entities.iter().enumerate().map(members).collect()))
    }

    /// The certificates from `start` upwards, in order of signing: the longest way there is. Other certificates of the
    /// same entities are left out. The result does not depend on the order of the input.
    ///
    /// # Errors
    /// [`Refusal::BrokenChain`] when an entity stands on no way up from `start`'s.
    pub(super) fn upwards(&self, start: &'a Certificate) -> Result<Vec<&'a Certificate>, Refusal> {
        let home = self
            .0
            .iter()
            .position(|members| members.first().is_some_and(|first| first.certificate.is_same_entity(start)))
            .ok_or(Refusal::BrokenChain)?;
        if self.reached(home).len() < self.0.len() {
            return Err(Refusal::BrokenChain);
        }
        let member = self.0.get(home).and_then(|members| members.iter().find(|member| member.certificate.der == start.der));
        Ok(self.through(member.ok_or(Refusal::BrokenChain)?, &mut vec![home]))
    }

    /// The entities on some way up.
    fn reached(&self, start: usize) -> Vec<usize> {
        let mut reached = vec![start];
        let mut position = 0;
        while let Some(members) = reached.get(position).and_then(|entity| self.0.get(*entity)) {
            for issuer in members.iter().filter_map(|member| member.issuer) {
                if !reached.contains(&issuer) {
                    reached.push(issuer);
                }
            }
            position += 1;
        }
        reached
    }

    /// The longest way up from a certificate that visits no entity twice.
    fn through(&self, member: &Member<'a>, visited: &mut Vec<usize>) -> Vec<&'a Certificate> {
        let mut way = vec![member.certificate];
        if let Some(issuer) = member.issuer.filter(|issuer| !visited.contains(issuer)) {
            visited.push(issuer);
            let ways = self.0.get(issuer).into_iter().flatten().map(|member| self.through(member, visited));
            // Among equally long ways the later expiry wins, then the octets decide, so that the choice is always the
            // same.
            way.extend(ways.max_by(|a, b| rank(a).cmp(&rank(b))).unwrap_or_default());
            visited.pop();
        }
        way
    }
}

fn rank<'c>(way: &[&'c Certificate]) -> (usize, Vec<(jiff::Timestamp, &'c [u8])>) {
    let members = way.iter().map(|certificate| (certificate.validity.not_after, certificate.der.as_slice()));
    (way.len(), members.collect())
}
