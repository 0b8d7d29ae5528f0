//! The multipart form of `certificate/upload` (contract §4.5).
use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use certkeep_core::certificate::Kind;
use certkeep_engine::inventory::MAX_UPLOAD;
use http::request::Parts;
use secrecy::{SecretSlice, SecretString};

use super::body;
use super::commands;
use crate::http::envelope::{ErrCode, InvalidParam, Refused};

/// How much the form may have beside the file, in octets: boundaries, headers, type and password.
const FORM: usize = 64 << 10;

/// What the form holds.
pub(crate) struct Form {
    pub(crate) kind: Kind,
    /// As the client sent it, perhaps with a path.
    pub(crate) file_name: String,
    pub(crate) content: SecretSlice<u8>,
    pub(crate) password: Option<SecretString>,
}

/// Reads the form; its parts may stand in any order, and others are ignored.
///
/// # Errors
/// 40004 for a file or form that is too large, 40001 for what is no form, 40002 for parts that are missing or wrong.
pub(crate) async fn read(parts: &Parts, body: &mut Body) -> Result<Form, Refused> {
    let octets = body::read(body, MAX_UPLOAD + FORM).await?;
    let mut request = Request::new(Body::from(octets));
    if let Some(content_type) = parts.headers.get(http::header::CONTENT_TYPE) {
        request.headers_mut().insert(http::header::CONTENT_TYPE, content_type.clone());
    }
    let malformed = |why: String| Refused::syntax(InvalidParam::saying(why));
    let mut multipart = Multipart::from_request(request, &()).await.map_err(|e| malformed(e.body_text()))?;
    let (mut word, mut file, mut password) = (None, None, None);
    while let Some(field) = multipart.next_field().await.map_err(|e| malformed(e.body_text()))? {
        let name = field.name().unwrap_or_default().to_owned();
        let file_name = field.file_name().unwrap_or_default().to_owned();
        let octets = field.bytes().await.map_err(|e| malformed(e.body_text()))?;
        match name.as_str() {
            "file" => file = Some((file_name, octets)),
            "password" => password = Some(text("password", &octets)?),
            "type" => word = Some(text("type", &octets)?),
            _ => {}
        }
    }
    let mut missing = Vec::new();
    if word.is_none() {
        missing.push(InvalidParam::of("type", "required"));
    }
    let kind = word.as_deref().and_then(|word| commands::kind(word.trim()));
    if word.is_some() && kind.is_none() {
        missing.push(InvalidParam::of("type", "oneof"));
    }
    if file.is_none() {
        missing.push(InvalidParam::of("file", "required"));
    }
    let (Some(kind), Some((file_name, content))) = (kind, file) else {
        return Err(Refused::new(ErrCode::ParameterError).invalid(missing));
    };
    if content.len() > MAX_UPLOAD {
        return Err(Refused::new(ErrCode::FileSizeExceeded));
    }
    let password = password.filter(|password| !password.is_empty()).map(SecretString::from);
    Ok(Form { kind, file_name, content: content.to_vec().into(), password })
}

fn text(part: &str, octets: &[u8]) -> Result<String, Refused> {
    let text = std::str::from_utf8(octets).map_err(|_| Refused::syntax(InvalidParam::of(part, "encoding")))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A form whose file bears this name, as clients write it.
    fn form(file_name: &[u8]) -> Vec<u8> {
        let mut form = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"".to_vec();
        form.extend_from_slice(file_name);
        form.extend_from_slice(b"\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nserver\r\n--b--\r\n");
        form
    }

    fn read_octets(octets: Vec<u8>) -> Result<Form, Refused> {
        let request = Request::builder().header("content-type", "multipart/form-data; boundary=b").body(()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(read(&request.into_parts().0, &mut Body::from(octets)))
    }

    #[test]
    fn a_file_name_is_taken_as_it_was_sent() {
        for name in ["a.pem", "../../etc/passwd", "C:\\x\\y.pem", "bücher.pem", "a b;c.pem"] {
            assert_eq!(read_octets(form(name.as_bytes())).ok().unwrap().file_name, name);
        }
    }

    proptest! {
        #[test]
        fn any_file_name_is_read_or_refused(name in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_octets(form(&name));
        }

        #[test]
        fn any_octets_are_a_form_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read_octets(octets).is_err());
        }
    }
}
