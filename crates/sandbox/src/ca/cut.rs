//! Answers that break off.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::Response;
use futures::stream;

/// The answer without its body: whoever reads it meets a broken connection.
pub(super) fn answer(response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let broken = io::Error::other("a fault was asked for");
    Response::from_parts(parts, Body::from_stream(stream::iter([Err::<Bytes, _>(broken)])))
}
