//! Orders: placed, looked at, finalized (RFC 8555 §7.4).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jiff::SignedDuration;
use rcgen::SubjectPublicKeyInfo;
use serde::Deserialize;
use serde_json::{Value, json};

use super::csr::Csr;
use super::directory::{PROFILE_CLASSIC, PROFILE_SHORT};
use super::jws::Signed;
use super::problem::{Kind, Problem, retry_after};
use super::state::{self, Authorization, Certificate, Challenge, Order, Status};
use super::{Ca, random_token};
use crate::faults::Fault;

/// How long an order and its pending authorizations stay open.
const OPEN_FOR: SignedDuration = SignedDuration::from_hours(24);
const MAX_NAMES: usize = 100;
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;
const SHORT_LIVED: Duration = Duration::from_secs(6 * 86_400);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewOrder {
    identifiers: Vec<Identifier>,
    #[serde(default)]
    not_before: Option<Value>,
    #[serde(default)]
    not_after: Option<Value>,
    #[serde(default)]
    profile: Option<String>,
    #[serde(default)]
    replaces: Option<String>,
}

#[derive(Deserialize)]
struct Identifier {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

pub(super) async fn create(State(ca): State<Arc<Ca>>, signed: Signed) -> Result<Response, Problem> {
    let (account, _) = signed.account()?;
    let request: NewOrder = signed.payload()?;
    if ca.setup.faults.fires(Fault::RateLimit) {
        let problem = Problem::new(Kind::RateLimited, "too many orders; come back later");
        return Err(problem.with_retry_after(ca.setup.faults.retry_after()));
    }
    if ca.setup.faults.fires(Fault::UserActionRequired) {
        let problem = Problem::new(Kind::UserActionRequired, "the terms have changed");
        return Err(problem.with_link(ca.url("/terms"), "terms-of-service"));
    }
    if request.not_before.is_some() || request.not_after.is_some() {
        return Err(Problem::malformed("notBefore and notAfter are not served"));
    }
    let known = |profile: &String| [PROFILE_CLASSIC, PROFILE_SHORT].contains(&profile.as_str());
    if !request.profile.as_ref().is_none_or(known) {
        return Err(Problem::new(Kind::InvalidProfile, "no such profile"));
    }
    let names = ca.names(&request.identifiers)?;
    let expires = ca.now().checked_add(OPEN_FOR).map_err(Problem::internal)?;

    let mut state = ca.state();
    if let Some(replaced) = &request.replaces {
        state.replace(replaced, account)?;
    }
    let authorizations = names.iter().map(|name| ca.authorize(&mut state, account, name, expires)).collect();
    let id = random_token();
    let order = Order {
        account: account.to_owned(),
        names,
        authorizations,
        status: Status::Pending,
        expires,
        error: None,
        certificate: None,
        profile: request.profile,
        replaces: request.replaces,
    };
    state.orders.insert(id.clone(), order);
    let order = state.order(&id, account, ca.now())?;
    Ok(ca.describe(StatusCode::CREATED, &id, order))
}

pub(super) async fn read(State(ca): State<Arc<Ca>>, Path(id): Path<String>, signed: Signed) -> Result<Response, Problem> {
    signed.read_only()?;
    let (account, _) = signed.account()?;
    let mut state = ca.state();
    let order = state.order(&id, account, ca.now())?;
    if order.status != Status::Valid && ca.setup.faults.fires(Fault::OrderInvalid) {
        order.status = Status::Invalid;
        order.error = Some(Problem::internal("a fault was asked for"));
    }
    Ok(ca.describe(StatusCode::OK, &id, order))
}

#[derive(Deserialize)]
struct Finalize {
    csr: String,
}

pub(super) async fn finalize(State(ca): State<Arc<Ca>>, Path(id): Path<String>, signed: Signed) -> Result<Response, Problem> {
    let (account, account_key) = signed.account()?;
    let request: Finalize = signed.payload()?;
    let mut state = ca.state();
    let order = state.order(&id, account, ca.now())?;
    if order.status != Status::Ready {
        return Err(Problem::new(Kind::OrderNotReady, "the order is not ready"));
    }
    let der = BASE64_URL_SAFE_NO_PAD.decode(&request.csr).map_err(|_| Problem::new(Kind::BadCsr, "csr: not base64url"))?;
    let csr = Csr::parse(&der, account_key)?;
    let ordered: BTreeSet<&String> = order.names.iter().collect();
    if !csr.names.iter().eq(ordered) {
        let detail = "csr: its names are not those of the order";
        return Err(Problem::new(Kind::BadCsr, detail));
    }
    if ca.setup.faults.fires(Fault::InvalidAtFinalize) {
        order.status = Status::Invalid;
        order.error = Some(Problem::internal("a fault was asked for"));
        return Ok(ca.describe(StatusCode::OK, &id, order));
    }
    let delay = ca.setup.faults.issuance_delay();
    if delay.is_zero() {
        ca.issue(&mut state, &id, &csr.key)?;
    } else {
        order.status = Status::Processing;
        let work = issue_later(Arc::clone(&ca), id.clone(), csr.key, delay);
        ca.spawn(work);
    }
    let order = state.order(&id, account, ca.now())?;
    Ok(ca.describe(StatusCode::OK, &id, order))
}

/// Issues when `delay` has passed; the order tells what came of it.
async fn issue_later(ca: Arc<Ca>, id: String, key: SubjectPublicKeyInfo, delay: Duration) {
    tokio::time::sleep(delay).await;
    let mut state = ca.state();
    let issued = ca.issue(&mut state, &id, &key);
    if let (Err(problem), Some(order)) = (issued, state.orders.get_mut(&id)) {
        order.status = Status::Invalid;
        order.error = Some(problem);
    }
}

impl Ca {
    /// The names of an order, each once, or what is wrong with each.
    fn names(&self, identifiers: &[Identifier]) -> Result<Vec<String>, Problem> {
        if identifiers.is_empty() || identifiers.len() > MAX_NAMES {
            return Err(Problem::malformed(format!("an order has 1 to {MAX_NAMES} names")));
        }
        let mut names = Vec::new();
        let mut refused = Vec::new();
        for identifier in identifiers {
            match self.name(identifier) {
                Err(problem) => refused.push((identifier.value.clone(), problem)),
                Ok(name) if names.contains(&name) => {}
                Ok(name) => names.push(name),
            }
        }
        match refused.pop() {
            None => Ok(names),
            Some((name, problem)) => {
                let all = [refused, vec![(name, problem.clone())]].concat();
                Err(problem.with_subproblems(all))
            }
        }
    }

