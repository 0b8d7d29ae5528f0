//! What a form holds. Every value may be a secret: none has a `Debug`.
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use certkeep_engine::inventory::MAX_UPLOAD;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use zeroize::Zeroizing;

use super::stop::Stop;

/// Largest form without a file, in octets.
const MAX_FORM: usize = 256 << 10;
/// How much a form with a file may have besides.
const BESIDES: usize = 64 << 10;
/// How long a form may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// The fields of a form, in the order given.
#[derive(Default)]
pub(super) struct Form {
    fields: Vec<(String, SecretString)>,
    file: Option<File>,
}

/// A file that was sent along.
pub(super) struct File {
    /// As the browser calls it.
    pub(super) name: String,
    /// Its octets.
    pub(super) content: SecretSlice<u8>,
}

impl Form {
    /// Reads a form, as browsers send it.
    pub(super) async fn read(parts: &Parts, body: &mut Body) -> Result<Form, Stop> {
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("multipart/form-data") {
            let octets = octets(body, MAX_UPLOAD + BESIDES).await?;
            let mut request = Request::new(Body::from(octets));
            request.headers_mut().extend(parts.headers.get(CONTENT_TYPE).map(|kind| (CONTENT_TYPE, kind.clone())));
            return Form::of_parts(request).await.map_err(|_| Stop::BadForm);
        }
        let octets = Zeroizing::new(octets(body, MAX_FORM).await?);
        Ok(Form::parse(&octets))
    }

    /// A form with these values.
    pub(super) fn of(fields: Vec<(String, SecretString)>) -> Form {
        Form { fields, file: None }
    }

    /// Reads a query or the body of a form.
    pub(super) fn parse(octets: &[u8]) -> Form {
        let fields = url::form_urlencoded::parse(octets);
        Form { fields: fields.map(|(k, v)| (k.into_owned(), v.into_owned().into())).collect(), file: None }
    }

    async fn of_parts(request: Request) -> Result<Form, axum::Error> {
        let mut form = Form::default();
        let mut parts = Multipart::from_request(request, &()).await.map_err(axum::Error::new)?;
        while let Some(part) = parts.next_field().await.map_err(axum::Error::new)? {
            let name = part.name().unwrap_or_default().to_owned();
            let file_name = part.file_name().map(str::to_owned);
            let octets = part.bytes().await.map_err(axum::Error::new)?;
            match file_name {
                Some(name) => form.file = Some(File { name, content: octets.to_vec().into() }),
                None => form.fields.push((name, String::from_utf8_lossy(&octets).into_owned().into())),
            }
        }
        Ok(form)
    }

    /// The value of a field; empty where there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.secret(name).map_or("", |value| value.expose_secret())
    }

    /// The value of a field without blanks around it, unless it is empty.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty())
    }

    /// The value of a field that is a secret.
    pub(super) fn secret(&self, name: &str) -> Option<&SecretString> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The file, if one was sent.
    pub(super) fn into_file(self) -> Option<File> {
        self.file.filter(|file| !file.content.expose_secret().is_empty())
    }
}

async fn octets(body: &mut Body, limit: usize) -> Result<Vec<u8>, Stop> {
    let reading = Limited::new(body, limit).collect();
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(Ok(read)) => Ok(read.to_bytes().to_vec()),
        Ok(Err(_)) => Err(Stop::TooLarge),
        Err(_) => Err(Stop::BadForm),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_write_them() {
        let form = Form::parse(b"name=a+b%26c&empty=&name=second");
        assert_eq!((form.text("name"), form.filled("empty"), form.text("absent")), ("a b&c", None, ""));
    }
}
