//! `swarmer leave`.

use clap::Args;
use serde_json::json;

use super::connect::{self, Connect};
use super::failure::Failure;
use super::output;
use crate::client::Request;

/// What `swarmer leave` takes.
#[derive(Args)]
pub struct Arguments {}

pub(super) async fn run(_: &Arguments, connect: &Connect<'_>) -> Result<(), Failure> {
    let client = connect.operator()?;
    let answer = connect::ask(&client, Request::put("/v1/swarmer/leave", "")).await?;
    match connect.json() {
        true => output::json(&json!({"leaving": answer.from})),
        false => output::line(
            "leaving: its services go first, then its vote, then its membership; `swarmer members` elsewhere shows it",
        ),
    }
}
