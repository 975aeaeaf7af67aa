//! `swarmer members`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::cluster_status;
use super::connect::{self, Connect};
use super::failure::Failure;
use super::output;
use super::table::{Table, age};
use crate::client::{Request, escape};

/// What `swarmer members` takes.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    /// A cluster that you are logged in to, instead of this node's
    #[arg(value_name = "STACK:DC")]
    of: Option<String>,
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand)]
enum Act {
    /// Take a member out that will not come back (operators only).
    Remove {
        /// Its name, or its id.
        name: String,
    },
    /// Say how many servers vote from now on: start the new ones first, or take them away after
    /// (operators only).
    Expect {
        /// 1 to 9, best odd.
        voters: u32,
    },
}

pub(super) async fn run(arguments: &Arguments, connect: &Connect<'_>) -> Result<(), Failure> {
    match &arguments.act {
        Some(Act::Remove { name }) => remove(name, connect).await,
        Some(Act::Expect { voters }) => expect(*voters, connect).await,
        None => list(&connect.to(arguments.of.as_ref())).await,
    }
}

async fn list(connect: &Connect<'_>) -> Result<(), Failure> {
    let (answer, status) = cluster_status::fetch(connect).await?;
    if connect.json() {
        let whole: Value = connect::parse(&answer)?;
        return output::json(whole.get("members").unwrap_or(&Value::Null));
    }
    let mut table = Table::new(&[
        "NODE", "ROLE", "ADDRESS", "STATUS", "SINCE", "SERVICES", "VERSION",
    ]);
    for member in &status.members {
        table.row([
            member.name.clone(),
            member.part().to_owned(),
            format!("{}:{}", member.address, member.ports.rpc),
            member.status.clone(),
            age(member.since),
            member.services.to_string(),
            member.version.clone(),
        ]);
    }
    output::raw(table.render().as_bytes())
}

async fn remove(name: &str, connect: &Connect<'_>) -> Result<(), Failure> {
    let path = format!("/v1/swarmer/members/remove/{}", escape(name));
    let client = connect.operator()?;
    connect::ask(&client, Request::put(&path, "")).await?;
    match connect.json() {
        true => output::json(&json!({"removed": name})),
        false => output::line(&format!("{name} is no longer a member")),
    }
}

async fn expect(voters: u32, connect: &Connect<'_>) -> Result<(), Failure> {
    let path = format!("/v1/swarmer/members/expect/{voters}");
    let client = connect.operator()?;
    connect::ask(&client, Request::put(&path, "")).await?;
    match connect.json() {
        true => output::json(&json!({"expect": voters})),
        false => output::line(&format!(
            "{voters} servers vote from now on; `swarmer status` shows them"
        )),
    }
}
