//! What the front asks the world above.

use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use rustls::pki_types::ServerName;

use super::Socket;
use crate::model::Role;

/// Where requests go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// Nobody serves.
    #[default]
    Nowhere,
    /// This node serves.
    Here {
        /// The duty's sequencer.
        sequencer: u64,
        /// Where the process listens.
        socket: Socket,
    },
    /// Another node serves.
    There(Host),
}

/// The front of the elected host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Where it listens.
    pub address: SocketAddr,
    /// The name that its certificate must have.
    pub name: ServerName<'static>,
}

/// How a caller shows who it is.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// A certificate (DER) that the TLS handshake has verified.
    Certificate(&'a [u8]),
    /// What came as the password.
    Token(&'a str),
}

/// What a credential is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is good, for this role.
    Granted(Role),
    /// It is not.
    Refused,
    /// This node can't tell; the host can.
    AskHost,
}

/// The decisions that the front leaves to others.
pub trait Gate: Send + Sync + 'static {
    /// What a credential is worth.
    fn admit(&self, credential: Credential<'_>) -> Admission;
    /// Whether this node still has the duty under this sequencer, by a linearizable look that
    /// begins now (rule L5). An error says why not.
    fn confirm(&self, sequencer: u64) -> BoxFuture<'_, Result<(), String>>;
}
