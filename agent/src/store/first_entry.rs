//! The first entry of a new cluster's log: who votes.
//!
//! Every founder writes the same one, under the smallest founder's id, before its raft starts. With
//! entries of their own (which is what openraft's `initialize` makes) one founder's log would count as
//! newer than another's, and only the one with the greatest id could be sure of all votes.

use std::collections::BTreeMap;
use std::io;

use openraft::entry::RaftEntry as _;
use openraft::storage::{IOFlushed, RaftLogReader as _, RaftLogStorage as _};
use openraft::type_config::TypeConfigExt as _;
use openraft::vote::RaftLeaderId as _;
use openraft::{Membership, RaftTypeConfig};

use super::log::LogStore;
use super::raft_types::{Entry, LogId, Peer, TypeConfig};
use crate::model::NodeId;

type LeaderId = <TypeConfig as RaftTypeConfig>::LeaderId;

/// Writes it, durably, to the log of a server that has neither entries nor a vote, and says whether it
/// did. Without founders there is nothing to write.
pub(super) async fn write(
    log: &mut LogStore,
    founders: BTreeMap<NodeId, Peer>,
) -> Result<bool, io::Error> {
    let Some(first) = founders.keys().next().copied() else {
        return Ok(false);
    };
    let begun = log.get_log_state().await?.last_log_id.is_some();
    if begun || log.read_vote().await?.is_some() {
        return Ok(false);
    }
    let id = LogId::new(LeaderId::new(0, first).to_committed(), 0);
    let entry = Entry::new_membership(id, Membership::from(founders));
    let (done, flushed) = TypeConfig::oneshot();
    log.append([entry], IOFlushed::signal(done)).await?;
    flushed.await.map_err(io::Error::other)??;
    Ok(true)
}
