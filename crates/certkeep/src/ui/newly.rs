//! *New certificate*: names, provider, parameters, preflight, application.
use std::collections::HashMap;

use askama::Template;
use axum::response::Response;
use certkeep_core::application::{AuthEntry, AuthValue, Names};
use certkeep_core::certificate::CertificateId;
use certkeep_core::people::Act;
use certkeep_core::provider::{DefaultValue, Descriptor, Parameter, ParameterKind};
use certkeep_engine::inventory::{ApplicationInput, Create};
use certkeep_engine::preflight::{Check, Finding};
use certkeep_engine::{Invalid, UseCaseError};
use secrecy::{ExposeSecret, SecretString};

use super::failure::Card;
use super::form::Form;
use super::frame::{Frame, redirect, shown};
use super::providers::{Listed, listed};
use super::stop::{Stop, sentence};
use super::texts::Texts;
use super::visit::Visit;

/// Seconds after which a browser without script looks again at a preflight.
const AGAIN: u32 = 2;

#[derive(Template)]
#[template(path = "new_names.html")]
struct NamesPage<'a> {
    f: Frame<'a>,
    names: String,
    problem: Option<String>,
    ready: bool,
    text: String,
    providers: Vec<Listed>,
}

/// The first step: which names, and who keeps their DNS.
pub(super) async fn names(visit: &Visit<'_>) -> Result<Response, Stop> {
    visit.needs(Act::ChangeCertificates)?;
    let (texts, query) = (visit.texts, visit.query());
    let names = query.text("names").trim().to_owned();
    let problem = if names.is_empty() { None } else { asked(texts, &names).err() };
    let ready = !names.is_empty() && problem.is_none();
    let text = query.text("q").to_owned();
    let providers = listed(visit.engine(), &text).into_iter().filter(|provider| provider.served).collect();
    let f = visit.frame(texts.t("nav.new"), "new");
    shown(&NamesPage { f, names, problem, ready, text, providers })
}

/// Names as people write them: separated by commas, blanks or lines.
fn asked(texts: &Texts, text: &str) -> Result<Names, String> {
    let parts: Vec<&str> = text.split([',', ';', ' ', '\n', '\r', '\t']).filter(|part| !part.is_empty()).collect();
    Names::parse(&parts.join(",")).map_err(|error| texts.fill("new.no_name", &[("why", &error.to_string())]))
}

#[derive(Template)]
#[template(path = "new_parameters.html")]
struct ParametersPage<'a> {
    f: Frame<'a>,
    /// Where the form is posted to, and whether it changes an application that is there.
    action: String,
    changes: bool,
    provider: String,
    docs: Option<String>,
    names: String,
    names_query: String,
    fields: Vec<Field>,
    further: Vec<Field>,
    /// Whether one of the further fields has a problem.
    open: bool,
    problem: Option<String>,
}

/// A field of a provider's form.
struct Field {
    k: String,
    id: String,
    help: String,
    required: bool,
    secret: bool,
    /// Whether what is left empty stays as it is.
    kept: bool,
    boolean: bool,
    integer: bool,
    default: String,
    value: String,
    problem: Option<String>,
}

/// The second step: how to change that DNS.
pub(super) async fn parameters(visit: &Visit<'_>, flag: &str) -> Result<Response, Stop> {
    visit.needs(Act::ChangeCertificates)?;
    let names = visit.query().text("names").to_owned();
    if let Err(problem) = asked(visit.texts, &names) {
        tracing::debug!(problem, "no names to go on with");
        let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("names", &names).finish();
        return Err(Stop::Redirect(format!("/ui/new?{query}")));
    }
    form(visit, flag, &Form::default(), Purpose::Apply(&names), &HashMap::new(), None)
}

