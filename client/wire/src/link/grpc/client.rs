//! The calling end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::http::uri::{InvalidUri, PathAndQuery};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::{Status, Streaming};

use super::codec::FrameCodec;
use super::pipe::{Fate, WatchedPipe};
use super::tasks::Tasks;
use super::{METHOD, Outgoing, WAITING_FRAMES, WINDOW, ending, max_message};
use crate::link::{LinkError, Pipe, Transport};

/// Starts a call on a pipe. What the server says of it comes with the first frame, since a real server answers a call
/// only when it has something to send.
pub(in crate::link) async fn connect(
    pipe: impl Pipe + 'static,
    origin: &str,
    max_frame: usize,
) -> Result<Box<dyn Transport>, LinkError> {
    let origin: Uri = origin.parse().map_err(|error: InvalidUri| {
        LinkError::Grpc(Box::new(Status::invalid_argument(format!("{origin:?} is no origin: {error}"))))
    })?;
    let tasks = Tasks::default();
    let (pipe, fate) = WatchedPipe::new(pipe);
    let connected = http2::Builder::new(tasks.executor())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(TokioIo::new(pipe))
        .await;
    let (sender, connection) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            return Err(match fate.take_error() {
                Some(error) => LinkError::Io(error),
                None => LinkError::Grpc(Box::new(Status::from_error(Box::new(error)))),
            });
        }
    };
    // How it ends is told by the pipe and by the call.
    tasks.spawn(async move { drop(connection.await) });
    let (outgoing, queue) = mpsc::channel(WAITING_FRAMES);
    let mut caller = Grpc::with_origin(Caller(sender), origin)
        .max_decoding_message_size(max_message(max_frame))
        .max_encoding_message_size(max_message(max_frame));
    let opening = async move {
        let path = PathAndQuery::from_static(METHOD);
        let answered = caller.streaming(tonic::Request::new(Outgoing(queue)), path, FrameCodec { max_frame }).await;
        answered.map(tonic::Response::into_inner)
    };
    Ok(Box::new(Call {
        outgoing: Some(PollSender::new(outgoing)),
        incoming: Answer::Opening(Box::pin(opening)),
        fate,
        tasks,
    }))
}

/// What tonic sends requests with.
struct Caller(SendRequest<Body>);

impl GrpcService<Body> for Caller {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

type Opening = Pin<Box<dyn Future<Output = Result<Streaming<Bytes>, Status>> + Send>>;

/// The call as a transport.
struct Call {
    /// None once this side has said all.
    outgoing: Option<PollSender<Bytes>>,
    incoming: Answer,
    fate: Fate,
    tasks: Tasks,
}

/// What the server says.
enum Answer {
    /// Nothing yet.
    Opening(Opening),
    Open(Box<Streaming<Bytes>>),
    Ended,
}

impl Stream for Call {
    type Item = Result<Bytes, LinkError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let ended = match &mut self.incoming {
                Answer::Opening(opening) => match ready!(opening.as_mut().poll(context)) {
                    Ok(stream) => {
                        self.incoming = Answer::Open(Box::new(stream));
                        continue;
                    }
                    Err(status) => Some(status),
                },
                Answer::Open(stream) => match ready!(Pin::new(stream.as_mut()).poll_next(context)) {
                    Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
                    Some(Err(status)) => Some(status),
                    None => None,
                },
                Answer::Ended => return Poll::Ready(None),
            };
            self.incoming = Answer::Ended;
            return Poll::Ready(ended.and_then(|status| ending(status, &self.fate)));
        }
    }
}

impl Sink<Bytes> for Call {
    type Error = LinkError;

    /// A call that is over takes nothing more; why it is over comes from the other direction.
    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let Some(outgoing) = &mut self.outgoing else { return Poll::Pending };
        match ready!(outgoing.poll_reserve(context)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(_) => Poll::Pending,
        }
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Bytes) -> Result<(), LinkError> {
        if let Some(outgoing) = &mut self.outgoing {
            // It was ready: at worst the call has ended since.
            let _ = outgoing.send_item(frame);
        }
        Ok(())
    }

    /// What was taken is on its way: the task of the connection sends it.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }

    /// Ends this side of the call, waits for the end of the other, and then for that of the connection.
    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.outgoing = None;
        loop {
            match ready!(self.as_mut().poll_next(context)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return self.tasks.poll_ended(context).map(Ok),
            }
        }
    }
}
