//! Other parameters for an application that is there: a new key, for one, after the old one was refused.
use std::collections::HashMap;

use axum::response::Response;
use certkeep_core::application::{Application, AuthEntry, AuthValue};
use certkeep_core::certificate::Role;
use certkeep_core::people::Act;
use certkeep_engine::UseCaseError;
use certkeep_engine::inventory::Update;
use secrecy::{ExposeSecret, SecretString};

use super::form::Form;
use super::frame::redirect;
use super::newly::{Purpose, descriptor, form, input, told};
use super::stop::{Stop, sentence};
use super::visit::{Visit, number};

/// What an entry is applied for with.
async fn application(visit: &Visit<'_>, id: &str) -> Result<Application, Stop> {
    let entry = visit.engine().certificate(number(id)?).await?;
    match &entry.role {
        Role::Server(server) => server.application.clone().ok_or(Stop::NotFound),
        Role::Trusted => Err(Stop::NotFound),
    }
}

fn names(application: &Application) -> String {
    application.names.as_slice().iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
}

pub(super) async fn show(visit: &Visit<'_>, id: &str) -> Result<Response, Stop> {
    visit.needs(Act::ChangeCertificates)?;
    let asked = application(visit, id).await?;
    let known = descriptor(visit, &asked.dns_provider)?;
    // Of secrets not even the length is sent back.
    let values = asked.auth.iter().filter_map(|entry| {
        let parameter = known.parameter(&entry.k).filter(|parameter| !parameter.secret)?;
        let value = match &entry.value {
            AuthValue::Boolean(value) => value.to_string(),
            AuthValue::Integer(value) => value.to_string(),
            AuthValue::Text(value) => value.expose_secret().to_owned(),
        };
        Some((format!("p.{}", parameter.k), SecretString::from(value)))
    });
    let given = Form::of(values.collect());
    form(visit, &asked.dns_provider, &given, Purpose::Change(number(id)?, &names(&asked)), &HashMap::new(), None)
}

pub(super) async fn change(visit: &Visit<'_>, id: &str, given: &Form) -> Result<Response, Stop> {
    let visitor = visit.needs(Act::ChangeCertificates)?;
    let asked = application(visit, id).await?;
    let flag = asked.dns_provider.clone();
    let known = descriptor(visit, &flag)?;
    let mut input = input(known, given);
    // A secret that is left empty stays as it is.
    let is_kept = |entry: &&AuthEntry| {
        let parameter = known.parameter(&entry.k).filter(|parameter| parameter.secret);
        parameter.is_some_and(|parameter| given.text(&format!("p.{}", parameter.k)).is_empty())
    };
    let kept = asked.auth.iter().filter(is_kept).cloned();
    input.auth.get_or_insert_default().extend(kept);
    let (id, names) = (number(id)?, names(&asked));
    let purpose = Purpose::Change(id, &names);
    match visitor.acting(visit).update(id, Update { input, ..Update::default() }).await {
        Ok(()) => Ok(redirect(&format!("/ui/certificates/{}?done=changed", id.0))),
        Err(UseCaseError::Invalid(problems)) => {
            let (by_field, problem) = told(visit, &flag, problems);
            form(visit, &flag, given, purpose, &by_field, Some(problem))
        }
        Err(error @ UseCaseError::Busy) => {
            let problem = Some(sentence(visit.texts, &error));
            form(visit, &flag, given, purpose, &HashMap::new(), problem)
        }
        Err(error) => Err(error.into()),
    }
}
