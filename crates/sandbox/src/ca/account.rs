//! Accounts: made, found again, changed, closed (RFC 8555 §7.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::jwk::Jwk;
use super::jws::{Jws, Signed};
use super::problem::{Kind, Problem};
use super::state::{self, Account, Status, owned};
use super::{Ca, random_token};

/// What comes before the identifier in an account's URL.
pub(super) const PATH: &str = "/account/";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewAccount {
    #[serde(default)]
    contact: Vec<String>,
    #[serde(default)]
    terms_of_service_agreed: bool,
    #[serde(default)]
    only_return_existing: bool,
    #[serde(default)]
    external_account_binding: Option<Value>,
}

pub(super) async fn create(State(ca): State<Arc<Ca>>, signed: Signed) -> Result<Response, Problem> {
    let key = signed.embedded_key()?;
    let request: NewAccount = signed.payload()?;
    if let Some(answer) = ca.existing(&mut ca.state(), key)? {
        return Ok(answer);
    }
    if request.only_return_existing {
        return Err(Problem::new(Kind::AccountDoesNotExist, "no account has this key"));
    }
    check_contact(&request.contact)?;
    if !request.terms_of_service_agreed {
        let problem = Problem::new(Kind::UserActionRequired, "the terms were not agreed to");
        return Err(problem.with_link(ca.url("/terms"), "terms-of-service"));
    }
    let binding = request.external_account_binding;
    ca.check_binding(binding.as_ref(), key, &signed.url)?;
    let account = Account { key: key.clone(), contact: request.contact, status: Status::Valid, external: binding };
    ca.open(account)
}

#[derive(Deserialize)]
struct Update {
    contact: Option<Vec<String>>,
    status: Option<String>,
}

pub(super) async fn update(State(ca): State<Arc<Ca>>, Path(id): Path<String>, signed: Signed) -> Result<Response, Problem> {
    owned(&id, signed.account()?.0)?;
    let update: Option<Update> = signed.payload_if_any()?;
    let mut state = ca.state();
    let account = state.account(&id)?;
    if let Some(update) = update {
        if let Some(contact) = update.contact {
            check_contact(&contact)?;
            account.contact = contact;
        }
        match update.status.as_deref() {
            None | Some("valid") => {}
            Some("deactivated") => account.status = Status::Deactivated,
            Some(_) => return Err(Problem::malformed("an account can only be deactivated")),
        }
    }
    Ok(ca.answer(StatusCode::OK, &id, account))
}

pub(super) async fn orders(State(ca): State<Arc<Ca>>, Path(id): Path<String>, signed: Signed) -> Result<Json<Value>, Problem> {
    signed.read_only()?;
    owned(&id, signed.account()?.0)?;
    let state = ca.state();
    let own = state.orders.iter().filter(|(_, order)| order.account == id);
    let urls: Vec<String> = own.map(|(order, _)| ca.url(&format!("/order/{order}"))).collect();
    Ok(Json(json!({ "orders": urls })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyChange {
    account: String,
    old_key: Value,
}

/// Rolls an account over to the key that signed the inner JWS (RFC 8555 §7.3.5).
pub(super) async fn change_key(State(ca): State<Arc<Ca>>, signed: Signed) -> Result<Response, Problem> {
    let (id, old_key) = signed.account()?;
    let inner = Jws::parse(signed.raw_payload())?;
    let missing = || Problem::malformed("inner JWS: no jwk");
    let new_key = Jwk::parse(inner.header.jwk.as_ref().ok_or_else(missing)?)?;
    inner.verify(&new_key)?;
    let change: KeyChange =
        serde_json::from_slice(&inner.payload).map_err(|error| Problem::malformed(format!("inner JWS: {error}")))?;
    if inner.header.url.as_deref() != Some(signed.url.as_str())
        || change.account != ca.url(&format!("{PATH}{id}"))
        || Jwk::parse(&change.old_key)? != *old_key
    {
        return Err(Problem::malformed("inner JWS: url, account or oldKey is wrong"));
    }
    let mut state = ca.state();
    if let Some((holder, _)) = state.account_by_key(&new_key) {
        let problem = Problem::malformed("another account has this key");
        let problem = problem.with_status(StatusCode::CONFLICT);
        let location = [(header::LOCATION, ca.url(&format!("{PATH}{holder}")))];
        return Ok((location, problem).into_response());
    }
    let account = state.account(id)?;
    account.key = new_key;
    Ok(ca.answer(StatusCode::OK, id, account))
}

impl Ca {
    /// Makes the account, or answers the one that its key has got since it was looked for: a key has one account.
    fn open(&self, account: Account) -> Result<Response, Problem> {
        let mut state = self.state();
        if let Some(answer) = self.existing(&mut state, &account.key)? {
            return Ok(answer);
        }
        let id = random_token();
        let answer = self.answer(StatusCode::CREATED, &id, &account);
        state.accounts.insert(id, account);
        Ok(answer)
    }

    fn existing(&self, state: &mut state::State, key: &Jwk) -> Result<Option<Response>, Problem> {
        let Some(id) = state.account_by_key(key).map(|(id, _)| id.clone()) else {
            return Ok(None);
        };
        let account = state.account(&id)?;
        Ok(Some(self.answer(StatusCode::OK, &id, account)))
    }

    fn answer(&self, status: StatusCode, id: &str, account: &Account) -> Response {
        let url = self.url(&format!("{PATH}{id}"));
        let mut body = json!({
            "status": account.status,
            "contact": account.contact,
            "termsOfServiceAgreed": true,
            "orders": format!("{url}/orders"),
        });
        if let (Some(members), Some(external)) = (body.as_object_mut(), &account.external) {
            members.insert("externalAccountBinding".to_owned(), external.clone());
        }
        (status, [(header::LOCATION, url)], Json(body)).into_response()
    }
}

fn check_contact(contacts: &[String]) -> Result<(), Problem> {
    for contact in contacts {
        let Some(address) = contact.strip_prefix("mailto:") else {
            let detail = format!("{contact}: only mailto: is served");
            return Err(Problem::new(Kind::UnsupportedContact, detail));
        };
        let one_address = !address.contains(['?', ',', ' ']);
        let parts = address.split_once('@');
        let whole = parts.is_some_and(|(user, host)| !user.is_empty() && host.contains('.'));
        if !one_address || !whole {
            let detail = format!("{contact}: not one mail address");
            return Err(Problem::new(Kind::InvalidContact, detail));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Authority, Setup};
    use super::*;

    /// Two registrations that both found no account, as two do that come at the same instant.
    #[test]
    fn a_key_that_is_registered_twice_at_once_has_one_account() {
        let ca = Ca::new(Setup {
            base: "https://ca.example".to_owned(),
            authority: Authority::new(Duration::from_secs(3600)).unwrap(),
            dns: ([127, 0, 0, 1], 53).into(),
            faults: Arc::default(),
            external_account: None,
            authorization_reuse: None,
        });
        let open = || {
            let key = Jwk::Ed25519 { x: vec![7; 32] };
            let account = Account { key, contact: Vec::new(), status: Status::Valid, external: None };
            let answer = ca.open(account).ok().unwrap();
            (answer.status(), answer.headers()[header::LOCATION].clone())
        };
        let (first, second) = (open(), open());
        assert_eq!((first.0, second.0), (StatusCode::CREATED, StatusCode::OK));
        assert_eq!(first.1, second.1);
    }
}
