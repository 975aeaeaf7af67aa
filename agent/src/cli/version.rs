//! `swarmer version`.

use serde_json::{Value, json};

use super::connect::{self, Connect};
use super::failure::Failure;
use super::output;

const OURS: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn run(connect: &Connect<'_>) -> Result<(), Failure> {
    // An agent need not run for a program to know its own version.
    let agent: Result<Value, Failure> =
        connect::read(&connect.client()?, "/v1/agent/version").await;
    let agent = agent.ok().and_then(|answer| {
        let whole = answer.get("HumanVersion")?.as_str()?;
        let (_, ours) = whole.split_once("swarmer.")?;
        Some(ours.to_owned())
    });
    if connect.json() {
        return output::json(&json!({"program": OURS, "agent": agent}));
    }
    match agent {
        Some(agent) => output::line(&format!("swarmer {OURS}, the agent is {agent}")),
        None => output::line(&format!("swarmer {OURS}, no agent answers")),
    }
}
