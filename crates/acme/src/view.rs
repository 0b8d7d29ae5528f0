//! Orders and authorizations of a CA in the words of the port.
use certkeep_core::failure::{Code, Failure};
use certkeep_core::name::DnsName;
use certkeep_core::ports::{Authorization, AuthorizationStatus, Challenge, Order, OrderStatus};
use instant_acme::{
    AuthorizationHandle, AuthorizationStatus as TheirAuthorizationStatus, ChallengeType, Identifier, Order as TheirOrder,
    OrderStatus as TheirOrderStatus,
};

use crate::problem::{self, Act};

/// Names that are told of an order; the rest is counted.
const TOLD_NAMES: usize = 5;

/// An order, all of whose authorizations were loaded.
pub(crate) async fn order(theirs: &mut TheirOrder) -> Result<Order, Failure> {
    let mut authorizations = Vec::new();
    let mut loaded = theirs.authorizations();
    while let Some(Ok(authorization)) = loaded.next().await {
        authorizations.push(authorization_of(authorization).ok_or_else(|| {
            Failure::new(Code::CaProtocol, Act::ReadOrder.words()).fact("An authorization is not for a domain name.")
        })?);
    }
    let url = theirs.url().to_owned();
    let state = theirs.state();
    let status = match state.status {
        TheirOrderStatus::Invalid => OrderStatus::Invalid,
        TheirOrderStatus::Pending => OrderStatus::Pending,
        TheirOrderStatus::Processing => OrderStatus::Processing,
        TheirOrderStatus::Ready => OrderStatus::Ready,
        TheirOrderStatus::Valid => OrderStatus::Valid,
    };
    // Some CAs give an order up before they say so of the authorization that failed.
    let validated = authorizations.iter().all(|each| each.status == AuthorizationStatus::Valid);
    let act = if validated { Act::Finalize } else { Act::Validate };
    let failure = state.error.as_ref().map(|error| problem::told(act, &names(&authorizations), error, None));
    Ok(Order { url, status, authorizations, failure, replaces: false })
}

/// `None` if it is not for a domain name.
fn authorization_of(theirs: AuthorizationHandle<'_>) -> Option<Authorization> {
    let identifier = theirs.identifier();
    let Identifier::Dns(name) = identifier.identifier else { return None };
    let wildcard = identifier.wildcard || name.starts_with("*.");
    let name = name.parse::<DnsName>().ok()?.base();
    let status = match theirs.status {
        TheirAuthorizationStatus::Pending => AuthorizationStatus::Pending,
        TheirAuthorizationStatus::Valid => AuthorizationStatus::Valid,
        TheirAuthorizationStatus::Deactivated
        | TheirAuthorizationStatus::Expired
        | TheirAuthorizationStatus::Invalid
        | TheirAuthorizationStatus::Revoked => AuthorizationStatus::Invalid,
    };
    let failure = (status == AuthorizationStatus::Invalid).then(|| why_invalid(&theirs, &name));
    let url = theirs.url().to_owned();
    // Its challenge borrows it for the rest of its life.
    let mut theirs = theirs;
    let challenge = theirs
        .challenge(ChallengeType::Dns01)
        .map(|challenge| Challenge { url: challenge.url.clone(), value: challenge.key_authorization().dns_value() });
    Some(Authorization { url, name, wildcard, status, challenge, failure })
}

fn why_invalid(theirs: &AuthorizationHandle<'_>, name: &DnsName) -> Failure {
    match theirs.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
        Some(error) => problem::told(Act::Validate, name.as_str(), error, None),
        None => Failure::new(Code::OrderInvalid, Act::Validate.words()).about(name.as_str()).fact(match theirs.status {
            TheirAuthorizationStatus::Deactivated => "The authorization was deactivated.",
            TheirAuthorizationStatus::Expired => "The authorization has expired.",
            TheirAuthorizationStatus::Revoked => "The authorization was revoked.",
            _ => "The authorization is invalid, and the CA does not say why.",
        }),
    }
}

/// The first authorization that failed speaks; the others are facts beside it.
pub(crate) fn why_not_valid(order: Order) -> Failure {
    let mut failures = order.authorizations.into_iter().filter_map(|authorization| authorization.failure);
    match failures.next() {
        Some(first) => failures.fold(first, |first, other| first.fact(one_line(&other))),
        None => order.failure.unwrap_or_else(|| given_up(order.url, order.status)),
    }
}

pub(crate) fn why_not_issued(order: Order) -> Failure {
    let Order { url, status, authorizations, failure, .. } = order;
    failure
        .or_else(|| authorizations.into_iter().find_map(|authorization| authorization.failure))
        .unwrap_or_else(|| given_up(url, status))
}

fn given_up(url: String, status: OrderStatus) -> Failure {
    Failure::new(Code::OrderInvalid, Act::ReadOrder.words()).about(url).fact(match status {
        OrderStatus::Pending => "The order still waits for a validation.",
        _ => "The order is invalid, and the CA does not say why.",
    })
}

fn one_line(failure: &Failure) -> String {
    let told = |text: &Option<String>| text.clone().unwrap_or_default();
    let evidence = &failure.evidence;
    let message: String = told(&evidence.their_message).chars().take(300).collect();
    format!("{}: {}: {message}", told(&evidence.subject), told(&evidence.their_code))
}

/// The names that authorizations are for, in one line.
pub(crate) fn names(authorizations: &[Authorization]) -> String {
    listed(authorizations.iter().map(|each| format!("{}{}", if each.wildcard { "*." } else { "" }, each.name)))
}

/// Names in one line, which does not grow with their number.
pub(crate) fn listed(names: impl ExactSizeIterator<Item = impl ToString>) -> String {
    let more = names.len().saturating_sub(TOLD_NAMES);
    let told: Vec<String> = names.take(TOLD_NAMES).map(|name| name.to_string()).collect();
    match more {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}
