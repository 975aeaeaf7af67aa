//! How it stands with the registry, seen from this node.

use std::fmt;

use super::Refusal;
use crate::store::StoreError;

/// How it stands with the registry, seen from this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryStatus {
    /// This node serves.
    Serving,
    /// This node is the host, its process does not answer yet; why it failed last, if it did.
    Starting(Option<String>),
    /// This node could serve, or hosts no registry by its configuration.
    StandingBy {
        /// The host's name; `None`: there is none.
        host: Option<String>,
    },
    /// This node should be able to serve and is not.
    Unable {
        /// The host's name; `None`: there is none.
        host: Option<String>,
        /// Why, and what to do.
        reason: String,
    },
}

impl Default for RegistryStatus {
    fn default() -> Self {
        Self::StandingBy { host: None }
    }
}

impl fmt::Display for RegistryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |host: &Option<String>| {
            let host = host.as_ref();
            host.map_or_else(|| "no host".to_owned(), |host| format!("host is {host}"))
        };
        match self {
            Self::Serving => f.write_str("serving"),
            Self::Starting(None) => f.write_str("starting"),
            Self::Starting(Some(why)) => write!(f, "starting again: {why}"),
            Self::StandingBy { host } => f.write_str(&of(host)),
            Self::Unable { host, reason } => {
                write!(f, "{}; this node can't serve: {reason}", of(host))
            }
        }
    }
}

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryLoopError {
    /// The cluster can't be written to.
    #[error("the cluster can't be told about the registry")]
    Store(#[from] StoreError),
    /// The state refused.
    #[error("the cluster refused what the registry's loop wanted")]
    Refused(#[source] Refusal),
    /// A cluster begins with it.
    #[error(
        "the hidden entry {} is missing: the registry can't start without it",
        super::HTTP_SECRET
    )]
    NoSecret,
}
