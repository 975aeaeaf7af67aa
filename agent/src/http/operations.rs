//! What operators do to a cluster, behind one door.

use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::Serialize;

use crate::model::{NodeId, Role, TokenId};
use crate::store::StoreError;

/// What is to be done with join tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenAct {
    /// All that there are.
    List,
    /// A new one for a role.
    Create {
        /// The role that it admits to.
        role: Role,
        /// For people; may be empty.
        description: String,
    },
    /// A new one for a role; all others of that role are revoked.
    Rotate {
        /// The role.
        role: Role,
    },
    /// This one admits nobody from now on.
    Revoke(TokenId),
}

/// What is to be done with the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberAct {
    /// Remove one that will not come back.
    Remove(NodeId),
    /// So many servers vote from now on.
    Expect(u32),
}

/// A token as it may be shown to an operator at any time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TokenView {
    /// Its public id, 16 hexadecimal digits.
    #[serde(rename = "ID")]
    pub id: String,
    /// The role that it admits to.
    pub role: Role,
    /// For people.
    pub description: String,
    /// When it was made, in milliseconds of cluster time.
    pub created: u64,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// The answer to a [`TokenAct`].
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub enum TokenAnswer {
    /// To `List`.
    All(Vec<TokenView>),
    /// To `Create` and `Rotate`: the only time that the token itself is shown.
    #[serde(rename_all = "PascalCase")]
    Made {
        /// The new token.
        token: String,
        /// What can be shown of it later.
        #[serde(flatten)]
        view: TokenView,
    },
    /// To `Revoke`.
    Revoked(TokenView),
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(views) => f.debug_tuple("All").field(views).finish(),
            Self::Made { view, .. } => f.debug_tuple("Made").field(view).finish(),
            Self::Revoked(view) => f.debug_tuple("Revoked").field(view).finish(),
        }
    }
}

/// A snapshot of the state without its hidden part: a gzipped tar as Consul's tools read it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The archive.
    pub archive: Bytes,
    /// The raft index that it reaches to.
    pub index: u64,
}

/// Why an operation was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OperationError {
    /// The request makes no sense as it stands; the text says what would.
    #[error("{0}")]
    Refused(String),
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
    /// The cluster could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The acts of an operator. Callers have been authorised when they get here.
pub trait Operations: Send + Sync + 'static {
    /// Lists, makes and revokes join tokens.
    fn tokens(&self, act: TokenAct) -> BoxFuture<'_, Result<TokenAnswer, OperationError>>;
    /// Changes who belongs to the cluster, or how many vote.
    fn members(&self, act: MemberAct) -> BoxFuture<'_, Result<(), OperationError>>;
    /// Begins this node's graceful leave; returns before the node is gone.
    fn leave(&self) -> BoxFuture<'_, Result<(), OperationError>>;
    /// Sets the log filter, if one is given; returns the one in force.
    fn log_level(&self, filter: Option<&str>) -> Result<String, OperationError>;
    /// Takes a snapshot that holds every acknowledged write.
    fn save_snapshot(&self) -> BoxFuture<'_, Result<Snapshot, OperationError>>;
    /// Puts the state of a snapshot in place of the cluster's.
    fn restore_snapshot(&self, archive: Bytes) -> BoxFuture<'_, Result<(), OperationError>>;
}
