//! What the CA remembers: accounts, orders, authorizations, certificates, nonces.

use std::collections::{HashMap, HashSet, VecDeque};

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use super::jwk::Jwk;
use super::problem::{Kind, Problem};
use super::random_token;

/// How many nonces are good at a time; older ones are forgotten.
const MAX_NONCES: usize = 10_000;

/// Everything, behind one lock that is never held across an await.
#[derive(Default)]
pub(super) struct State {
    pub(super) accounts: HashMap<String, Account>,
    pub(super) authorizations: HashMap<String, Authorization>,
    pub(super) certificates: HashMap<String, Certificate>,
    pub(super) nonces: Nonces,
    pub(super) orders: HashMap<String, Order>,
}

/// Where an object stands (RFC 8555 §7.1.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Deactivated,
    Expired,
    Invalid,
    Pending,
    Processing,
    Ready,
    Valid,
}

pub(super) struct Account {
    pub(super) key: Jwk,
    pub(super) contact: Vec<String>,
    pub(super) status: Status,
    /// The external account binding it was made with, as it was sent.
    pub(super) external: Option<serde_json::Value>,
}

/// An authorization and its only challenge, which share an identifier.
pub(super) struct Authorization {
    pub(super) account: String,
    /// The name without `*.`.
    pub(super) name: String,
    pub(super) wildcard: bool,
    pub(super) status: Status,
    pub(super) expires: Timestamp,
    pub(super) challenge: Challenge,
}

pub(super) struct Challenge {
    pub(super) token: String,
    pub(super) status: Status,
    pub(super) validated: Option<Timestamp>,
    pub(super) error: Option<Problem>,
}

pub(super) struct Order {
    pub(super) account: String,
    /// The names in the order they were asked for, in lower case.
    pub(super) names: Vec<String>,
    pub(super) authorizations: Vec<String>,
    pub(super) status: Status,
    pub(super) expires: Timestamp,
    pub(super) error: Option<Problem>,
    pub(super) certificate: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) replaces: Option<String>,
}

pub(super) struct Certificate {
    pub(super) account: String,
    pub(super) names: Vec<String>,
    pub(super) der: Vec<u8>,
    /// The same in PEM.
    pub(super) leaf: String,
    /// How `renewalInfo` and `replaces` call it (RFC 9773 §4.1).
    pub(super) renewal_id: String,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) revoked: bool,
    pub(super) replaced: bool,
}

impl State {
    /// The account, if it may still do something.
    pub(super) fn account(&mut self, id: &str) -> Result<&mut Account, Problem> {
        let unknown = || Problem::new(Kind::AccountDoesNotExist, "no account has this kid");
        let account = self.accounts.get_mut(id).ok_or_else(unknown)?;
        if account.status != Status::Valid {
            let problem = Problem::new(Kind::Unauthorized, "the account is deactivated");
            return Err(problem.with_status(StatusCode::UNAUTHORIZED));
        }
        Ok(account)
    }

    pub(super) fn account_by_key(&self, key: &Jwk) -> Option<(&String, &Account)> {
        self.accounts.iter().find(|(_, account)| account.key == *key)
    }

    /// The authorization `id` of `account`, with its status as of now.
    pub(super) fn authorization(&mut self, id: &str, account: &str, now: Timestamp) -> Result<&mut Authorization, Problem> {
        let found = self.authorizations.get_mut(id);
        let authorization = found.ok_or_else(|| Problem::not_found("authorization"))?;
        owned(&authorization.account, account)?;
        authorization.age(now);
        Ok(authorization)
    }

    /// The order `id` of `account`, with its status as of now.
    pub(super) fn order(&mut self, id: &str, account: &str, now: Timestamp) -> Result<&mut Order, Problem> {
        let State { orders, authorizations, .. } = self;
        let order = orders.get_mut(id).ok_or_else(|| Problem::not_found("order"))?;
        owned(&order.account, account)?;
        if order.status == Status::Pending {
            order.advance(authorizations, now);
        }
        Ok(order)
    }
}

impl Authorization {
    fn age(&mut self, now: Timestamp) {
        let ages = matches!(self.status, Status::Pending | Status::Valid);
        if ages && self.expires <= now {
            self.status = Status::Expired;
        }
    }
}

impl Order {
    /// Turns a pending order ready or invalid, as its authorizations say.
    fn advance(&mut self, authorizations: &mut HashMap<String, Authorization>, now: Timestamp) {
        let mut all_valid = true;
        for id in &self.authorizations {
            let Some(authorization) = authorizations.get_mut(id) else {
                continue;
            };
            authorization.age(now);
            match authorization.status {
                Status::Valid => {}
                Status::Pending => all_valid = false,
                _ => {
                    self.status = Status::Invalid;
                    self.error.clone_from(&authorization.challenge.error);
                    return;
                }
            }
        }
        if self.expires <= now {
            self.status = Status::Invalid;
        } else if all_valid {
            self.status = Status::Ready;
        }
    }
}

/// Refuses what belongs to another account.
pub(super) fn owned(owner: &str, account: &str) -> Result<(), Problem> {
    if owner == account {
        return Ok(());
    }
    Err(Problem::new(Kind::Unauthorized, "this belongs to another account"))
}

/// The nonces that are good.
#[derive(Default)]
pub(super) struct Nonces {
    good: HashSet<String>,
    age: VecDeque<String>,
}

impl Nonces {
    pub(super) fn issue(&mut self) -> String {
        let nonce = random_token();
        self.good.insert(nonce.clone());
        self.age.push_back(nonce.clone());
        if self.age.len() > MAX_NONCES
            && let Some(oldest) = self.age.pop_front()
        {
            self.good.remove(&oldest);
        }
        nonce
    }

    /// Whether the nonce was good; it is not from now on.
    pub(super) fn take(&mut self, nonce: &str) -> bool {
        self.good.remove(nonce)
    }
}
