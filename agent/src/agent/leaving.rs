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

/// Who wants it to leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// An operator: it leaves, come what may.
    Asked,
    /// Its cloud, which will end the machine: a server that the others can't do without in this
    /// time goes on for as long as the machine does.
    Told(Duration),
}

/// How it went.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// For good.
    Left,
    /// It is out of DNS and of the Swarm, but votes on.
    Needed,
}

/// Leaves for good: out of DNS, out of the Swarm, out of raft, out of the members; then the
/// folder is a new node's.
pub(super) async fn leave(
    joined: &Joined,
    raft: Option<&Raft>,
    swarm: Option<watch::Receiver<SwarmStatus>>,
    manner: Manner,
) -> Result<Gone, AgentError> {
    let (me, boot) = (joined.me.id, joined.me.boot);
    if raft.is_some() && manner != Manner::Asked && !others(joined) {
        tracing::warn!(
            "there is no other server to leave the cluster to: this one serves until the machine ends"
        );
        return Ok(Gone::Needed);
    }
    tracing::info!("leaving the cluster");
    let leaving = Op::Lease {
        node: me,
        boot,
        event: LeaseEvent::Leaving,
    };
    if let Err(error) = joined.store.write(leaving).await {
        tracing::warn!(%error, "could not tell the cluster; leaving all the same");
    } else {
        tracing::info!("this node and its services are out of DNS");
    }
    if let Some(mut status) = swarm {
        let left = status.wait_for(|status| matches!(status, SwarmStatus::Stands(Status::Left)));
        match tokio::time::timeout(STEP, left).await {
            Ok(Ok(_)) => tracing::info!("this node's engine has left the Swarm"),
            Ok(Err(_)) | Err(_) => {
                tracing::warn!("this node's engine has not left the Swarm in time")
            }
        }
    }
    if raft.is_some() {
        let patience = match manner {
            Manner::Asked => STEP,
            Manner::Told(patience) => patience,
        };
        let out = tokio::time::timeout(patience, out_of_raft(joined, me)).await;
        match out {
            Ok(true) => tracing::info!("this server votes no more"),
            Ok(false) => tracing::warn!("there is no other server to leave the cluster to"),
            Err(_) => tracing::warn!("still a voter: the others can't do without it now"),
        }
        if out != Ok(true) && manner != Manner::Asked {
            tracing::warn!(
                "it keeps its vote and what it stores until the machine ends, since that keeps the most"
            );
            return Ok(Gone::Needed);
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
    Ok(Gone::Left)
}

/// Returns when the leader says that this server has no part in raft any more. Its own raft is
/// not told: nothing is replicated to it then. `false`: there is nobody to leave to.
async fn out_of_raft(joined: &Joined, me: NodeId) -> bool {
    while others(joined) {
        if let Ok(leader) = joined.store.leader()
            && let Ok(Answer::Status(report)) = leader.ask(Question::Status).await
            && !report.voters.contains(&me)
            && !report.learners.contains(&me)
        {
            return true;
        }
        tokio::time::sleep(LOOK).await;
    }
    false
}

fn others(joined: &Joined) -> bool {
    joined.store.state().members().any(|member| {
        member.id != joined.me.id
            && member.role == Role::Server
            && member.status == MemberStatus::Alive
    })
}
