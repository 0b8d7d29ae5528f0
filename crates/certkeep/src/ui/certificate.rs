//! One certificate: what it holds, how it came, what is planned, and what can be done with it.
use askama::Template;
use axum::response::Response;
use certkeep_core::application::{Application, AuthValue};
use certkeep_core::certificate::{ApplyStatus, Certificate, Origin, Role};
use certkeep_core::failure::Failure;
use certkeep_core::material::{Described, described};
use certkeep_core::outline::Outline;
use certkeep_core::people::Act;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::certificates::state;
use super::failure::Card;
use super::frame::{Frame, download, redirect, shown};
use super::issuing::Run;
use super::stop::Stop;
use super::texts::Texts;
use super::visit::{Visit, number};
use super::when;

/// Seconds after which a browser without script looks again at what is under way.
const AGAIN: u32 = 3;

#[derive(Template)]
#[template(path = "certificate.html")]
struct Page<'a> {
    f: Frame<'a>,
    id: i64,
    issue_to: String,
    tone: &'static str,
    state: String,
    /// Label and value of each fact.
    facts: Vec<(String, String)>,
    explanation: Option<String>,
    names: Vec<String>,
    parameters: Vec<(String, String)>,
    chain: Vec<Drawn>,
    failure: Option<Card>,
    runs: Vec<Run>,
    under_way: bool,
    can_renew: bool,
    has_key: bool,
    may_export: bool,
    is_trusted: bool,
}

/// A certificate of the chain.
pub(super) struct Drawn {
    pub(super) place: String,
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) key: String,
    pub(super) from: String,
    pub(super) until: String,
    pub(super) serial: String,
    pub(super) fingerprint: String,
    pub(super) names: String,
}

/// The certificates of a chain, the leaf first.
pub(super) fn drawn(texts: &Texts, chain: &[Described]) -> Vec<Drawn> {
    let place = |position: usize, one: &Described| match (position, one.is_self_issued, one.is_ca) {
        (0, _, false) => "chain.leaf",
        (_, true, _) => "chain.root",
        _ => "chain.intermediate",
    };
    let each = chain.iter().enumerate().map(|(position, one)| Drawn {
        place: texts.t(place(position, one)).to_owned(),
        subject: one.subject.clone(),
        issuer: one.issuer.clone(),
        key: one.key.clone(),
        from: when::day(one.facts.held.validity.not_before),
        until: when::day(one.facts.held.validity.not_after),
        serial: one.serial.clone(),
        fingerprint: one.fingerprint.clone(),
        names: one.facts.dns_names.join(", "),
    });
    each.collect()
}

pub(super) async fn show(visit: &Visit<'_>, id: &str) -> Result<Response, Stop> {
    let (id, texts, now, engine) = (number(id)?, visit.texts, visit.now(), visit.engine());
    let outline = engine.outline(id).await?;
    let entry = engine.certificate(id).await?;
    let issuances = engine.issuances(id).await?;
    let failure = engine.last_failure(id).await?;
    let chain = match outline.validity {
        Some(_) => drawn(texts, &described(&engine.held_version(id).await?.chain)),
        None => Vec::new(),
    };
    let (tone, word) = state(texts, &outline, now);
    let under_way = outline.status == Some(ApplyStatus::Issuing);
    let server = match &entry.role {
        Role::Server(server) => Some(server.as_ref()),
        Role::Trusted => None,
    };
    let application = server.and_then(|server| server.application.as_ref());
    let served = engine.https_certificate() == outline.name;
    let mut f = visit.frame(outline.issue_to.clone(), if server.is_some() { "certificates" } else { "trusted" });
    f.refresh = under_way.then_some(AGAIN);
    let is_failed = outline.status == Some(ApplyStatus::IssuanceFail);
    shown(&Page {
        id: id.0,
        tone,
        state: word,
        facts: facts(texts, &outline, &entry, served, now),
        explanation: outline.explanation.clone().filter(|url| url.starts_with("https://")),
        names: application.map(|asked| asked.names.as_slice().iter().map(ToString::to_string).collect()).unwrap_or_default(),
        parameters: application.map(|asked| parameters(visit, asked)).unwrap_or_default(),
        failure: failure.filter(|_| is_failed).map(|failure| card(texts, &failure, &outline, now)),
        runs: issuances.iter().map(|issuance| Run::of(texts, issuance)).collect(),
        under_way,
        can_renew: application.is_some() && !under_way && f.may(Act::ChangeCertificates),
        has_key: server.is_some() && !chain.is_empty(),
        may_export: f.may(Act::ExportKeys),
        is_trusted: server.is_none(),
        chain,
        issue_to: outline.issue_to,
        f,
    })
}

fn card(texts: &Texts, failure: &Failure, outline: &Outline, now: Timestamp) -> Card {
    let again = match outline.next_issuance {
        Some(next) => texts.fill("card.again", &[("when", &when::distance(texts, next.max(now), now))]),
        None => texts.t("card.never").to_owned(),
    };
    Card { again: Some(again), ..Card::of(texts, failure) }
}

