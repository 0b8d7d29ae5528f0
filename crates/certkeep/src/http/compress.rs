//! gzip for answers that are worth it.
use std::io::Write;

use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderValue};

use super::envelope;

/// Smallest body that is compressed, in octets: a smaller one fits a packet or two either way.
const WORTH_IT: usize = 1024;
/// From this size on, in octets, compressing is kept off the threads that answer requests.
const TAKES_LONG: usize = 64 << 10;

/// The answer, compressed where the request asks for it and the size pays.
pub(super) async fn response(request: &HeaderMap, octets: Bytes) -> Response {
    if octets.len() < WORTH_IT {
        return envelope::response(octets);
    }
    let compressed = if !accepts_gzip(request) {
        None
    } else if octets.len() < TAKES_LONG {
        gzip(&octets)
    } else {
        let given = octets.clone();
        tokio::task::spawn_blocking(move || gzip(&given)).await.ok().flatten()
    };
    let is_compressed = compressed.is_some();
    let mut response = match compressed {
        Some(compressed) => envelope::response(compressed),
        None => envelope::response(octets),
    };
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if is_compressed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn gzip(octets: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(octets.len() / 4), Compression::fast());
    encoder.write_all(octets).ok()?;
    encoder.finish().ok()
}

/// Whether gzip is named with a weight above 0 (RFC 9110 §12.5.3).
pub(crate) fn accepts_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused = |weight: &str| weight.parse().is_ok_and(|weight: f32| weight <= 0.0);
        named && !parts.filter_map(|part| part.strip_prefix("q=")).any(refused)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_where_it_is_named_and_not_refused() {
        for (value, accepted) in
            [("gzip", true), ("br, GZIP;q=0.5", true), ("gzip;q=0", false), ("identity", false), ("x-gzip", false), ("", false)]
        {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(accepts_gzip(&headers), accepted, "{value}");
        }
    }
}
