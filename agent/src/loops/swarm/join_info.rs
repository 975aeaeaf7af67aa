//! How a node learns what the cluster has written down of its Swarm: servers read it, workers ask a
//! server.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::decide::swarm::{self, JoinOffer, RecordError, Records, SwarmService};
use crate::model::NodeId;
use crate::state::State;
use crate::store::{Store, StoreError};

/// Where a node learns how to join, and what the Swarm's services offer.
pub trait JoinInfo: Send + Sync + 'static {
    /// What this node needs to join; `None`: there is no Swarm to join yet.
    fn offer(&self) -> BoxFuture<'_, Result<Option<JoinOffer>, JoinInfoError>>;
    /// What the Swarm's managers know of its services.
    fn services(&self) -> BoxFuture<'_, Result<Vec<SwarmService>, JoinInfoError>>;
}

/// Why it can't be learned now.
#[derive(Debug, thiserror::Error)]
pub enum JoinInfoError {
    /// The cluster can't be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is written there can't be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// On servers: from the node's own copy of the state.
pub struct FromState {
    /// The copy.
    pub store: Arc<Store>,
    /// This node.
    pub me: NodeId,
}

impl JoinInfo for FromState {
    fn offer(&self) -> BoxFuture<'_, Result<Option<JoinOffer>, JoinInfoError>> {
        Box::pin(async { Ok(offer_to(&self.store.state(), self.me)?) })
    }

    fn services(&self) -> BoxFuture<'_, Result<Vec<SwarmService>, JoinInfoError>> {
        Box::pin(async { Ok(offers(&self.store.state())?) })
    }
}

/// What a server answers the member `caller` that asks how to join.
pub fn offer_to(state: &State, caller: NodeId) -> Result<Option<JoinOffer>, RecordError> {
    if state.member(caller).is_none() {
        return Ok(None);
    }
    Ok(records(state)?.offer(caller))
}

/// What is written down of the Swarm's services; servers know it.
pub fn offers(state: &State) -> Result<Vec<SwarmService>, RecordError> {
    swarm::offers(|key| hidden(state, key))
}

pub(super) fn records(state: &State) -> Result<Records, RecordError> {
    Records::read(|key| hidden(state, key))
}

fn hidden(state: &State, key: &str) -> Option<(Bytes, u64)> {
    let (value, index) = state.hidden(key)?;
    Some((value.clone(), index))
}