fn facts(texts: &Texts, outline: &Outline, entry: &Certificate, served: bool, now: Timestamp) -> Vec<(String, String)> {
    let mut facts = vec![(texts.t("fact.file").to_owned(), outline.name.clone())];
    let mut add = |key: &str, value: String| facts.push((texts.t(key).to_owned(), value));
    if let Role::Server(server) = &entry.role {
        add("fact.origin", texts.t(if server.origin == Origin::Apply { "origin.apply" } else { "origin.upload" }).to_owned());
    }
    if let Some(validity) = outline.validity {
        let end = format!("{} ({})", when::minute(validity.not_after), when::distance(texts, validity.not_after, now));
        add("fact.from", when::minute(validity.not_before));
        add("fact.until", end);
    }
    match outline.next_issuance {
        Some(next) => add("fact.next", format!("{} ({})", when::minute(next), when::distance(texts, next.max(now), now))),
        None if outline.status == Some(ApplyStatus::IssuanceSuccess) => add("fact.next", texts.t("fact.no_next").to_owned()),
        None => {}
    }
    if let Some(window) = outline.window {
        add("fact.window", format!("{} – {}", when::minute(window.start()), when::minute(window.end())));
    }
    if served {
        add("fact.used", texts.t("fact.used_here").to_owned());
    }
    facts
}

/// Provider and parameters; what is secret is not shown, to nobody.
fn parameters(visit: &Visit<'_>, asked: &Application) -> Vec<(String, String)> {
    let descriptor = visit.engine().providers().descriptor(&asked.dns_provider);
    let name = descriptor.map_or(asked.dns_provider.as_str(), |descriptor| descriptor.name.as_str());
    let mut all = vec![(visit.texts.t("fact.provider").to_owned(), name.to_owned())];
    for entry in &asked.auth {
        let parameter = descriptor.and_then(|descriptor| descriptor.parameter(&entry.k));
        let value = match &entry.value {
            AuthValue::Boolean(value) => value.to_string(),
            AuthValue::Integer(value) => value.to_string(),
            AuthValue::Text(text) if parameter.is_some_and(|parameter| !parameter.secret) => text.expose_secret().to_owned(),
            AuthValue::Text(_) => "••••••".to_owned(),
        };
        all.push((parameter.map_or(entry.k.as_str(), |parameter| parameter.k.as_str()).to_owned(), value));
    }
    all
}

pub(super) async fn chain(visit: &Visit<'_>, id: &str) -> Result<Response, Stop> {
    let id = number(id)?;
    let entry = visit.engine().certificate(id).await?;
    let version = visit.engine().held_version(id).await?;
    Ok(download("application/x-pem-file", &entry.name, version.chain.to_pem().into_bytes()))
}

pub(super) async fn renew(visit: &Visit<'_>, id: &str) -> Result<Response, Stop> {
    let id = number(id)?;
    visit.needs(Act::ChangeCertificates)?.acting(visit).renew(id).await?;
    Ok(redirect(&format!("/ui/certificates/{}?done=renewing", id.0)))
}

pub(super) async fn key(visit: &Visit<'_>, id: &str) -> Result<Response, Stop> {
    let id = number(id)?;
    let visitor = visit.needs(Act::ExportKeys)?;
    let entry = visit.engine().certificate(id).await?;
    let version = visitor.acting(visit).export(id).await?;
    let key = version.key.ok_or(Stop::NotFound)?.to_pem();
    let both = Zeroizing::new(key.expose_secret().to_owned() + &version.chain.to_pem());
    Ok(download("application/x-pem-file", &entry.name, both.as_bytes().to_vec()))
}

#[derive(Template)]
#[template(path = "delete.html")]
struct Consequences<'a> {
    f: Frame<'a>,
    id: i64,
    name: String,
    sentences: Vec<String>,
    refused: Option<String>,
}

pub(super) async fn consequences(visit: &Visit<'_>, id: &str) -> Result<Response, Stop> {
    visit.needs(Act::ChangeCertificates)?;
    let (id, texts, engine) = (number(id)?, visit.texts, visit.engine());
    let entry = engine.certificate(id).await?;
    let mut sentences = vec![texts.fill("delete.gone", &[("name", &entry.name)])];
    if let Role::Server(server) = &entry.role {
        if entry.held.is_some() {
            sentences.push(texts.t("delete.key").to_owned());
            sentences.push(texts.t("delete.valid").to_owned());
        }
        if server.auto_renewal {
            sentences.push(texts.t("delete.renewal").to_owned());
        }
    } else {
        sentences.push(texts.t("delete.trust").to_owned());
    }
    let is_busy = matches!(&entry.role, Role::Server(server) if server.status == ApplyStatus::Issuing);
    let refused = if engine.https_certificate() == entry.name {
        Some(texts.t("refused.in_use").to_owned())
    } else {
        is_busy.then(|| texts.t("refused.busy").to_owned())
    };
    let f = visit.frame(texts.t("delete.title"), "certificates");
    shown(&Consequences { f, id: id.0, name: entry.name.clone(), sentences, refused })
}

pub(super) async fn delete(visit: &Visit<'_>, id: &str) -> Result<Response, Stop> {
    let id = number(id)?;
    let entry = visit.engine().certificate(id).await?;
    let is_server = matches!(entry.role, Role::Server(_));
    let act = if is_server { Act::ChangeCertificates } else { Act::ChangeTrusted };
    visit.needs(act)?.acting(visit).delete(id).await?;
    Ok(redirect(if is_server { "/ui/certificates?done=deleted" } else { "/ui/trusted?done=deleted" }))
}
