//! An answer that never comes: the connection ends in its place.
use std::io;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::stream;

/// A response that has the server break the connection off instead of ending the answer.
pub(crate) fn hang_up() -> Response {
    let gone = stream::once(async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionAborted)) });
    Response::new(Body::from_stream(gone))
}
