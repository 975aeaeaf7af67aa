//! What a node keeps of its cluster, and of its way there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::join_messages::Founding;
use crate::decide::bootstrap::Standing;
use crate::disk::{DataDir, DiskError};
use crate::model::{CaRow, ClusterId, Genesis, Name, NodeId};

/// The node's private key, PKCS#8 DER.
pub const NODE_KEY: &str = "node.key";
const RAFT: &str = "raft";
const PAPERS: &str = "papers.json";
const RECORD: &str = "bootstrap.json";
const FORMER: &str = "former.json";
const FOUNDING: &str = "founding.json";
const BEGUN: &str = "raft-begun.json";
const VERSION: u32 = 1;

/// A member's papers. A server's hold secrets; the file is for the agent's eyes only.
#[derive(Clone, Serialize, Deserialize)]
pub struct Papers {
    /// Whose they are: a folder may become another node's.
    pub node: NodeId,
    /// The cluster.
    pub cluster: ClusterId,
    /// The stack and the data center, to be held against the config.
    pub place: (Name, Name),
    /// This node's certificate, PEM.
    pub certificate: String,
    /// The CA's certificate, PEM.
    pub ca: String,
    /// Where servers were, when last heard of: hints.
    pub servers: BTreeMap<NodeId, SocketAddr>,
    /// A server's share.
    pub server: Option<ServerPapers>,
}

/// What only servers keep: enough to sign, for itself and others, without anyone's help.
#[derive(Clone, Serialize, Deserialize)]
pub struct ServerPapers {
    /// The key under which the CA is sealed.
    pub data_key: [u8; 32],
    /// The sealed CA.
    pub authority: CaRow,
    /// A founder's: what the cluster begins with.
    pub genesis: Option<Genesis>,
}

impl std::fmt::Debug for Papers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Papers")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

/// How far a blank server has come, durably.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whose it is.
    pub node: NodeId,
    /// What it has become.
    pub standing: Standing,
    /// Bootstraps that it gave up and refuses for ever.
    pub renounced: BTreeSet<ClusterId>,
}

impl Record {
    /// Whether this server holds papers of that cluster; then it does not give it up any more.
    #[must_use]
    pub fn has_papers(&self, cluster: ClusterId) -> bool {
        match &self.standing {
            Standing::Member(member) => *member == cluster,
            Standing::Founded(bid) => bid.cluster == cluster,
            Standing::Blank | Standing::Promised(_) => false,
        }
    }
}

/// The papers on disk; `None`: this node was never a member.
pub fn load(disk: &DataDir) -> Result<Option<Papers>, DiskError> {
    let papers: Option<Papers> = disk.read_versioned(PAPERS, VERSION)?;
    Ok(papers.filter(|papers| papers.node == disk.node_id()))
}

/// Keeps papers, durably.
pub fn keep(disk: &DataDir, papers: &Papers) -> Result<(), DiskError> {
    disk.write_versioned(PAPERS, VERSION, papers)
}

/// The record on disk.
pub fn load_record(disk: &DataDir) -> Result<Record, DiskError> {
    let record: Option<Record> = disk.read_versioned(RECORD, VERSION)?;
    let node = disk.node_id();
    let record = record.filter(|record| record.node == node);
    Ok(record.unwrap_or_else(|| Record {
        node,
        ..Record::default()
    }))
}

/// Keeps the record, durably.
pub fn keep_record(disk: &DataDir, record: &Record) -> Result<(), DiskError> {
    disk.write_versioned(RECORD, VERSION, record)
}

/// Keeps a founder's papers until its cluster lives, durably.
pub fn keep_founding(disk: &DataDir, founding: &Founding) -> Result<(), DiskError> {
    disk.write_versioned(FOUNDING, VERSION, founding)
}

/// A founder's papers.
pub fn load_founding(disk: &DataDir) -> Result<Option<Founding>, DiskError> {
    disk.read_versioned(FOUNDING, VERSION)
}

/// The raft folder of this node, made if raft begins now. That it began is kept beside it, so that
/// the folder's loss is not taken for a beginning (R2).
pub fn begin_raft(disk: &DataDir) -> Result<PathBuf, DiskError> {
    let folder = disk.folder(&raft_folder(disk.node_id()))?;
    disk.write_versioned(BEGUN, VERSION, &disk.node_id())?;
    Ok(folder)
}

/// Whether this node's raft began once, and what it kept is gone: it may have voted and
/// acknowledged what it no longer knows, and must not answer under its id again (R2).
pub fn has_lost_raft(disk: &DataDir) -> Result<bool, DiskError> {
    let node = disk.node_id();
    let begun: Option<NodeId> = disk.read_versioned(BEGUN, VERSION)?;
    Ok(begun == Some(node) && !disk.path(&raft_folder(node)).is_dir())
}

fn raft_folder(node: NodeId) -> String {
    format!("{RAFT}/{node}")
}

/// Whom this folder's node was before it was given up.
pub fn load_former(disk: &DataDir) -> Result<BTreeSet<NodeId>, DiskError> {
    Ok(disk.read_versioned(FORMER, VERSION)?.unwrap_or_default())
}

/// Gives the node up: it left its cluster, or gave up a bootstrap that went on without it. That it
/// was is kept: others may wait for it.
pub fn forget(disk: &DataDir) -> Result<(), DiskError> {
    let mut former = load_former(disk)?;
    former.insert(disk.node_id());
    disk.write_versioned(FORMER, VERSION, &former)?;
    disk.forget_node(&[PAPERS, RECORD, FOUNDING, BEGUN, RAFT, NODE_KEY])
}
