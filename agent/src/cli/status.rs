//! `swarmer status`.

use std::time::Duration;

use clap::Args;

use super::cluster_status::{self, ClusterStatus};
use super::connect::{self, Connect};
use super::failure::Failure;
use super::output;
use super::reach;
use super::status_text;
use super::table::age;
use crate::config::duration;
use crate::task::clock;

/// Between two looks of `--wait-healthy`.
const LOOK: Duration = Duration::from_millis(100);

/// What `swarmer status` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// A cluster that you are logged in to, instead of this node's
    #[arg(value_name = "STACK:DC")]
    of: Option<String>,
    /// Wait until there is a leader, all members are healthy, and as many servers vote as expected
    #[arg(long)]
    wait_healthy: bool,
    /// How long to wait, as in 90s or 2m
    #[arg(long, default_value = "60s", requires = "wait_healthy")]
    timeout: String,
}

pub(super) async fn run(arguments: &Arguments, connect: &Connect<'_>) -> Result<(), Failure> {
    let connect = connect.to(arguments.of.as_ref());
    let (answer, status) = match arguments.wait_healthy {
        true => wait(&connect, patience(&arguments.timeout)?).await?,
        false => cluster_status::fetch(&connect).await?,
    };
    if connect.json() {
        return output::json(&connect::parse::<serde_json::Value>(&answer)?);
    }
    // Who can't ask a leader looks for the others itself.
    let answering = match status.is_led() {
        true => None,
        false => Some(reach::answering(&status.members).await),
    };
    output::raw(status_text::render(&status, answering.as_deref()).as_bytes())
}

fn patience(text: &str) -> Result<Duration, Failure> {
    duration::parse(text).map_err(|error| {
        Failure::usage(
            format!("--timeout: {error}"),
            "use a number with a unit, as in 90s or 2m",
        )
    })
}

async fn wait(
    connect: &Connect<'_>,
    patience: Duration,
) -> Result<(crate::client::Answer, ClusterStatus), Failure> {
    let begun = clock::now();
    loop {
        let seen = cluster_status::fetch(connect).await;
        let trouble = match seen {
            Ok((answer, status)) => match status.trouble() {
                None => return Ok((answer, status)),
                Some(trouble) => Failure::not(
                    format!("not healthy after {}: {trouble}", age(millis(patience))),
                    "`swarmer status` shows each member",
                ),
            },
            // What was typed wrong stays wrong.
            Err(failure @ (Failure::Client(_) | Failure::Refused { .. })) => failure,
            Err(failure) => return Err(failure),
        };
        if clock::now().saturating_duration_since(begun) >= patience {
            return Err(trouble);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
