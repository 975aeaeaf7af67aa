//! The engine's way into the cluster's one Swarm, and out of it (rules S1 to S3 of
//! `docs/architecture.md`).
//!
//! Every engine but the maker's joins as a worker; managers are made by promotion, one at a time,
//! by the agent beside the Swarm's leader ([`steward`]). So rule S3 is kept in one place, by the
//! one that sees how many managers live, and the managers' join token never leaves the engines.

mod records;
mod status;
mod steward;
mod view;
mod words;

use std::time::Duration;

pub use records::{
    At, CLUSTER, INTENT, NODES, OFFERS, RecordError, Records, TOKENS, decode, encode, offers,
};
pub use status::{Blocked, Status, Waiting};
pub use view::{Plan, Step, View};
pub use words::{
    EngineInfo, How, Intent, JoinOffer, Local, Memory, NodeEntry, Nodes, Offers, Recorded,
    SwarmNode, SwarmPort, SwarmService, SwarmView, Tokens,
};

use crate::model::Role;

/// How long an engine may be looking for its managers before a join counts as failed. A slow
/// machine takes a minute and more, and each join that is undone costs it all that it has done.
const JOIN_PATIENCE: Duration = Duration::from_secs(300);
/// How long a node must be missing from the managers' list before it counts as struck off.
const STRUCK_OFF: Duration = Duration::from_secs(60);
/// How long a leaving worker waits for its containers to end.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);

/// Decides what to do next.
#[must_use]
pub fn plan(view: &View<'_>) -> Plan {
    match view.engine.local {
        Local::Locked => Plan::blocked(Blocked::Locked),
        Local::Inactive if view.leaving.is_some() => Plan::new(Status::Left, Vec::new()),
        Local::Inactive => outside(view),
        Local::Pending => pending(view),
        Local::Error => broken(view),
        Local::Active => match standing(view) {
            Standing::Ours if view.leaving.is_some() => leaving(view),
            Standing::Ours => inside(view),
            Standing::Unrecorded => adopt(view),
            Standing::Foreign => foreign(view),
            Standing::Headless => Plan::waiting(Waiting::Quorum(view.engine.error.clone())),
        },
    }
}

/// The engine is in no Swarm.
fn outside(view: &View<'_>) -> Plan {
    let Some(cluster) = view.recorded() else {
        return if view.role == Role::Server {
            make(view)
        } else {
            Plan::waiting(Waiting::Swarm)
        };
    };
    let Some(offer) = view.offer else {
        return Plan::waiting(Waiting::Managers);
    };
    let mut offer = offer.clone();
    let own = view
        .members
        .get(&view.me)
        .map(|member| member.address.to_string());
    offer
        .remotes
        .retain(|remote| Some(host(remote)) != own.as_deref());
    if offer.remotes.is_empty() {
        return Plan::blocked(Blocked::NoManagers(cluster.to_owned()));
    }
    let memory = Memory::new(How::Joined, cluster, "");
    let steps = vec![Step::Remember(memory), Step::Join(offer)];
    Plan::new(Status::Waiting(Waiting::Joining), steps)
}

/// There is no Swarm yet, and the engine is in none (rule S1).
fn make(view: &View<'_>) -> Plan {
    match claim(view) {
        Claim::Mine(intent) => {
            let memory = Memory::new(How::Created, "", "");
            let steps = vec![Step::Remember(memory), Step::Init(intent.clone())];
            Plan::new(Status::Waiting(Waiting::Making), steps)
        }
        Claim::Free { expect } => claiming(view, expect),
        Claim::Held(holder) => Plan::waiting(Waiting::Maker(holder.to_owned())),
    }
}

/// There is no Swarm yet, but the engine is in one: the node that may make one adopts it.
fn adopt(view: &View<'_>) -> Plan {
    if view.role != Role::Server {
        return Plan::waiting(Waiting::Swarm);
    }
    let (true, Some(cluster)) = (view.engine.manager, &view.engine.cluster) else {
        return foreign(view);
    };
    match claim(view) {
        Claim::Mine(_) => {
            let made = view.memory.is_some_and(|memory| memory.how == How::Created);
            let how = if made { How::Created } else { How::Found };
            let memory = Memory::new(how, cluster, &view.engine.node);
            let recorded = Recorded {
                cluster: cluster.clone(),
            };
            let steps = vec![Step::Remember(memory), Step::RecordCluster(recorded)];
            Plan::new(Status::Waiting(Waiting::Making), steps)
        }
        Claim::Free { expect } => claiming(view, expect),
        Claim::Held(_) => foreign(view),
    }
}

enum Claim<'a> {
    Mine(&'a Intent),
    Free { expect: u64 },
    Held(&'a str),
}

/// Whose it is to make the Swarm. The intent of another stands until that node was reaped.
fn claim<'a>(view: &View<'a>) -> Claim<'a> {
    let Some(At { value, index }) = &view.records.intent else {
        return Claim::Free { expect: 0 };
    };
    match view.members.get(&value.node) {
        Some(_) if value.node == view.me && value.engine == view.engine.id => Claim::Mine(value),
        Some(holder) if value.node != view.me => Claim::Held(holder.name.as_str()),
        _ => Claim::Free { expect: *index },
    }
}

fn claiming(view: &View<'_>, expect: u64) -> Plan {
    let engine = view.engine.id.clone();
    let steps = vec![Step::CommitIntent { engine, expect }];
    Plan::new(Status::Waiting(Waiting::Making), steps)
}

