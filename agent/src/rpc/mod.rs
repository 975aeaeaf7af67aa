//! Floor 4: frames over TLS.
//!
//! Owns: the framing, calls that share a connection, streams that own one, the accept loop.
//! Does not own: what the payloads mean, who may send them, and how the TLS configs come about
//! (it receives finished ones).
//!
//! A connection begins with one frame that says what it is: `Open` makes it a stream, a frame of
//! any other kind makes it one for calls. Calls carry a number, are answered in any order and are
//! cancelled when the caller drops them.
//!
//! Always true: a frame longer than [`MAX_FRAME`] ends the connection; a connection that ends
//! fails every call that waits on it; nothing from outside makes this code panic.

mod calls;
mod dial;
mod frame;
mod serve;
mod stream;

pub use calls::Calls;
pub use dial::{Dialed, dial};
pub use frame::MAX_FRAME;
pub use serve::{Handler, Incoming, Peer, PickConfig, serve};
pub use stream::{FrameSink, FrameSource, FrameStream};

use std::net::SocketAddr;

/// What goes wrong between two agents.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RpcError {
    /// No connection.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// The system's or TLS's words.
        reason: String,
    },
    /// The connection ended before the answer came.
    #[error("the connection to {address} ended: {reason}")]
    Closed {
        /// The other side.
        address: SocketAddr,
        /// Why, as far as known.
        reason: String,
    },
    /// No answer in time.
    #[error("{address} did not answer within {after:?}")]
    Timeout {
        /// The other side.
        address: SocketAddr,
        /// The deadline.
        after: std::time::Duration,
    },
    /// The other side sent what this version does not understand.
    #[error("{address} sent what this version does not understand: {what}")]
    Garbled {
        /// The other side.
        address: SocketAddr,
        /// What.
        what: String,
    },
}
