//! Why an agent does not start, or ends.

use std::net::SocketAddr;

use crate::cluster::nursery::NurseryError;
use crate::config::SecretError;
use crate::discover::ProviderError;
use crate::disk::DiskError;
use crate::dns::DnsError;
use crate::model::NameError;
use crate::pki::{PkiError, TokenError};
use crate::store::raft::StartError;
use crate::task::TaskFailure;

/// Why an agent does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No address in `admin_network`.
    #[error("admin_network: this host has no address in {wanted} after {waited} s; it has {found}")]
    NoAddress {
        /// What the config asks for.
        wanted: String,
        /// Seconds.
        waited: u64,
        /// What there is.
        found: String,
    },
    /// The data folder.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Keys and certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The token in the config.
    #[error("token: {0}")]
    Token(#[from] TokenError),
    /// A token for another role.
    #[error(
        "token: this is a {found} token, but role is {role}; give this node the {role} token (`swarmer token derive worker` makes the worker's from the server's), or role: {found}"
    )]
    TokenRole {
        /// The token's role.
        found: crate::model::Role,
        /// The node's.
        role: crate::model::Role,
    },
    /// A cloud in `join`.
    #[error("join: {0}")]
    Provider(#[from] ProviderError),
    /// Where the token should be.
    #[error("token: {0}")]
    Secret(#[from] SecretError),
    /// The host's name does not do as a node's.
    #[error("name: the host's name does not do ({0}); set `name`")]
    Name(#[from] NameError),
    /// A port.
    #[error(
        "cannot listen on {address} for {what}: {source}; is another agent running, or another program on that port? `ss -ltnp` shows it"
    )]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What for.
        what: &'static str,
        /// The system's word.
        source: std::io::Error,
    },
    /// The unix socket.
    #[error("cannot make the socket {path}: {source}")]
    Socket {
        /// Where.
        path: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// DNS.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// The way into a cluster.
    #[error(transparent)]
    Nursery(#[from] NurseryError),
    /// Raft.
    #[error(transparent)]
    Raft(#[from] StartError),
    /// A part without which the agent is of no use has ended.
    #[error(transparent)]
    Task(#[from] TaskFailure),
    /// The data folder belongs to another cluster than the config names.
    #[error(
        "the data folder {folder} belongs to a node of {found}, but the config says {wanted}; give this node another data_dir, or wipe this one"
    )]
    OtherCluster {
        /// The folder.
        folder: String,
        /// Its stack and dc.
        found: String,
        /// The config's.
        wanted: String,
    },
    /// A server whose votes and log are gone.
    #[error(
        "the raft folder under {folder} is gone: this server no longer knows what it voted for and acknowledged as {node}; it gave that id up, and joins as a new server when it is started again"
    )]
    LostRaft {
        /// The data folder.
        folder: String,
        /// Who it was.
        node: crate::model::NodeId,
    },
    /// Signals can't be received.
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
}

impl AgentError {
    /// Whether starting again is of no use before the node's file was changed.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Token(_)
                | Self::TokenRole { .. }
                | Self::Secret(SecretError::Empty(_))
                | Self::Name(_)
                | Self::OtherCluster { .. }
                | Self::Provider(ProviderError::Argument { .. })
        )
    }
}
