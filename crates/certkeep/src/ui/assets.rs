//! Script, style and pictures: in the binary, and for ever in the browser, since the address says the content.
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue};

use crate::http::compress::accepts_gzip;

/// Where they are served.
pub(super) const FOLDER: &str = "/ui/assets/";

/// One of them.
pub(super) struct Asset {
    /// Its address.
    pub(super) url: String,
    kind: &'static str,
    content: &'static [u8],
    compressed: Bytes,
}

/// All of them.
pub(super) struct Assets {
    /// The one style sheet.
    pub(super) style: Asset,
    /// htmx, as its makers ship it.
    pub(super) htmx: Asset,
    /// What htmx does not do.
    pub(super) script: Asset,
    /// The sign in the browser's tab.
    pub(super) icon: Asset,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new("certkeep.css", "text/css; charset=utf-8", include_bytes!("../../ui/assets/certkeep.css")),
    htmx: Asset::new("htmx.js", "text/javascript; charset=utf-8", include_bytes!("../../ui/assets/htmx.min.js")),
    script: Asset::new("certkeep.js", "text/javascript; charset=utf-8", include_bytes!("../../ui/assets/certkeep.js")),
    icon: Asset::new("certkeep.svg", "image/svg+xml", include_bytes!("../../ui/assets/certkeep.svg")),
});

/// All of them.
pub(super) fn assets() -> &'static Assets {
    &ASSETS
}

impl Asset {
    fn new(name: &str, kind: &'static str, content: &'static [u8]) -> Asset {
        let sum = digest(&SHA256, content);
        let hash = sum.as_ref().iter().take(8).fold(String::with_capacity(16), |mut hash, octet| {
            let _ = write!(hash, "{octet:02x}");
            hash
        });
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail.
        let _ = encoder.write_all(content);
        let compressed = encoder.finish().map(Bytes::from).unwrap_or_default();
        Asset { url: format!("{FOLDER}{hash}/{name}"), kind, content, compressed }
    }

    fn response(&self, request: &HeaderMap) -> Response {
        let zipped = !self.compressed.is_empty() && accepts_gzip(request);
        let body = if zipped { self.compressed.clone() } else { Bytes::from_static(self.content) };
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if zipped {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// The asset at a path, if there is one.
pub(super) fn response(path: &str, request: &HeaderMap) -> Option<Response> {
    let Assets { style, htmx, script, icon } = assets();
    [style, htmx, script, icon].into_iter().find(|asset| asset.url == path).map(|asset| asset.response(request))
}
