//! Leases over the wire: the server's side of a node's stream, and the news to the leader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::messages::{Call, CallReply, LeaseItem, LeaseNews, LeaseWord};
use super::path::Path;
use crate::decide::lease::{Renewal, StreamId};
use crate::model::{BootId, NodeId};
use crate::rpc::{FrameStream, RpcError};
use crate::store::Store;
use crate::store::memory::LeaderMemory;
use crate::store::raft::Raft;
use crate::task::{self, clock};

/// Between two tries to tell the leader.
const PAUSE: Duration = Duration::from_millis(30);

/// A server's part in keeping leases.
pub struct LeaseKeeper {
    /// This server.
    pub me: NodeId,
    /// Its copy of the state.
    pub store: Arc<Store>,
    /// Its raft.
    pub raft: Raft,
    /// What it knows as the leader.
    pub memory: Arc<LeaderMemory>,
    /// The way to the leader.
    pub path: Arc<Path>,
    /// How long a lease lasts.
    pub lease: Duration,
}

/// Whose stream it is.
#[derive(Clone, Copy, Debug)]
pub struct Renewer {
    /// The node.
    pub node: NodeId,
    /// Its process.
    pub boot: BootId,
    /// Its count of streams.
    pub number: u64,
}

impl LeaseKeeper {
    /// Serves one node's stream until it ends. If the node's end of it ended, the leader hears of it;
    /// that this server sent the node away says nothing about the node.
    pub async fn serve(&self, who: Renewer, mut stream: FrameStream) {
        let served = self.renewals(who, &mut stream).await;
        let Renewer { node, boot, number } = who;
        match served {
            Ok(()) => tracing::debug!(%node, number, "sent a lease stream away"),
            Err(error) => {
                tracing::debug!(%node, number, %error, "a lease stream ended");
                self.tell(LeaseNews::Closed { node, boot, number }).await;
            }
        }
    }

    async fn renewals(&self, who: Renewer, stream: &mut FrameStream) -> Result<(), RpcError> {
        let Renewer { node, boot, number } = who;
        loop {
            // Longer than this a node that lives is not silent; its lease has lapsed long before.
            let Ok(item) = tokio::time::timeout(self.lease * 2, stream.source.next()).await else {
                return Ok(());
            };
            let item = item?;
            let word = match postcard::from_bytes(&item) {
                Ok(LeaseItem::Renew(report)) => {
                    self.tell(LeaseNews::Renew {
                        node,
                        boot,
                        number,
                        report,
                    })
                    .await
                }
                Ok(LeaseItem::Restarting) => self.tell(LeaseNews::Restarting { node }).await,
                Err(_) => LeaseWord::TryAnother,
            };
            let over = matches!(
                word,
                LeaseWord::TryAnother | LeaseWord::Outdated | LeaseWord::Twin(_)
            );
            let bytes = postcard::to_stdvec(&word).unwrap_or_default();
            stream.sink.send(bytes).await?;
            if over {
                return Ok(());
            }
        }
    }

    /// Tells the leader, for one lease at most; then the node had better try another server.
    pub async fn tell(&self, news: LeaseNews) -> LeaseWord {
        let deadline = clock::now() + self.lease;
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            let told = async {
                if self.raft.is_leader() {
                    return self.take(self.me, news.clone()).await;
                }
                match self
                    .path
                    .call_leader(&Call::Lease(news.clone()), left)
                    .await
                {
                    Some(CallReply::Lease(word)) => Some(word),
                    _ => None,
                }
            };
            match tokio::time::timeout(left, told).await {
                Ok(Some(word)) => return word,
                Ok(None) if left > PAUSE => tokio::time::sleep(PAUSE).await,
                Ok(None) | Err(_) => return LeaseWord::TryAnother,
            }
        }
    }

    /// The leader's part. `None`: this server does not lead, by a quorum's word.
    pub async fn take(&self, via: NodeId, news: LeaseNews) -> Option<LeaseWord> {
        self.lead()?;
        match news {
            LeaseNews::Renew {
                node,
                boot,
                number,
                report,
            } => {
                let stream = StreamId { boot, number, via };
                self.renew(node, stream, report).await
            }
            LeaseNews::Closed { node, boot, number } => {
                self.memory.closed(node, StreamId { boot, number, via });
                Some(LeaseWord::Renewed)
            }
            LeaseNews::Restarting { node } => {
                self.memory.restarting(node);
                Some(LeaseWord::Renewed)
            }
        }
    }

    /// Makes the memory that of this term. The first time, it asks the leader before whom it had
    /// not heard (L4): a node that nobody holds a stream for gets one lease in all, not one for
    /// every election. A leader before that does not answer has taken what it knew with it; then
    /// all start afresh.
    fn lead(&self) -> Option<()> {
        let term = self.raft.leading()?;
        let state = self.store.state();
        let members = state.members().map(|member| &**member);
        self.memory.lead(term, members, self.me);
        if let Some(before) = self.memory.take_predecessor() {
            let (path, memory, lease) =
                (Arc::clone(&self.path), Arc::clone(&self.memory), self.lease);
            let _ = task::spawn("leases of the leader before", async move {
                let call = Call::Unheard(before.term);
                if let Some(CallReply::Unheard(unheard)) =
                    path.call_server(before.leader, &call, lease).await
                {
                    let unheard = unheard.into_iter();
                    memory.inherit(
                        term,
                        unheard.map(|(node, age)| (node, Duration::from_millis(age))),
                    );
                }
            });
        }
        Some(())
    }

    /// To a later leader: whom this one had not heard in `term`, in milliseconds.
    #[must_use]
    pub fn unheard(&self, term: u64) -> Vec<(NodeId, u64)> {
        let unheard = self.memory.unheard(term).into_iter();
        unheard
            .map(|(node, age)| (node, u64::try_from(age.as_millis()).unwrap_or(u64::MAX)))
            .collect()
    }

    async fn renew(
        &self,
        node: NodeId,
        stream: StreamId,
        report: Option<BTreeMap<String, String>>,
    ) -> Option<LeaseWord> {
        let state = self.store.state();
        let Some(member) = state.member(node) else {
            return Some(LeaseWord::TryAnother);
        };
        let renewal = self.memory.renew(node, stream, self.lease, report);
        let settled =
            member.status == crate::model::MemberStatus::Alive && member.boot == Some(stream.boot);
        match renewal {
            Renewal::Taken => {
                if !settled {
                    self.memory.bell.notify_one();
                }
                self.raft.read_index().await.ok()?;
                Some(LeaseWord::Renewed)
            }
            Renewal::Ending => Some(LeaseWord::Ending),
            Renewal::Outdated => Some(LeaseWord::Outdated),
            Renewal::Twin(boot) => Some(LeaseWord::Twin(boot)),
        }
    }
}
