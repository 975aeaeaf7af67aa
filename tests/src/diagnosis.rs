//! What a failed wait shows of each node: does it run, whom does it follow, what did it say last.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;

use crate::node::Node;
use crate::process;

/// How many lines of each log are shown.
const LINES: usize = 12;
/// A node that does not answer must not hold up the diagnosis.
const PATIENCE: Duration = Duration::from_millis(500);

/// The state of all nodes, for people.
#[must_use]
pub fn of(nodes: &[Node]) -> String {
    let mut text = String::new();
    for node in nodes {
        let life = match (node.is_running(), node.pid()) {
            (true, Ok(pid)) => format!("runs as {pid}"),
            (false, Ok(_)) => "has exited".to_owned(),
            (_, Err(_)) => "was not started".to_owned(),
        };
        let leader = leader(node).unwrap_or_else(|error| format!("no answer ({error:#})"));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "\n{} ({} {}) {life}; its leader: {leader}; its log ends:",
            node.name(),
            node.role().as_str(),
            node.address(),
        );
        for line in process::tail(&node.log_path(), LINES).lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

fn leader(node: &Node) -> Result<String> {
    Ok(node
        .connect(PATIENCE)?
        .call("GET", "/v1/status/leader", b"")?
        .text())
}