/// What a provider's form is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// A new application for these names.
    Apply(&'a str),
    /// Other parameters for the application of this entry, which is for these names.
    Change(CertificateId, &'a str),
}

pub(super) fn descriptor<'a>(visit: &'a Visit<'_>, flag: &str) -> Result<&'a Descriptor, Stop> {
    visit.engine().providers().descriptor(flag).filter(|descriptor| descriptor.served.is_ok()).ok_or(Stop::NotFound)
}

pub(super) fn form(
    visit: &Visit<'_>,
    flag: &str,
    given: &Form,
    purpose: Purpose<'_>,
    problems: &HashMap<String, String>,
    problem: Option<String>,
) -> Result<Response, Stop> {
    let (action, changes, names) = match purpose {
        Purpose::Apply(names) => (format!("/ui/new/{flag}"), false, names),
        Purpose::Change(id, names) => (format!("/ui/certificates/{}/access", id.0), true, names),
    };
    let descriptor = descriptor(visit, flag)?;
    let fields = descriptor.parameters.iter().filter(|parameter| !parameter.file);
    let (further, fields): (Vec<&Parameter>, Vec<&Parameter>) = fields.partition(|parameter| is_further(parameter));
    let field = |parameter: &Parameter| field(parameter, given, problems, changes);
    let fields: Vec<Field> = fields.into_iter().map(field).collect();
    let further: Vec<Field> = further.into_iter().map(field).collect();
    let title = if changes { "new.access_of" } else { "new.with" };
    let title = visit.texts.with(title, "provider", &descriptor.name);
    let f = visit.frame(title, if changes { "certificates" } else { "new" });
    shown(&ParametersPage {
        f,
        action,
        changes,
        provider: descriptor.name.clone(),
        docs: descriptor.docs.clone().filter(|url| url.starts_with("https://")),
        names: names.to_owned(),
        names_query: url::form_urlencoded::Serializer::new(String::new()).append_pair("names", names).finish(),
        open: further.iter().any(|field| field.problem.is_some()),
        fields,
        further,
        problem,
    })
}

/// What has a value that most leave as it is.
fn is_further(parameter: &Parameter) -> bool {
    !parameter.required && parameter.default.is_some() && parameter.kind != ParameterKind::String
}

fn field(parameter: &Parameter, given: &Form, problems: &HashMap<String, String>, changes: bool) -> Field {
    let name = format!("p.{}", parameter.k);
    Field {
        id: format!("p-{}", parameter.k),
        help: parameter.help.clone(),
        required: parameter.required,
        secret: parameter.secret,
        kept: changes && parameter.secret,
        boolean: parameter.kind == ParameterKind::Boolean,
        integer: parameter.kind == ParameterKind::Integer,
        default: match &parameter.default {
            Some(DefaultValue::Boolean(value)) => value.to_string(),
            Some(DefaultValue::Integer(value)) => value.to_string(),
            Some(DefaultValue::String(value)) => value.clone(),
            None => String::new(),
        },
        // A secret is never sent back.
        value: if parameter.secret { String::new() } else { given.text(&name).to_owned() },
        problem: problems.get(&parameter.k).cloned(),
        k: parameter.k.clone(),
    }
}

/// What was filled in, as the API would have it.
pub(super) fn input(descriptor: &Descriptor, given: &Form) -> ApplicationInput {
    let entries = descriptor.parameters.iter().filter_map(|parameter| {
        let value = given.secret(&format!("p.{}", parameter.k)).filter(|value| !value.expose_secret().is_empty())?;
        let value = match (parameter.kind, value.expose_secret()) {
            (ParameterKind::Boolean, text) => AuthValue::Boolean(text == "true"),
            _ => AuthValue::Text(SecretString::from(value.expose_secret().trim())),
        };
        Some(AuthEntry { k: parameter.k.clone(), value })
    });
    ApplicationInput { dns_provider: Some(descriptor.flag.clone()), auth: Some(entries.collect()) }
}

/// Tries the parameters, or applies with them at once.
pub(super) async fn check(visit: &Visit<'_>, flag: &str, given: &Form) -> Result<Response, Stop> {
    let visitor = visit.needs(Act::ChangeCertificates)?;
    let text = given.text("names");
    let names = match asked(visit.texts, text) {
        Ok(names) => names,
        Err(problem) => return form(visit, flag, given, Purpose::Apply(text), &HashMap::new(), Some(problem)),
    };
    let input = input(descriptor(visit, flag)?, given);
    let outcome = if given.text("go") == "apply" {
        begin(visit, names, input).await.map(Some)
    } else {
        let begun = visit.api.drafts.begin(visit.engine(), visitor.user.id, names, input);
        begun.map(|word| word.map(|word| format!("/ui/check/{word}")))
    };
    match outcome {
        Ok(Some(to)) => Ok(redirect(&to)),
        Ok(None) => {
            form(visit, flag, given, Purpose::Apply(text), &HashMap::new(), Some(visit.texts.t("new.too_many").to_owned()))
        }
        Err(UseCaseError::Invalid(problems)) => {
            let (by_field, problem) = told(visit, flag, problems);
            form(visit, flag, given, Purpose::Apply(text), &by_field, Some(problem))
        }
        Err(error @ (UseCaseError::Internal(_) | UseCaseError::Store(_))) => Err(error.into()),
        Err(error) => form(visit, flag, given, Purpose::Apply(text), &HashMap::new(), Some(sentence(visit.texts, &error))),
    }
}

/// Problems beside the fields that they are about, and a sentence for the others.
pub(super) fn told(visit: &Visit<'_>, flag: &str, problems: Vec<Invalid>) -> (HashMap<String, String>, String) {
    let by_field: HashMap<String, String> = problems.into_iter().map(|one| (one.field, one.message)).collect();
    let known = |k: &str| descriptor(visit, flag).is_ok_and(|all| all.parameters.iter().any(|one| one.k == k));
    let others = by_field.iter().filter(|(k, _)| !known(k)).map(|(k, message)| format!("{k}: {message}"));
    let others: Vec<String> = others.collect();
    let problem = if others.is_empty() { visit.texts.t("new.problems").to_owned() } else { others.join("; ") };
    (by_field, problem)
}

/// Adds the entry; answers its page.
async fn begin(visit: &Visit<'_>, names: Names, input: ApplicationInput) -> Result<String, UseCaseError> {
    let visitor = visit.known().ok_or(UseCaseError::NotFound)?;
    let created = visitor.acting(visit).create(Create::Apply { names, input }).await?;
    let id = visit.engine().certificate_named(&created.name).await?;
    Ok(format!("/ui/certificates/{}?done=applied", id.0))
}

#[derive(Template)]
#[template(path = "new_check.html")]
struct CheckPage<'a> {
    f: Frame<'a>,
    word: String,
    names: String,
    lines: Vec<Line>,
    over: bool,
    failed: bool,
    back: String,
}

