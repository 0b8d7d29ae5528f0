//! *Upload*: a file is taken apart and told of before anything of it is kept.
use askama::Template;
use axum::response::Response;
use certkeep_core::certificate::Kind;
use certkeep_core::material::{Diagnosis, Remark};
use certkeep_core::people::Act;
use certkeep_engine::inventory::Create;
use secrecy::ExposeSecret;

use super::certificate::{Drawn, drawn};
use super::form::{File, Form};
use super::frame::{Frame, redirect, shown};
use super::stop::{Stop, sentence};
use super::texts::Texts;
use super::visit::Visit;

#[derive(Template)]
#[template(path = "upload.html")]
struct Page<'a> {
    f: Frame<'a>,
    trusted: bool,
    problem: Option<String>,
    found: Option<Found>,
}

/// What is in the file.
struct Found {
    file: String,
    good: bool,
    verdict: String,
    next: String,
    certificates: Vec<Drawn>,
    keys: String,
    remarks: Vec<(&'static str, String)>,
}

pub(super) async fn show(visit: &Visit<'_>) -> Result<Response, Stop> {
    visit.needs(Act::ChangeCertificates)?;
    let trusted = visit.query().text("kind") == "trusted";
    shown(&Page { f: visit.frame(visit.texts.t("nav.upload"), "upload"), trusted, problem: None, found: None })
}

pub(super) async fn take(visit: &Visit<'_>, form: Form) -> Result<Response, Stop> {
    let kind = if form.text("kind") == "trusted" { Kind::Trusted } else { Kind::Server };
    let act = if kind == Kind::Trusted { Act::ChangeTrusted } else { Act::ChangeCertificates };
    let visitor = visit.needs(act)?;
    let texts = visit.texts;
    let keep = form.text("go") == "keep";
    let password = form.secret("password").filter(|word| !word.expose_secret().is_empty()).cloned();
    let page = |problem, found| {
        let f = visit.frame(texts.t("nav.upload"), "upload");
        shown(&Page { f, trusted: kind == Kind::Trusted, problem, found })
    };
    let Some(File { name, content }) = form.into_file() else {
        return page(Some(texts.t("upload.no_file").to_owned()), None);
    };
    let diagnosis = visit.engine().diagnose(kind, content.clone(), password.clone()).await?;
    if !keep || diagnosis.verdict.is_err() {
        return page(None, Some(found(texts, &name, &diagnosis)));
    }
    let kept = async {
        let acting = visitor.acting(visit);
        let upload = acting.upload(kind, &name, content, password).await?;
        let command = match kind {
            Kind::Server => Create::Serve { upload, renewal: None },
            Kind::Trusted => Create::Trust { upload },
        };
        let created = acting.create(command).await?;
        visit.engine().certificate_named(&created.name).await
    };
    match kept.await {
        Ok(id) => Ok(redirect(&format!("/ui/certificates/{}?done=uploaded", id.0))),
        Err(error) => page(Some(sentence(texts, &error)), Some(found(texts, &name, &diagnosis))),
    }
}

fn found(texts: &Texts, file: &str, diagnosis: &Diagnosis) -> Found {
    let (good, verdict, next) = match &diagnosis.verdict {
        Ok(chain) => (true, texts.count("upload.good", chain.len() as u64), texts.t("upload.good_next").to_owned()),
        Err(refusal) => {
            let word = refusal.validation_type();
            let what = texts.find(&format!("refusal.{word}.what")).map_or_else(|| refusal.to_string(), str::to_owned);
            (false, what, texts.find(&format!("refusal.{word}.next")).unwrap_or_default().to_owned())
        }
    };
    let remark = |remark: &Remark| match remark {
        Remark::IssuerMissing { subject, issuer } => {
            ("warn", texts.fill("remark.issuer", &[("subject", subject), ("issuer", issuer)]))
        }
        Remark::KeyFits(subject) => ("ok", texts.fill("remark.key", &[("subject", subject)])),
        Remark::OutOfOrder => ("info", texts.t("remark.order").to_owned()),
        Remark::RootIncluded(subject) => ("info", texts.fill("remark.root", &[("subject", subject)])),
    };
    let chain = diagnosis.verdict.as_ref().unwrap_or(&diagnosis.certificates);
    Found {
        file: file.to_owned(),
        good,
        verdict,
        next,
        certificates: drawn(texts, chain),
        keys: texts.count("upload.keys", diagnosis.keys as u64),
        remarks: diagnosis.remarks.iter().map(remark).collect(),
    }
}
