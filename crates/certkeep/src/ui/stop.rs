//! Why a request ends without the page it asked for.
use askama::Template;
use axum::response::{IntoResponse, Response};
use certkeep_core::ports::StoreError;
use certkeep_engine::UseCaseError;
use http::StatusCode;

use super::frame::{Frame, page, redirect};
use super::texts::Texts;
use super::visit::Visit;

/// Why a request ends early.
pub(super) enum Stop {
    /// The form cannot be read, or did not arrive.
    BadForm,
    /// The engine did not do as asked.
    Engine(UseCaseError),
    /// A fault of ours, for the log.
    Fault(String),
    /// The form was not sent by a page of ours, or one of another session.
    Foreign,
    /// The visitor's role does not allow it.
    Forbidden,
    /// Nobody is logged in.
    Login,
    /// The method is none of those that pages have.
    Method,
    /// There is no such page.
    NotFound,
    /// Somewhere else, after a form was posted.
    Redirect(String),
    /// The file or form is too large.
    TooLarge,
}

impl From<UseCaseError> for Stop {
    fn from(error: UseCaseError) -> Stop {
        match error {
            UseCaseError::Forbidden(_) => Stop::Forbidden,
            UseCaseError::NotFound => Stop::NotFound,
            other => Stop::Engine(other),
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Engine(UseCaseError::Store(error))
    }
}

#[derive(Template)]
#[template(path = "stop.html")]
struct StopPage<'a> {
    f: Frame<'a>,
    what: String,
    next: String,
}

impl Stop {
    /// The answer.
    pub(super) fn response(self, visit: &Visit<'_>) -> Response {
        if let Stop::Redirect(to) = self {
            return redirect(&to);
        }
        if matches!(self, Stop::Login) {
            return redirect("/login");
        }
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(path = visit.parts.uri.path(), fault = self.fault(), "a page cannot be shown");
        }
        let texts = visit.texts;
        let key = self.key();
        let what = match &self {
            Stop::Engine(error) => sentence(texts, error),
            _ => texts.t(&format!("stop.{key}.what")).to_owned(),
        };
        let next = texts.t(&format!("stop.{key}.next")).to_owned();
        let f = Frame::new(texts, texts.t("stop.title").to_owned(), "", visit.known());
        page(status, &StopPage { f, what, next }).unwrap_or_else(|_| (status, "certkeep cannot show this page\n").into_response())
    }

    fn status(&self) -> StatusCode {
        match self {
            Stop::BadForm => StatusCode::BAD_REQUEST,
            Stop::Engine(error) => status(error),
            Stop::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Stop::Foreign | Stop::Forbidden => StatusCode::FORBIDDEN,
            Stop::Login | Stop::Redirect(_) => StatusCode::SEE_OTHER,
            Stop::Method => StatusCode::METHOD_NOT_ALLOWED,
            Stop::NotFound => StatusCode::NOT_FOUND,
            Stop::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    fn key(&self) -> &'static str {
        match self {
            Stop::BadForm => "form",
            Stop::Engine(error) if status(error).is_server_error() => "fault",
            Stop::Engine(_) => "refused",
            Stop::Fault(_) => "fault",
            Stop::Foreign => "foreign",
            Stop::Forbidden => "forbidden",
            Stop::Login | Stop::Redirect(_) => "form",
            Stop::Method => "form",
            Stop::NotFound => "missing",
            Stop::TooLarge => "large",
        }
    }

    fn fault(&self) -> String {
        match self {
            Stop::Engine(error) => {
                let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
                format!("{error}{source}")
            }
            Stop::Fault(fault) => fault.clone(),
            _ => String::new(),
        }
    }
}

fn status(error: &UseCaseError) -> StatusCode {
    match error {
        UseCaseError::Internal(_) | UseCaseError::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        UseCaseError::NotFound | UseCaseError::UploadNotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    }
}

/// What the engine says, for people.
pub(super) fn sentence(texts: &Texts, error: &UseCaseError) -> String {
    match error {
        UseCaseError::Busy => texts.t("refused.busy").to_owned(),
        UseCaseError::Duplicate(name) => texts.fill("refused.duplicate", &[("name", name)]),
        UseCaseError::InUse => texts.t("refused.in_use").to_owned(),
        UseCaseError::Invalid(problems) => {
            let each: Vec<String> = problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
            each.join("; ")
        }
        UseCaseError::LimitReached { limit, .. } => texts.fill("refused.limit", &[("n", &limit.to_string())]),
        UseCaseError::NotFound | UseCaseError::UploadNotFound => texts.t("stop.missing.what").to_owned(),
        UseCaseError::TooManyUploads(_) => texts.t("refused.uploads").to_owned(),
        _ => texts.t("stop.fault.what").to_owned(),
    }
}
