//! `swarmer log-level`.

use clap::Args;
use serde_json::{Value, json};

use super::connect::{self, Connect};
use super::failure::Failure;
use super::output;
use crate::client::Request;

const PATH: &str = "/v1/swarmer/log-level";

/// What `swarmer log-level` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// error, warn, info, debug or trace, or as in swarmer::dns=debug,info; without it, what is in force.
    filter: Option<String>,
}

pub(super) async fn run(arguments: &Arguments, connect: &Connect<'_>) -> Result<(), Failure> {
    let client = connect.operator()?;
    let request = match &arguments.filter {
        Some(filter) => Request::put(PATH, json!({"Level": filter}).to_string()),
        None => Request::get(PATH),
    };
    let answer: Value = connect::parse(&connect::ask(&client, request).await?)?;
    if connect.json() {
        return output::json(&answer);
    }
    let level = answer.get("Level").and_then(Value::as_str);
    output::line(level.unwrap_or_default())
}
