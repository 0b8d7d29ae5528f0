//! What all pages have in common: navigation, words, and the headers that keep a page from being abused.
use askama::Template;
use axum::body::Body;
use axum::response::Response;
use certkeep_core::people::Act;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderValue, StatusCode};

use super::assets::{Assets, assets};
use super::stop::Stop;
use super::texts::Texts;
use super::visitor::Visitor;

/// Nothing but what certkeep itself serves; no frame around it, no script or style in the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every page's template gets as `f`.
pub(super) struct Frame<'a> {
    /// The words.
    pub(super) texts: &'static Texts,
    /// Of this page.
    pub(super) title: String,
    /// The place in the navigation.
    pub(super) here: &'static str,
    /// Who looks; nobody before the login.
    pub(super) visitor: Option<&'a Visitor>,
    /// For the forms.
    pub(super) csrf: &'a str,
    /// What was done just now.
    pub(super) notice: Option<String>,
    /// After how many seconds a browser without script loads the page again.
    pub(super) refresh: Option<u32>,
    /// Script and style.
    pub(super) assets: &'static Assets,
}

/// A place in the navigation.
pub(super) struct Place {
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    pub(super) href: &'static str,
    act: Act,
    /// Whether a line stands above it.
    pub(super) begins: bool,
}

const fn place(key: &'static str, label: &'static str, href: &'static str, act: Act, begins: bool) -> Place {
    Place { key, label, href, act, begins }
}

const PLACES: [Place; 11] = [
    place("today", "nav.today", "/", Act::ReadInventory, false),
    place("certificates", "nav.certificates", "/ui/certificates", Act::ReadInventory, false),
    place("new", "nav.new", "/ui/new", Act::ChangeCertificates, false),
    place("upload", "nav.upload", "/ui/upload", Act::ChangeCertificates, false),
    place("trusted", "nav.trusted", "/ui/trusted", Act::ReadInventory, false),
    place("providers", "nav.providers", "/ui/providers", Act::ReadInventory, true),
    place("cas", "nav.cas", "/ui/cas", Act::ReadInventory, false),
    place("clients", "nav.clients", "/ui/clients", Act::ManageClients, true),
    place("users", "nav.users", "/ui/users", Act::ManageUsers, false),
    place("audit", "nav.audit", "/ui/audit", Act::ReadAudit, false),
    place("settings", "nav.settings", "/ui/settings", Act::ReadInventory, false),
];

impl<'a> Frame<'a> {
    pub(super) fn new(texts: &'static Texts, title: String, here: &'static str, visitor: Option<&'a Visitor>) -> Frame<'a> {
        let csrf = visitor.map_or("", |visitor| visitor.csrf.as_str());
        Frame { texts, title, here, visitor, csrf, notice: None, refresh: None, assets: assets() }
    }

    /// The text of a key.
    pub(super) fn t<'k>(&self, key: &'k str) -> &'k str {
        self.texts.t(key)
    }

    /// Whether the visitor may do this.
    pub(super) fn may(&self, act: Act) -> bool {
        self.visitor.is_some_and(|visitor| visitor.may(act))
    }

    /// Whether the visitor may change certificates.
    pub(super) fn may_change(&self) -> bool {
        self.may(Act::ChangeCertificates)
    }

    /// The places that the visitor may go to.
    pub(super) fn places(&self) -> impl Iterator<Item = &'static Place> + '_ {
        PLACES.iter().filter(|place| self.may(place.act))
    }
}

/// A page.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Result<Response, Stop> {
    let html = template.render().map_err(|error| Stop::Fault(error.to_string()))?;
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    guard(&mut response);
    Ok(response)
}

/// A page as usual.
pub(super) fn shown(template: &impl Template) -> Result<Response, Stop> {
    page(StatusCode::OK, template)
}

/// Sends the browser on, after a form was posted.
pub(super) fn redirect(to: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    guard(&mut response);
    response
}

/// A file to be saved.
pub(super) fn download(kind: &'static str, name: &str, content: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(content));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' }).collect();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{plain}\"")) {
        headers.insert(http::header::CONTENT_DISPOSITION, value);
    }
    guard(&mut response);
    response
}

/// The headers of every answer.
fn guard(response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
