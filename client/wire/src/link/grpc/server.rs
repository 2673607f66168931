//! The called end.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::{Sink, Stream};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::PollSender;
use tonic::body::Body;
use tonic::server::{Grpc, StreamingService};
use tonic::{Status, Streaming};

use super::codec::FrameCodec;
use super::pipe::{Fate, WatchedPipe};
use super::tasks::Tasks;
use super::{METHOD, Outgoing, WAITING_FRAMES, WINDOW, ending, max_message};
use crate::link::{Link, LinkError, Pipe};

/// Calls of one connection at the same time: a real server carries them out in this many threads, and makes others wait.
const MAX_CALLS: u32 = 100;

/// What the server says when it ends a call.
const GOODBYE: &str = "service closed";

/// The server's end of a gRPC connection. Each call on it is a link; official clients make one, but programs that
/// connect twice without TLS may share a connection.
///
/// # Cancel safety
/// Dropping it ends the connection and with it all links.
pub struct GrpcConnection {
    links: mpsc::Receiver<Link>,
    leaving: Arc<Notify>,
    tasks: Tasks,
}

impl GrpcConnection {
    /// Speaks HTTP/2 on a pipe from now on. Has to be called in a tokio runtime.
    #[must_use]
    pub fn accept(pipe: impl Pipe + 'static, max_frame: usize) -> Self {
        let tasks = Tasks::default();
        let leaving = Arc::new(Notify::new());
        let (pipe, fate) = WatchedPipe::new(pipe);
        // Every call that is let in has its place.
        let (links, called) = mpsc::channel(MAX_CALLS as usize);
        let desk = Desk { links, fate, max_frame };
        let mut builder = http2::Builder::new(tasks.executor());
        builder
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_concurrent_streams(MAX_CALLS);
        let connection = builder.serve_connection(
            TokioIo::new(pipe),
            service_fn(move |request| {
                let desk = desk.clone();
                async move { Ok::<_, Infallible>(desk.answer(request).await) }
            }),
        );
        let told = Arc::clone(&leaving);
        tasks.spawn(async move {
            let mut connection = pin!(connection);
            let told = pin!(told.notified());
            // How a connection ends is told by its calls.
            if let Either::Right(_) = select(connection.as_mut(), told).await {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        });
        Self { links: called, leaving, tasks }
    }

    /// Waits for the next call; none when the connection has ended.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn next_link(&mut self) -> Option<Link> {
        self.links.recv().await
    }

    /// Takes no more calls, and waits until those that there are have ended and the peer knows.
    ///
    /// # Cancel safety
    /// Dropping the future ends the connection at once.
    pub async fn close(self) {
        self.leaving.notify_one();
        std::future::poll_fn(|context| self.tasks.poll_ended(context)).await;
    }
}

impl fmt::Debug for GrpcConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcConnection").finish_non_exhaustive()
    }
}

/// Makes links of calls.
#[derive(Clone)]
struct Desk {
    links: mpsc::Sender<Link>,
    fate: Fate,
    max_frame: usize,
}

impl Desk {
    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        if request.uri().path() != METHOD {
            return Status::unimplemented("Method not found!").into_http();
        }
        Grpc::new(FrameCodec { max_frame: self.max_frame })
            .max_decoding_message_size(max_message(self.max_frame))
            .max_encoding_message_size(max_message(self.max_frame))
            .streaming(self, request)
            .await
    }
}

impl StreamingService<Bytes> for Desk {
    type Response = Bytes;
    type ResponseStream = Outgoing<Result<Bytes, Status>>;
    type Future = std::future::Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        let (outgoing, queue) = mpsc::channel(WAITING_FRAMES);
        let call = Call {
            outgoing: PollSender::new(outgoing),
            incoming: Some(Box::new(request.into_inner())),
            closing: None,
            fate: self.fate.clone(),
        };
        std::future::ready(match self.links.try_send(Link::new(Box::new(call))) {
            Ok(()) => Ok(tonic::Response::new(Outgoing(queue))),
            Err(_) => Err(Status::unavailable(GOODBYE)),
        })
    }
}

/// The call as a transport.
struct Call {
    outgoing: PollSender<Result<Bytes, Status>>,
    /// None when it is over.
    incoming: Option<Box<Streaming<Bytes>>>,
    /// Resolves when the last word was taken, or nobody wants it.
    closing: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    fate: Fate,
}

impl Stream for Call {
    type Item = Result<Bytes, LinkError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let ended = match ready!(Pin::new(incoming.as_mut()).poll_next(context)) {
            Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
            Some(Err(status)) => ending(status, &self.fate),
            None => None,
        };
        self.incoming = None;
        // As a real server: who has said all gets what is left of the answer, and no more.
        // A place that is reserved would keep the queue open.
        self.outgoing.abort_send();
        self.outgoing.close();
        Poll::Ready(ended)
    }
}

impl Sink<Bytes> for Call {
    type Error = LinkError;

    /// A call that is over takes nothing more; why it is over comes from the other direction.
    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        match ready!(self.outgoing.poll_reserve(context)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(_) => Poll::Pending,
        }
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Bytes) -> Result<(), LinkError> {
        // It was ready: at worst the call has ended since.
        let _ = self.outgoing.send_item(Ok(frame));
        Ok(())
    }

    /// What was taken is on its way: the task of the connection sends it.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.closing.is_none() {
            if ready!(self.outgoing.poll_reserve(context)).is_err() {
                return Poll::Ready(Ok(()));
            }
            let Some(sender) = self.outgoing.get_ref().cloned() else { return Poll::Ready(Ok(())) };
            // It was just reserved: at worst the call has ended since.
            let _ = self.outgoing.send_item(Err(Status::cancelled(GOODBYE)));
            self.closing = Some(Box::pin(async move { sender.closed().await }));
        }
        let closing = self.closing.as_mut().expect("it was just made");
        closing.as_mut().poll(context).map(Ok)
    }
}
