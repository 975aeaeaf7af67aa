//! How a member goes for good.

use std::time::Duration;

use tokio::sync::watch;

use super::AgentError;
use super::member::Joined;
use crate::cluster::papers;
use crate::decide::swarm::Status;
use crate::loops::swarm::SwarmStatus;
use crate::model::{LeaseEvent, MemberStatus, NodeId, Op, Role};
use crate::store::raft::Raft;
use crate::store::{Answer, Question};

/// Each step of a leave is given up after this long, and the next one taken.
const STEP: Duration = Duration::from_secs(25);
const FAREWELL: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(200);

/// Leaves for good: out of DNS, out of the Swarm, out of raft, out of the members; then the
/// folder is a new node's.
pub(super) async fn leave(
    joined: &Joined,
    raft: Option<&Raft>,
    swarm: Option<watch::Receiver<SwarmStatus>>,
) -> Result<(), AgentError> {
    let (me, boot) = (joined.me.id, joined.me.boot);
    tracing::info!("leaving the cluster");
    let leaving = Op::Lease {
        node: me,
        boot,
        event: LeaseEvent::Leaving,
    };
    if let Err(error) = joined.store.write(leaving).await {
        tracing::warn!(%error, "could not tell the cluster; leaving all the same");
    }
    if let Some(mut status) = swarm {
        let left = status.wait_for(|status| matches!(status, SwarmStatus::Stands(Status::Left)));
        match tokio::time::timeout(STEP, left).await {
            Ok(_) => tracing::info!("this node's engine has left the Swarm"),
            Err(_) => tracing::warn!("this node's engine has not left the Swarm in time"),
        }
    }
    if raft.is_some() {
        match tokio::time::timeout(STEP, out_of_raft(joined, me)).await {
            Ok(()) => tracing::info!("this server votes no more"),
            Err(_) => tracing::warn!("still a voter: the others can't do without it now"),
        }
    }
    if others(joined) {
        // A cluster hangs up on whom it has removed, so the answer need not come.
        let removed = joined.store.write(Op::MemberRemove(me));
        match tokio::time::timeout(FAREWELL, removed).await {
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => {
                tracing::info!(%error, "no word about the removal; the reaper sees to it")
            }
        }
    }
    papers::forget(&joined.disk)?;
    tracing::info!("left the cluster; this folder is a new node's from now on");
    Ok(())
}

/// Returns when the leader says that this server has no part in raft any more. Its own raft is
/// not told: nothing is replicated to it then.
async fn out_of_raft(joined: &Joined, me: NodeId) {
    while others(joined) {
        if let Ok(leader) = joined.store.leader()
            && let Ok(Answer::Status(report)) = leader.ask(Question::Status).await
            && !report.voters.contains(&me)
            && !report.learners.contains(&me)
        {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn others(joined: &Joined) -> bool {
    joined.store.state().members().any(|member| {
        member.id != joined.me.id
            && member.role == Role::Server
            && member.status == MemberStatus::Alive
    })
}