enum Standing {
    Ours,
    Unrecorded,
    Foreign,
    Headless,
}

/// Which Swarm the engine is in, seen from the cluster's record.
fn standing(view: &View<'_>) -> Standing {
    let engine = view.engine;
    let known = view.is_listed();
    let Some(cluster) = view.recorded() else {
        return match (engine.manager, &engine.cluster) {
            (true, None) => Standing::Headless,
            (false, _) if view.remembers_node() => Standing::Ours,
            _ => Standing::Unrecorded,
        };
    };
    match (&engine.cluster, engine.manager) {
        (Some(found), _) if found == cluster => Standing::Ours,
        (Some(_), _) => Standing::Foreign,
        (None, true) => Standing::Headless,
        (None, false) => {
            let joined = view.memory.is_some_and(|memory| {
                memory.cluster == cluster && (memory.node.is_empty() || memory.node == engine.node)
            });
            let shared = view.offer.is_some_and(|offer| {
                offer
                    .remotes
                    .iter()
                    .any(|remote| engine.managers.contains(remote))
            });
            if joined || known || shared {
                Standing::Ours
            } else {
                Standing::Foreign
            }
        }
    }
}

/// The engine is where it belongs.
fn inside(view: &View<'_>) -> Plan {
    // A worker's engine never notices that it was struck off.
    if !view.engine.manager && view.is_struck_off() && view.unlisted >= STRUCK_OFF {
        return leave(false);
    }
    let mut steps = Vec::new();
    if let Some(cluster) = view.recorded() {
        let memory = remembering(view, cluster);
        if view.memory != Some(&memory) {
            steps.push(Step::Remember(memory));
        }
    }
    steps.extend(
        view.swarm
            .map(|swarm| steward::steps(view, swarm))
            .unwrap_or_default(),
    );
    let status = match (view.role, view.engine.manager) {
        (_, true) => Status::Manager,
        (Role::Server, false) => Status::Waiting(Waiting::Promotion),
        (_, false) => Status::Worker,
    };
    Plan::new(status, steps)
}

/// What the disk should say of the engine that is where it belongs.
fn remembering(view: &View<'_>, cluster: &str) -> Memory {
    let node = view.engine.node.as_str();
    let before = view.memory.filter(|memory| {
        memory.cluster == cluster && (memory.node.is_empty() || memory.node == node)
    });
    Memory {
        listed: before.is_some_and(|memory| memory.listed) || view.is_listed(),
        ..Memory::new(
            before.map_or(How::Found, |memory| memory.how),
            cluster,
            node,
        )
    }
}

/// The engine is in a Swarm that is not the cluster's (rule S2).
fn foreign(view: &View<'_>) -> Plan {
    let engine = view.engine;
    let ours = view.remembers_node() && view.memory.is_some_and(|memory| memory.how != How::Found);
    if !ours {
        return Plan::blocked(Blocked::Foreign(engine.cluster.clone()));
    }
    if !engine.manager {
        return leave(false);
    }
    match view.swarm {
        Some(swarm) if swarm.services == 0 && steward::alone(swarm, &engine.node) => leave(true),
        Some(swarm) => Plan::blocked(Blocked::ForeignInUse {
            cluster: swarm.cluster.clone(),
            nodes: swarm.nodes.len(),
            services: swarm.services,
        }),
        None => Plan::waiting(Waiting::Quorum(engine.error.clone())),
    }
}

/// The engine is looking for its managers.
fn pending(view: &View<'_>) -> Plan {
    let joining = view
        .memory
        .is_some_and(|memory| memory.how == How::Joined && memory.node.is_empty());
    if joining && view.steady >= JOIN_PATIENCE {
        return leave(false);
    }
    Plan::waiting(Waiting::Engine(view.engine.error.clone()))
}

/// The engine can't take part in its Swarm. One that the managers have struck off leaves and
/// joins again; one that they still count on stays, since a manager's data may be needed.
fn broken(view: &View<'_>) -> Plan {
    let joining = view
        .memory
        .is_some_and(|memory| memory.how == How::Joined && memory.node.is_empty());
    if view.steady < STRUCK_OFF {
        Plan::waiting(Waiting::Engine(view.engine.error.clone()))
    } else if joining || view.is_struck_off() && !view.found() {
        leave(false)
    } else {
        Plan::blocked(Blocked::Engine(view.engine.error.clone()))
    }
}

/// This node leaves the cluster, its engine is in the cluster's Swarm.
fn leaving(view: &View<'_>) -> Plan {
    let engine = view.engine;
    let Some(swarm) = view.swarm.filter(|_| engine.manager) else {
        let waited = view.leaving.unwrap_or_default();
        return if engine.running == 0 || waited >= DRAIN_PATIENCE {
            leave(false)
        } else {
            Plan::waiting(Waiting::Drain)
        };
    };
    if !steward::alone(swarm, &engine.node) {
        let steps = steward::steps(view, swarm);
        return Plan::new(Status::Waiting(Waiting::Demotion), steps);
    }
    if swarm.services == 0 && view.remembers_node() && !view.found() {
        return leave(true);
    }
    Plan::blocked(Blocked::LastManager {
        services: swarm.services,
    })
}

fn leave(force: bool) -> Plan {
    let steps = vec![Step::Leave { force }, Step::ForgetMemory];
    Plan::new(Status::Waiting(Waiting::Leaving), steps)
}

/// `address` of `address:port`, with no brackets around an IPv6 address.
fn host(remote: &str) -> &str {
    let host = remote.rsplit_once(':').map_or(remote, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests;
