//! When a demo serves: a leader, all nodes alive in every node's eyes, DNS on every node.

use std::process::Child;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;

use super::node::Node;
use super::{DemoError, dns_probe, files, processes};
use crate::client::{Client, Request, Target};
use crate::task::clock;

const LOOK: Duration = Duration::from_millis(20);
/// On a loaded machine a cluster of nine takes a while; one that takes longer has a reason.
const PATIENCE: Duration = Duration::from_secs(60);
/// For one question; the next look asks again.
const ANSWER: Duration = Duration::from_secs(2);
/// Serf's word for a member that is alive.
const ALIVE: u8 = 1;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    name: String,
    status: u8,
}

/// Waits until the demo serves, or a node dies, or it takes too long.
pub(super) async fn wait(nodes: &[Node], children: &mut [Child]) -> Result<(), DemoError> {
    let begun = clock::now();
    let mut missing: Vec<&Node> = nodes.iter().collect();
    loop {
        let looks = missing.iter().map(|node| what_lacks(node, nodes));
        let found: Vec<Option<String>> = join_all(looks).await;
        let lacks: Vec<(&Node, String)> = missing
            .iter()
            .zip(found)
            .filter_map(|(node, lack)| Some((*node, lack?)))
            .collect();
        let Some((first, lack)) = lacks.first() else {
            return Ok(());
        };
        check_alive(nodes, children)?;
        let waited = clock::now().saturating_duration_since(begun);
        if waited >= PATIENCE {
            return Err(DemoError::Late {
                after: waited.as_secs(),
                missing: format!("{}: {lack}", first.name),
                words: processes::last_words(&first.log()),
            });
        }
        missing = lacks.into_iter().map(|(node, _)| node).collect();
        tokio::time::sleep(LOOK).await;
    }
}

fn check_alive(nodes: &[Node], children: &mut [Child]) -> Result<(), DemoError> {
    for (node, child) in nodes.iter().zip(children) {
        let ended = child
            .try_wait()
            .map_err(|error| DemoError::io("look after", &node.name, error))?;
        if let Some(status) = ended {
            return Err(DemoError::Died {
                name: node.name.clone(),
                how: processes::how(status),
                words: processes::last_words(&node.log()),
            });
        }
    }
    Ok(())
}

/// What a node still lacks; `None`: nothing.
async fn what_lacks(node: &Node, nodes: &[Node]) -> Option<String> {
    let client = Client::new(Target::Plain(node.http().to_string())).patient_for(ANSWER);
    // From its own memory: quick, and says nothing before it follows the cluster.
    let members: Vec<Member> = match client.send(Request::get("/v1/agent/members")).await {
        Ok(answer) => answer.json().unwrap_or_default(),
        Err(error) => return Some(error.to_string()),
    };
    let alive = |node: &&Node| {
        let mut members = members.iter();
        members.any(|member| member.name == node.name && member.status == ALIVE)
    };
    if let Some(out) = nodes.iter().find(|node| !alive(node)) {
        return Some(format!("it does not see {} alive", out.name));
    }
    for other in nodes {
        let name = format!("{}.node.{}.{}", other.name, files::DC, files::STACK);
        if !dns_probe::answers(node.dns(), &name).await {
            return Some(format!("its DNS does not answer {name}"));
        }
    }
    // A linearizable read: there is a leader, it has its quorum, and this node finds it.
    match client.send(Request::get("/v1/kv/?keys&consistent")).await {
        Ok(answer) if answer.is_success() => None,
        Ok(answer) => Some(format!("it can't read: {}", answer.text())),
        Err(error) => Some(error.to_string()),
    }
}