    fn name(&self, identifier: &Identifier) -> Result<String, Problem> {
        let value = &identifier.value;
        if identifier.kind != "dns" {
            let detail = format!("{value}: identifiers of type dns only");
            return Err(Problem::new(Kind::UnsupportedIdentifier, detail));
        }
        let name = value.to_ascii_lowercase();
        let base = name.strip_prefix("*.").unwrap_or(&name);
        let label = |label: &str| {
            let letters = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            let hyphens = label.starts_with('-') || label.ends_with('-');
            letters && !hyphens && (1..=MAX_LABEL).contains(&label.len())
        };
        let numeric = base.rsplit('.').next().is_some_and(|last| last.parse::<u64>().is_ok());
        let whole = base.contains('.') && base.len() <= MAX_NAME && base.split('.').all(label);
        if !whole || numeric {
            let detail = format!("{value}: not a domain name that can be certified");
            return Err(Problem::new(Kind::RejectedIdentifier, detail));
        }
        if self.setup.faults.refuses(&name) {
            let detail = format!("{value}: policy forbids issuing for this name");
            return Err(Problem::new(Kind::RejectedIdentifier, detail));
        }
        Ok(name)
    }

    /// The identifier of an authorization for `name`: a valid one if reuse is on, or a new one.
    fn authorize(&self, state: &mut state::State, account: &str, name: &str, expires: jiff::Timestamp) -> String {
        let base = name.strip_prefix("*.").unwrap_or(name);
        let wildcard = base.len() < name.len();
        if let Some(window) = self.setup.authorization_reuse {
            let now = self.now();
            let fresh = |validated: jiff::Timestamp| now.duration_since(validated).unsigned_abs() < window;
            let reusable = state.authorizations.iter().find(|(_, known)| {
                known.account == account
                    && known.name == base
                    && known.wildcard == wildcard
                    && known.status == Status::Valid
                    && known.expires > now
                    && known.challenge.validated.is_some_and(fresh)
            });
            if let Some((id, _)) = reusable {
                return id.clone();
            }
        }
        let id = random_token();
        let authorization = Authorization {
            account: account.to_owned(),
            name: base.to_owned(),
            wildcard,
            status: Status::Pending,
            expires,
            challenge: Challenge { token: random_token(), status: Status::Pending, validated: None, error: None },
        };
        state.authorizations.insert(id.clone(), authorization);
        id
    }

    /// Makes the certificate of an order and turns the order valid.
    fn issue(&self, state: &mut state::State, id: &str, key: &SubjectPublicKeyInfo) -> Result<(), Problem> {
        let found = state.orders.get_mut(id);
        let order = found.ok_or_else(|| Problem::not_found("order"))?;
        let short = order.profile.as_deref() == Some(PROFILE_SHORT);
        let limit = short.then_some(SHORT_LIVED).into_iter().chain(self.setup.faults.longest_life()).min();
        let issued = self.setup.authority.issue(&order.names, key, self.now(), limit).map_err(Problem::internal)?;
        let certificate_id = random_token();
        order.status = Status::Valid;
        order.certificate = Some(certificate_id.clone());
        let certificate = Certificate {
            account: order.account.clone(),
            names: order.names.clone(),
            leaf: issued.pem,
            renewal_id: self.renewal_id(&issued.serial),
            der: issued.der,
            not_before: issued.not_before,
            not_after: issued.not_after,
            revoked: false,
            replaced: false,
        };
        state.certificates.insert(certificate_id, certificate);
        Ok(())
    }

    fn describe(&self, status: StatusCode, id: &str, order: &Order) -> Response {
        let url = self.url(&format!("/order/{id}"));
        let identifiers: Vec<Value> = order.names.iter().map(|name| json!({ "type": "dns", "value": name })).collect();
        let authorizations: Vec<String> =
            order.authorizations.iter().map(|id| self.url(&format!("/authorization/{id}"))).collect();
        let mut body = json!({
            "status": order.status,
            "expires": order.expires.to_string(),
            "identifiers": identifiers,
            "authorizations": authorizations,
            "finalize": format!("{url}/finalize"),
        });
        if let Some(members) = body.as_object_mut() {
            let certificate = order.certificate.as_ref();
            let optional = [
                ("certificate", certificate.map(|id| json!(self.url(&format!("/certificate/{id}"))))),
                ("error", order.error.as_ref().map(Problem::document)),
                ("profile", order.profile.as_ref().map(|profile| json!(profile))),
                ("replaces", order.replaces.as_ref().map(|id| json!(id))),
            ];
            for (member, value) in optional {
                members.extend(value.map(|value| (member.to_owned(), value)));
            }
        }
        let mut response = (status, [(header::LOCATION, url)], Json(body)).into_response();
        if order.status == Status::Processing
            && let Some(value) = retry_after(self.setup.faults.wait(self.setup.faults.issuance_delay()))
        {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}
