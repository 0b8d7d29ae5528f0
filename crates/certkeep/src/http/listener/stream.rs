//! HTTP 200 even to what cannot be read as HTTP, and an end to writes that nobody reads.
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::http::envelope::{InvalidParam, Refused};

/// How long a write may wait for the client to read.
const STALL: Duration = Duration::from_secs(30);
/// The longest head of an answer that the HTTP library makes by itself, in octets.
const LONGEST_OWN: usize = 256;

/// A connection on which the HTTP library's own refusals become the envelope (contract §2).
///
/// The library answers a request that it cannot parse by itself, with 400, 414 or 431 and no body, before any handler is
/// asked. No handler here answers with these, so a write that is such a head and nothing else is the library's.
#[derive(Debug)]
pub(super) struct Answering<S> {
    stream: S,
    /// The answer written instead, and how much of it was.
    instead: Option<(Vec<u8>, usize)>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Answering<S> {
    pub(super) fn new(stream: S) -> Self {
        Answering { stream, instead: None, stalled: None }
    }
}

fn is_own_refusal(head: &[u8]) -> bool {
    let refusals: [&[u8]; 3] = [b"HTTP/1.1 400 ", b"HTTP/1.1 414 ", b"HTTP/1.1 431 "];
    head.len() <= LONGEST_OWN && head.ends_with(b"\r\n\r\n") && refusals.iter().any(|start| head.starts_with(start))
}

fn answer() -> Vec<u8> {
    let body = Refused::syntax(InvalidParam::saying("the request cannot be read as HTTP")).to_body();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

impl<S: AsyncWrite + Unpin> Answering<S> {
    /// Writes; fails once the client has read nothing for too long.
    fn patiently(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match write(Pin::new(&mut self.stream), cx) {
            Poll::Ready(written) => {
                self.stalled = None;
                Poll::Ready(written)
            }
            Poll::Pending => {
                let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
                ready!(stalled.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Answering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none() && is_own_refusal(octets) {
            this.instead = Some((answer(), 0));
        }
        while let Some((answer, written)) = this.instead.take() {
            let rest = answer.get(written..).unwrap_or_default();
            if rest.is_empty() {
                return Poll::Ready(Ok(octets.len()));
            }
            let poll = this.patiently(cx, |stream, cx| stream.poll_write(cx, rest));
            let more = match poll {
                Poll::Ready(Ok(more)) => more,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => 0,
            };
            this.instead = Some((answer, written + more));
            if poll.is_pending() {
                return Poll::Pending;
            }
        }
        this.patiently(cx, |stream, cx| stream.poll_write(cx, octets))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = slices {
            return self.poll_write(cx, only);
        }
        self.patiently(cx, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.patiently(cx, |stream, cx| stream.poll_flush(cx).map_ok(|()| 0)).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.patiently(cx, |stream, cx| stream.poll_shutdown(cx).map_ok(|()| 0)).map_ok(|_| ())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Answering<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}
