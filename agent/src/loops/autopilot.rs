//! The leader's keeper of raft's membership: carries `decide::autopilot` out. Also begins the
//! cluster: whoever is elected first proposes what the founders were given.

use std::collections::BTreeMap;
use std::time::Duration;

use super::leader::{LeaderError, LeaderHands};
use crate::decide::autopilot::{Step, View, plan};
use crate::model::{Genesis, Member, NodeId, Op, Topic};
use crate::store::Watch;
use crate::store::raft::{RaftView, ViewWatch};
use crate::store::raft_types::Peer;
use crate::task::{Looper, Next, Round, Shutdown};

const TICK: Duration = Duration::from_millis(500);
/// A change of the membership is given up after this long, and decided anew.
const CHANGE: Duration = Duration::from_secs(10);

struct Autopilot {
    hands: LeaderHands,
    genesis: Option<Genesis>,
    members: Watch,
    view: ViewWatch,
}

/// Runs until `shutdown`.
pub async fn run(hands: LeaderHands, genesis: Option<Genesis>, shutdown: Shutdown) {
    let members = hands.store.watch(vec![Topic::Members]);
    let view = hands.raft.watch();
    let round = Autopilot {
        hands,
        genesis,
        members,
        view,
    };
    Looper::new("autopilot", TICK, &shutdown).run(round).await;
}

impl Round for Autopilot {
    type Error = LeaderError;

    async fn wake(&mut self) {
        tokio::select! {
            () = self.members.changed() => {}
            () = self.hands.raft.changed(&mut self.view) => {}
        }
    }

    async fn round(&mut self) -> Result<Next, LeaderError> {
        if !self.hands.raft.is_leader() {
            return Ok(Next::OnTick);
        }
        let state = self.hands.store.state();
        let Some(cluster) = state.cluster() else {
            if let Some(genesis) = self.genesis.clone() {
                self.hands
                    .propose(Op::InitCluster(Box::new(genesis)))
                    .await?;
                tracing::info!("the cluster has begun");
            }
            return Ok(Next::OnTick);
        };
        let view = self.hands.raft.view();
        if view.changing {
            return Ok(Next::OnTick);
        }
        let members = state
            .members()
            .map(|member| (member.id, (**member).clone()))
            .collect();
        let behind = behind(&view);
        let step = plan(&View {
            leader: self.hands.raft.id(),
            expect: usize::try_from(cluster.expect).unwrap_or(usize::MAX),
            voters: &view.voters,
            learners: &view.learners,
            members: &members,
            behind: &behind,
        });
        if let Some(step) = step {
            tracing::info!(?step, "autopilot");
            let done = tokio::time::timeout(CHANGE, self.act(step, &members)).await;
            done.map_err(|_| LeaderError::NoQuorum)??;
        }
        Ok(Next::OnTick)
    }
}

impl Autopilot {
    async fn act(&self, step: Step, members: &BTreeMap<NodeId, Member>) -> Result<(), LeaderError> {
        let raft = &self.hands.raft;
        match step {
            Step::AddLearner(id) => {
                if let Some(member) = members.get(&id) {
                    let peer = Peer {
                        rpc: member.rpc(),
                        name: member.name.to_string(),
                    };
                    raft.add_learner(id, peer).await?;
                }
            }
            Step::DropLearner(id) => raft.drop_learner(id).await?,
            Step::SetVoters(voters) => raft.set_voters(voters).await?,
            Step::HandOver(to) => raft.hand_over(to).await?,
        }
        Ok(())
    }
}

fn behind(view: &RaftView) -> BTreeMap<NodeId, u64> {
    view.matched
        .iter()
        .map(|(id, index)| (*id, view.last_log.saturating_sub(*index)))
        .collect()
}
