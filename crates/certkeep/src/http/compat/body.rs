//! Bodies: read to a limit and within a time, or let run out so that the client gets to read its answer.
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::body::Body as _;

use crate::http::envelope::{ErrCode, Refused};

/// Largest JSON body, in octets.
pub(crate) const MAX_JSON: usize = 1 << 20;
/// How much memory is taken on a client's word, in octets.
const MAX_PROMISED: usize = 64 << 10;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of a body nobody wants is read, in octets, and for how long, before the connection is given up.
const MAX_DRAINED: usize = 64 << 20;
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);

/// All of the body.
///
/// # Errors
/// 40004 for one over `limit` octets; -1 for one that breaks off or does not arrive in time.
pub(crate) async fn read(body: &mut Body, limit: usize) -> Result<Vec<u8>, Refused> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Refused::new(ErrCode::FileSizeExceeded));
    }
    let reading = async {
        let mut octets = Vec::with_capacity(announced.min(MAX_PROMISED));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refused::new(ErrCode::Failure).saying("the body broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            if octets.len() + data.len() > limit {
                return Err(Refused::new(ErrCode::FileSizeExceeded));
            }
            octets.extend_from_slice(&data);
        }
        Ok(octets)
    };
    let late = || Refused::new(ErrCode::Failure).saying("the body did not arrive in time");
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| Err(late()))
}

/// Reads and forgets what is left of the body.
///
/// A server that answers and closes while the client still sends makes the client's system discard the answer unread
/// (RFC 9112 §9.6), and a client that sees no answer tries again at once.
pub(crate) async fn drain(body: &mut Body) {
    let draining = async {
        let mut drained = 0;
        while let Some(Ok(frame)) = body.frame().await {
            drained += frame.data_ref().map_or(0, bytes::Bytes::len);
            if drained > MAX_DRAINED {
                break;
            }
        }
    };
    // Whether it ended or not, the answer is sent next.
    let _ = tokio::time::timeout(DRAIN_PATIENCE, draining).await;
}
