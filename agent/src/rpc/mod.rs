//! Floor 4: frames over TLS.
//!
//! Owns: the framing, calls that share a connection, streams that own one, the accept loop.
//! Does not own: what the payloads mean, who may send them, and how the TLS configs come about
//! (it receives finished ones).
//!
//! A connection begins with one frame that says what it is: `Open` makes it a stream, a frame of
//! any other kind makes it one for calls. Calls carry a number, are answered in any order and are
//! cancelled when the caller drops them. A caller that waits for long asks now and then whether the
//! other side is there.
//!
//! Always true: a frame longer than [`MAX_FRAME`] ends the connection; a connection that ends
//! fails every call that waits on it; a peer that is silent for long while someone waits for it is
//! given up; strangers, however many connections they hold, keep no member out; nothing from outside
//! makes this code panic.

mod calls;
mod dial;
mod frame;
mod places;
mod serve;
mod stream;

#[cfg(test)]
mod tests;

pub use calls::Calls;
pub use dial::{Dialed, dial};
pub use frame::{MAX_FRAME, MAX_PAYLOAD};
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
    /// More than one frame holds; nothing was sent.
    #[error("a message of {size} bytes to {address}; at most {MAX_PAYLOAD} fit")]
    TooLarge {
        /// The other side.
        address: SocketAddr,
        /// Bytes.
        size: usize,
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
