//! Accepting connections: TCP, then TLS, then the framing of the scheme.
//!
//! Every step after the TCP accept runs in the connection's own task and under one time limit, so a peer that
//! stops half-way, or sends garbage, costs its own connection and nothing else.
//!
//! - `ports` — the sockets of a server
//! - `listener` — one socket, and the loop that gives every connection its task
//! - `door` — from a TCP connection to links
//! - `calls` — the links of a gRPC connection
//! - `tls` — which certificates are presented and accepted

mod calls;
mod door;
mod listener;
mod ports;
mod tls;

pub(crate) use door::{Door, PeerIdentity};
use listener::Listener;
pub(crate) use listener::{HANDSHAKE_TIMEOUT, ReservedPort};
pub(crate) use ports::{Addresses, Ports};
