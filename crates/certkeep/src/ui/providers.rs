//! *Providers*: whom certkeep can write challenge records with, and what each wants to know.
use askama::Template;
use axum::response::Response;
use certkeep_core::provider::{DefaultValue, Descriptor, Parameter};
use certkeep_engine::Engine;

use super::frame::{Frame, shown};
use super::stop::Stop;
use super::visit::Visit;

/// A provider in a list.
pub(super) struct Listed {
    pub(super) flag: String,
    pub(super) name: String,
    pub(super) served: bool,
}

/// Those whose name or flag holds a text, by name.
pub(super) fn listed(engine: &Engine, text: &str) -> Vec<Listed> {
    let wanted = text.trim().to_lowercase();
    let fits = |one: &&Descriptor| one.name.to_lowercase().contains(&wanted) || one.flag.to_lowercase().contains(&wanted);
    let of = |one: &Descriptor| Listed { flag: one.flag.clone(), name: one.name.clone(), served: one.served.is_ok() };
    let mut all: Vec<Listed> = engine.providers().descriptors().into_iter().filter(fits).map(of).collect();
    all.sort_by_cached_key(|one| one.name.to_lowercase());
    all
}

#[derive(Template)]
#[template(path = "providers.html")]
struct List<'a> {
    f: Frame<'a>,
    text: String,
    total: String,
    providers: Vec<Listed>,
}

pub(super) async fn list(visit: &Visit<'_>) -> Result<Response, Stop> {
    let text = visit.query().text("q").to_owned();
    let providers = listed(visit.engine(), &text);
    let f = visit.frame(visit.texts.t("nav.providers"), "providers");
    let total = visit.texts.count("providers.total", providers.len() as u64);
    shown(&List { f, text, total, providers })
}

#[derive(Template)]
#[template(path = "provider.html")]
struct One<'a> {
    f: Frame<'a>,
    flag: String,
    name: String,
    docs: Option<String>,
    unserved: Option<String>,
    parameters: Vec<Row>,
}

struct Row {
    k: String,
    help: String,
    required: bool,
    secret: bool,
    default: String,
}

fn row(parameter: &Parameter) -> Row {
    Row {
        k: parameter.k.clone(),
        help: parameter.help.clone(),
        required: parameter.required,
        secret: parameter.secret,
        default: match &parameter.default {
            Some(DefaultValue::Boolean(value)) => value.to_string(),
            Some(DefaultValue::Integer(value)) => value.to_string(),
            Some(DefaultValue::String(value)) => value.clone(),
            None => String::new(),
        },
    }
}

pub(super) async fn one(visit: &Visit<'_>, flag: &str) -> Result<Response, Stop> {
    let found = visit.engine().providers().descriptor(flag).ok_or(Stop::NotFound)?;
    let f = visit.frame(found.name.clone(), "providers");
    shown(&One {
        f,
        flag: found.flag.clone(),
        name: found.name.clone(),
        docs: found.docs.clone().filter(|url| url.starts_with("https://")),
        unserved: found.served.as_ref().err().cloned(),
        parameters: found.parameters.iter().map(row).collect(),
    })
}
