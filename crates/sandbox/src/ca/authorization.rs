//! Authorizations and their dns-01 challenge (RFC 8555 §7.5, §8.4).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::jws::Signed;
use super::problem::{Problem, link, retry_after};
use super::state::{Authorization, Status};
use super::{Ca, validation};

#[derive(Deserialize)]
struct Update {
    status: String,
}

pub(super) async fn update(State(ca): State<Arc<Ca>>, Path(id): Path<String>, signed: Signed) -> Result<Response, Problem> {
    let (account, _) = signed.account()?;
    let update: Option<Update> = signed.payload_if_any()?;
    let mut state = ca.state();
    let authorization = state.authorization(&id, account, ca.now())?;
    if let Some(update) = update {
        let open = matches!(authorization.status, Status::Pending | Status::Valid);
        if update.status != "deactivated" || !open {
            return Err(Problem::malformed("an open authorization can be deactivated"));
        }
        authorization.status = Status::Deactivated;
    }
    let mut body = json!({
        "identifier": { "type": "dns", "value": authorization.name },
        "status": authorization.status,
        "expires": authorization.expires.to_string(),
        "challenges": [ca.describe_challenge(&id, authorization)],
    });
    if let Some(members) = body.as_object_mut()
        && authorization.wildcard
    {
        members.insert("wildcard".to_owned(), json!(true));
    }
    let mut response = Json(body).into_response();
    ca.say_when(authorization, &mut response);
    Ok(response)
}

/// Starts the validation, once; afterwards and by POST-as-GET tells how it stands.
pub(super) async fn answer(State(ca): State<Arc<Ca>>, Path(id): Path<String>, signed: Signed) -> Result<Response, Problem> {
    let (account, key) = signed.account()?;
    let response: Option<Map<String, Value>> = signed.payload_if_any()?;
    let mut state = ca.state();
    let authorization = state.authorization(&id, account, ca.now())?;
    if response.is_some() && authorization.status == Status::Pending && authorization.challenge.status == Status::Pending {
        authorization.challenge.status = Status::Processing;
        let expected = validation::expected_value(&authorization.challenge.token, key);
        let name = authorization.name.clone();
        let work = validation::run(Arc::clone(&ca), id.clone(), name, authorization.wildcard, expected);
        ca.spawn(work);
    }
    let mut response = Json(ca.describe_challenge(&id, authorization)).into_response();
    let parent = ca.url(&format!("/authorization/{id}"));
    if let Some(up) = link(&parent, "up") {
        response.headers_mut().append(header::LINK, up);
    }
    ca.say_when(authorization, &mut response);
    Ok(response)
}

impl Ca {
    fn describe_challenge(&self, id: &str, authorization: &Authorization) -> Value {
        let challenge = &authorization.challenge;
        let mut body = json!({
            "type": "dns-01",
            "url": self.url(&format!("/challenge/{id}")),
            "status": challenge.status,
            "token": challenge.token,
        });
        let Some(members) = body.as_object_mut() else {
            return body;
        };
        if let Some(validated) = challenge.validated {
            members.insert("validated".to_owned(), json!(validated.to_string()));
        }
        if let Some(error) = &challenge.error {
            members.insert("error".to_owned(), error.document());
        }
        body
    }

    /// While a validation runs: how long it takes at most.
    fn say_when(&self, authorization: &Authorization, response: &mut Response) {
        if authorization.challenge.status != Status::Processing {
            return;
        }
        let faults = &self.setup.faults;
        if let Some(value) = retry_after(faults.wait(faults.validation_delay())) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
    }
}
