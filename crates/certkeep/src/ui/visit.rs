//! One request for a page, and who makes it.
use std::net::IpAddr;

use certkeep_core::certificate::CertificateId;
use certkeep_core::people::Act;
use certkeep_engine::Engine;
use http::header::{HOST, ORIGIN};
use http::request::Parts;
use jiff::Timestamp;

use super::form::Form;
use super::frame::Frame;
use super::stop::Stop;
use super::texts::Texts;
use super::visitor::Visitor;
use crate::http::Api;

/// A request for a page.
pub(super) struct Visit<'a> {
    /// What pages work with.
    pub(super) api: &'a Api,
    /// Where it came from.
    pub(super) caller: IpAddr,
    /// Whether it came over HTTPS.
    pub(super) secure: bool,
    /// Its head.
    pub(super) parts: &'a Parts,
    /// The words that the browser asks for.
    pub(super) texts: &'static Texts,
    visitor: Option<Visitor>,
}

impl<'a> Visit<'a> {
    /// Finds out who visits.
    pub(super) async fn of(api: &'a Api, caller: IpAddr, secure: bool, parts: &'a Parts) -> Visit<'a> {
        let visitor = Visitor::of(&api.engine, secure, &parts.headers).await;
        Visit { api, caller, secure, parts, texts: Texts::wanted(&parts.headers), visitor }
    }

    /// The use cases.
    pub(super) fn engine(&self) -> &Engine {
        &self.api.engine
    }

    /// The present instant.
    pub(super) fn now(&self) -> Timestamp {
        self.api.clock.now()
    }

    /// Who visits, if anybody is logged in.
    pub(super) fn known(&self) -> Option<&Visitor> {
        self.visitor.as_ref()
    }

    /// Who visits.
    pub(super) fn visitor(&self) -> Result<&Visitor, Stop> {
        self.visitor.as_ref().ok_or(Stop::Login)
    }

    /// Refuses a visitor who may not do this.
    pub(super) fn needs(&self, act: Act) -> Result<&Visitor, Stop> {
        let visitor = self.visitor()?;
        if visitor.may(act) { Ok(visitor) } else { Err(Stop::Forbidden) }
    }

    /// The frame of a page with this title.
    pub(super) fn frame(&self, title: impl Into<String>, here: &'static str) -> Frame<'_> {
        let mut frame = Frame::new(self.texts, title.into(), here, self.known());
        let query = self.query();
        // Only what we know ourselves is shown: a link must not put words into the page.
        frame.notice = query.filled("done").and_then(|done| self.texts.find(&format!("done.{done}"))).map(str::to_owned);
        frame
    }

    /// The fields of the query.
    pub(super) fn query(&self) -> Form {
        Form::parse(self.parts.uri.query().unwrap_or_default().as_bytes())
    }

    /// Refuses a form that a page of somebody else's has sent. Browsers say where a form comes from; who says nothing is
    /// no browser, and has no cookie of somebody else's.
    pub(super) fn is_from_here(&self) -> Result<(), Stop> {
        let header = |name: &str| self.parts.headers.get(name).and_then(|value| value.to_str().ok());
        if header("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
            return Err(Stop::Foreign);
        }
        let host = header(HOST.as_str()).or_else(|| self.parts.uri.authority().map(|authority| authority.as_str()));
        let origin = header(ORIGIN.as_str());
        let is_ours = |origin: &str| origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host);
        if origin.is_none_or(is_ours) { Ok(()) } else { Err(Stop::Foreign) }
    }

    /// Refuses a form that was not made for this session.
    pub(super) fn has_token(&self, form: &Form) -> Result<(), Stop> {
        let visitor = self.visitor()?;
        let header = self.parts.headers.get("x-csrf-token").and_then(|value| value.to_str().ok());
        let given = Some(form.text("csrf")).filter(|given| !given.is_empty()).or(header);
        if given.is_some_and(|given| visitor.has_given(given)) { Ok(()) } else { Err(Stop::Foreign) }
    }
}

/// The number of an entry in a path.
pub(super) fn number(segment: &str) -> Result<CertificateId, Stop> {
    segment.parse().map(CertificateId).map_err(|_| Stop::NotFound)
}