/// One line of a preflight.
struct Line {
    tone: &'static str,
    check: String,
    about: String,
    took: String,
    seen: String,
    card: Option<Card>,
}

fn line(texts: &Texts, finding: &Finding) -> Line {
    let key = match finding.check {
        Check::Caa => "check.caa",
        Check::Credentials => "check.credentials",
        Check::Delegation => "check.delegation",
        Check::Directory => "check.directory",
        Check::Parameters => "check.parameters",
        Check::ProbeRemoved => "check.probe_removed",
        Check::ProbeSeen => "check.probe_seen",
        Check::ProbeWritten => "check.probe_written",
        Check::ZoneConfirmed => "check.zone_confirmed",
        Check::ZoneFound => "check.zone_found",
    };
    let failure = finding.outcome.as_ref().err();
    Line {
        tone: if failure.is_some() { "bad" } else { "ok" },
        check: texts.t(key).to_owned(),
        about: finding.about.clone(),
        took: format!("{} ms", finding.took.as_millis()),
        seen: finding.outcome.as_ref().cloned().unwrap_or_default(),
        card: failure.map(|failure| Card::of(texts, failure)),
    }
}

/// The third step: whether it can work, line by line.
pub(super) async fn checked(visit: &Visit<'_>, word: &str) -> Result<Response, Stop> {
    let visitor = visit.needs(Act::ChangeCertificates)?;
    let draft = visit.api.drafts.of(word, visitor.user.id).ok_or(Stop::NotFound)?;
    let (findings, over) = draft.findings();
    let names: Vec<&str> = draft.names.as_slice().iter().map(|name| name.as_str()).collect();
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("names", &names.join(", ")).finish();
    let mut f = visit.frame(visit.texts.t("check.title"), "new");
    f.refresh = (!over).then_some(AGAIN);
    shown(&CheckPage {
        f,
        word: word.to_owned(),
        names: names.join(", "),
        failed: findings.iter().any(|finding| finding.outcome.is_err()),
        lines: findings.iter().map(|finding| line(visit.texts, finding)).collect(),
        over,
        back: format!("/ui/new/{}?{query}", draft.input.dns_provider.as_deref().unwrap_or_default()),
    })
}

/// Applies with what was tried.
pub(super) async fn apply(visit: &Visit<'_>, word: &str) -> Result<Response, Stop> {
    let visitor = visit.needs(Act::ChangeCertificates)?;
    let draft = visit.api.drafts.of(word, visitor.user.id).ok_or(Stop::NotFound)?;
    let to = begin(visit, draft.names, draft.input).await?;
    visit.api.drafts.forget(word);
    Ok(redirect(&to))
}
