//! The NVIDIA FLARE admin wire protocol, shared by both ends.
//!
//! ```text
//! hci        command lines, JSON replies            auth, certificate, sign    who is who
//! transfer   uploads and downloads                  job                        words for where a job stands
//! redact     messages as people may see them
//! endpoint   one connection: handshake, requests and replies, streams, heartbeat
//! stream     blobs as chunks: window, acknowledgements, repeats
//! cell       messages: headers and payload          fobs, msgpack              encodings
//! frame      16-byte prefix, headers, payload       segments                   bytes in parts, not copied
//! link       frames over WebSocket, gRPC, TCP or memory   (feature `link`)
//! ```
//!
//! Everything but `link` is pure: no socket, no clock, no randomness without a seed. Time is a [`Moment`] and
//! randomness a [`Randomness`] that the caller passes in, so both ends can be tested as plain calls:
//!
//! ```
//! use std::time::Duration;
//!
//! use flare_wire::cell::{Payload, channel};
//! use flare_wire::endpoint::{Answer, Endpoint, EndpointConfig, Event, OutgoingRequest};
//! use flare_wire::{Moment, Randomness};
//!
//! let now = Moment::from_unix(Duration::from_secs(1_795_308_187));
//! let mut random = Randomness::from_number(1);
//! let mut client = Endpoint::connect(EndpointConfig::admin(&mut random), random.fork(), now);
//! let mut server =
//!     Endpoint::accept(EndpointConfig::server(&[(channel::HCI, channel::COMMAND)]), random.fork(), now);
//!
//! // HELLO and READY.
//! server.receive(now, client.next_frame(now).unwrap()).unwrap();
//! client.receive(now, server.next_frame(now).unwrap()).unwrap();
//! assert!(matches!(client.poll_event(), Some(Event::Connected(_))));
//! assert!(matches!(server.poll_event(), Some(Event::Connected(_))));
//!
//! // A request as a stream, and its reply.
//! let request = OutgoingRequest::streamed(channel::HCI, channel::COMMAND, Payload::text("ping"));
//! client.request(now, request, Duration::from_secs(5)).unwrap();
//! server.receive(now, client.next_frame(now).unwrap()).unwrap();
//! let Some(Event::Request(request)) = server.poll_event() else { panic!("no request") };
//! server.respond(now, &request.reply_to.unwrap(), Answer::payload(Payload::text("pong")));
//! while let Some(frame) = server.next_frame(now) {
//!     client.receive(now, frame).unwrap();
//! }
//! let Some(Event::Response { result, .. }) = client.poll_event() else { panic!("no response") };
//! assert_eq!(result.unwrap().payload.as_text().unwrap(), "pong");
//! ```
//!
//! # Limits
//!
//! Everything a peer sends is bounded before it is held: [`frame::MAX_HEADERS_LEN`], [`frame::MAX_FRAME_LEN`],
//! [`msgpack::MAX_DEPTH`], [`msgpack::MAX_VALUES`], [`fobs::MAX_DATUMS`], [`certificate::MAX_CHAIN_LEN`], [`stream::ReceiverLimits`] and, on a
//! link, the caller's longest frame. What a peer may not do is dropped as a real cell drops it, and reported as a
//! [`ProtocolError`] for a log.

pub mod auth;
pub mod cell;
pub mod certificate;
pub mod endpoint;
mod error;
pub mod fobs;
pub mod frame;
pub mod hci;
pub mod job;
#[cfg(feature = "link")]
pub mod link;
pub mod msgpack;
mod random;
pub mod redact;
mod segments;
mod sign;
pub mod stream;
mod time;
pub mod transfer;

pub use error::{ProtocolError, RequestError, RequestPhase};
pub use random::{Randomness, is_uuid4};
pub use segments::Segments;
pub use sign::{PrivateKey, PublicKey, SignatureError, TextHash};
pub use time::Moment;
