//! A pipe under HTTP/2, which tells of a failure only that there was one.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::link::Pipe;

/// What became of a pipe.
#[derive(Debug, Clone, Default)]
pub(super) struct Fate(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    error: Option<io::Error>,
    ended: bool,
}

impl Fate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the first error, with all that is in it; HTTP/2 gets one of the same kind.
    fn failed(&self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.state().error.get_or_insert(error);
        kind.into()
    }

    /// The first error, told once.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.state().error.take()
    }

    /// True when the peer closed the pipe in order.
    pub(super) fn has_ended(&self) -> bool {
        self.state().ended
    }
}

/// A pipe that notes its fate.
pub(super) struct WatchedPipe<P> {
    pipe: P,
    fate: Fate,
}

impl<P: Pipe> WatchedPipe<P> {
    pub(super) fn new(pipe: P) -> (Self, Fate) {
        let fate = Fate::default();
        (Self { pipe, fate: fate.clone() }, fate)
    }

    fn noting<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| self.fate.failed(error))
    }
}

impl<P: Pipe> AsyncRead for WatchedPipe<P> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.remaining();
        let result = ready!(Pin::new(&mut self.pipe).poll_read(context, buffer));
        if result.is_ok() && before > 0 && buffer.remaining() == before {
            self.fate.state().ended = true;
        }
        Poll::Ready(self.noting(result))
    }
}

impl<P: Pipe> AsyncWrite for WatchedPipe<P> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.pipe).poll_write(context, bytes));
        Poll::Ready(self.noting(result))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.pipe).poll_flush(context));
        Poll::Ready(self.noting(result))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The peer may be gone by then; that is no failure of what was said before.
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.pipe).poll_write_vectored(context, buffers));
        Poll::Ready(self.noting(result))
    }

    fn is_write_vectored(&self) -> bool {
        self.pipe.is_write_vectored()
    }
}
