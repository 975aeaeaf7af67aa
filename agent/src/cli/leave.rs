//! `swarmer leave`.

use serde_json::json;

use super::connect::{self, Connect};
use super::failure::Failure;
use super::output;
use crate::client::Request;

pub(super) async fn run(connect: &Connect<'_>) -> Result<(), Failure> {
    let client = connect.operator()?;
    let answer = connect::ask(&client, Request::put("/v1/swarmer/leave", "")).await?;
    match connect.json() {
        true => output::json(&json!({"leaving": answer.from})),
        false => output::line(
            "leaving: its services go first, then its vote, then its membership; `swarmer members` elsewhere shows it",
        ),
    }
}
