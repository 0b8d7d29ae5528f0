//! An end to connections whose next request does not come.
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Nothing is waited for: a call runs, and whatever it waits for has an end of its own.
const ENDED: u64 = u64::MAX;

/// How long the head of the next request may still take.
#[derive(Debug)]
pub(super) struct Wait {
    patience: Duration,
    opened: Instant,
    /// Since when the next head is waited for, in milliseconds after `opened`, or [`ENDED`].
    since: AtomicU64,
}

impl Wait {
    /// A wait that begins now.
    pub(super) fn new(patience: Duration) -> Arc<Wait> {
        Arc::new(Wait { patience, opened: Instant::now(), since: AtomicU64::new(0) })
    }

    /// The call is answered: the next head is waited for.
    pub(super) fn begin(&self) {
        self.since.store(self.now(), Ordering::Relaxed);
    }

    /// A head is there.
    pub(super) fn end(&self) {
        self.since.store(ENDED, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(ENDED - 1)
    }

    /// When it is over.
    fn over(&self) -> Instant {
        match self.since.load(Ordering::Relaxed) {
            ENDED => Instant::now() + self.patience,
            since => self.opened + Duration::from_millis(since) + self.patience,
        }
    }
}

/// A connection on which reading fails once a request's head was waited for too long.
///
/// One timer serves all requests of the connection: it is looked at only when it is up, and set anew if meanwhile a
/// request came.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    wait: Arc<Wait>,
    timer: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, wait: Arc<Wait>) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(wait.over()));
        Patient { stream, wait, timer }
    }

    /// While an answer is being read, nothing is waited for.
    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() && self.wait.since.load(Ordering::Relaxed) != ENDED {
            self.wait.begin();
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            return Poll::Ready(read);
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let over = self.wait.over();
            if over <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(over);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
