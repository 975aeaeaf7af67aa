//! Which requests have been answered, so that a retry is answered alike (safety.md R8).

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::model::{BootId, NodeId, Refusal, Reply, RequestId};

/// How many processes of a node are remembered. One lives at a time; its predecessors' requests
/// may still be on their way, and no order is to be had from random boot ids.
const BOOTS: usize = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Requests {
    nodes: OrdMap<NodeId, OrdMap<BootId, Answered>>,
}

/// What one process asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Answered {
    /// Index of its last command: the process that was heard of longest ago is forgotten first.
    last: u64,
    /// All requests up to here are settled and forgotten.
    settled: u64,
    replies: OrdMap<u64, Reply>,
}

impl Requests {
    /// The answer to a request that came before; `None`: it is new.
    pub(super) fn answer(&self, request: &RequestId) -> Option<Reply> {
        let answered = self.nodes.get(&request.node)?.get(&request.boot)?;
        if request.seq <= answered.settled {
            let (node, seq) = (request.node, request.seq);
            return Some(Reply::Refused(Refusal::Settled { node, seq }));
        }
        answered.replies.get(&request.seq).cloned()
    }

    /// Remembers an answer, and forgets those that the asker settled.
    pub(super) fn remember(&mut self, request: &RequestId, reply: Reply, index: u64) {
        let boots = self.nodes.entry(request.node).or_default();
        let answered = boots.entry(request.boot).or_default();
        answered.last = index;
        answered.replies.insert(request.seq, reply);
        answered.settle(request.settled);
        if boots.len() > BOOTS {
            let oldest = boots.iter().min_by_key(|(_, answered)| answered.last);
            if let Some(boot) = oldest.map(|(boot, _)| *boot) {
                boots.remove(&boot);
            }
        }
    }

    /// Forgets a node that was removed.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }
}

impl Answered {
    fn settle(&mut self, settled: u64) {
        self.settled = self.settled.max(settled);
        while let Some((seq, _)) = self.replies.get_min() {
            let seq = *seq;
            if seq > self.settled {
                break;
            }
            self.replies.remove(&seq);
        }
    }
}
