//! Docker's answers, read into our words. Nothing in them is taken for granted.

use bollard::models::{
    LocalNodeState, Node, NodeSpecAvailabilityEnum, NodeSpecRoleEnum, NodeState, Reachability,
    Swarm, SystemInfo,
};

use crate::decide::swarm::{EngineInfo, Local, SwarmNode, SwarmView};

pub(super) fn info(answer: SystemInfo) -> EngineInfo {
    let swarm = answer.swarm.unwrap_or_default();
    let managers = swarm.remote_managers.unwrap_or_default();
    EngineInfo {
        id: answer.id.unwrap_or_default(),
        local: match swarm.local_node_state {
            None | Some(LocalNodeState::EMPTY | LocalNodeState::INACTIVE) => Local::Inactive,
            Some(LocalNodeState::PENDING) => Local::Pending,
            Some(LocalNodeState::ACTIVE) => Local::Active,
            Some(LocalNodeState::ERROR) => Local::Error,
            Some(LocalNodeState::LOCKED) => Local::Locked,
        },
        node: swarm.node_id.unwrap_or_default(),
        cluster: swarm
            .cluster
            .and_then(|cluster| cluster.id)
            .filter(|id| !id.is_empty()),
        manager: swarm.control_available.unwrap_or(false),
        error: swarm.error.unwrap_or_default(),
        running: answer
            .containers_running
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(0),
        managers: managers.into_iter().filter_map(|peer| peer.addr).collect(),
    }
}

pub(super) fn swarm(swarm: Swarm, nodes: Vec<Node>, services: usize) -> SwarmView {
    SwarmView {
        cluster: swarm.id.unwrap_or_default(),
        worker_token: swarm
            .join_tokens
            .and_then(|tokens| tokens.worker)
            .unwrap_or_default(),
        services,
        nodes: nodes.into_iter().map(node).collect(),
    }
}

fn node(answer: Node) -> SwarmNode {
    let spec = answer.spec.unwrap_or_default();
    let status = answer.status.unwrap_or_default();
    let manages = answer.manager_status;
    let reachability = manages.as_ref().and_then(|manages| manages.reachability);
    SwarmNode {
        id: answer.id.unwrap_or_default(),
        address: status.addr.unwrap_or_default(),
        manager: spec.role == Some(NodeSpecRoleEnum::MANAGER),
        reachable: reachability == Some(Reachability::REACHABLE),
        leader: manages
            .as_ref()
            .is_some_and(|manages| manages.leader == Some(true)),
        manages_at: manages.and_then(|manages| manages.addr),
        ready: status.state == Some(NodeState::READY),
        down: status.state == Some(NodeState::DOWN),
        drained: spec.availability == Some(NodeSpecAvailabilityEnum::DRAIN),
    }
}
