//! `swarmer services`.

use std::collections::BTreeMap;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::connect::{self, Connect};
use super::failure::Failure;
use super::output;
use super::table::Table;
use crate::client::{Request, escape};

/// What `swarmer services` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// A service; without it, all are listed.
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    node: Node,
    service: Service,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    node: String,
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    address: String,
    port: u16,
    tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    status: String,
    name: String,
}

pub(super) async fn run(arguments: &Arguments, connect: &Connect<'_>) -> Result<(), Failure> {
    match &arguments.name {
        Some(name) => one(name, connect).await,
        None => all(connect).await,
    }
}

async fn all(connect: &Connect<'_>) -> Result<(), Failure> {
    let client = connect.client()?;
    let services: BTreeMap<String, Vec<String>> =
        connect::read(&client, "/v1/catalog/services").await?;
    if connect.json() {
        return output::json(&services);
    }
    let mut table = Table::new(&["SERVICE", "TAGS"]);
    for (name, tags) in services {
        table.row([name, tags.join(", ")]);
    }
    output::raw(table.render().as_bytes())
}

async fn one(name: &str, connect: &Connect<'_>) -> Result<(), Failure> {
    let client = connect.client()?;
    let path = format!("/v1/health/service/{}", escape(name));
    let answer = connect::ask(&client, Request::get(&path)).await?;
    let instances: Vec<Instance> = connect::parse(&answer)?;
    if instances.is_empty() {
        return Err(Failure::not(
            format!("there is no service {name:?}"),
            "`swarmer services` lists them",
        ));
    }
    if connect.json() {
        return output::json(&connect::parse::<Value>(&answer)?);
    }
    let mut table = Table::new(&["NODE", "ID", "ADDRESS", "HEALTH", "TAGS"]);
    for Instance {
        node,
        service,
        checks,
    } in instances
    {
        let host = match service.address.as_str() {
            "" => &node.address,
            address => address,
        };
        table.row([
            node.node,
            service.id,
            format!("{host}:{}", service.port),
            health(&checks),
            service.tags.join(", "),
        ]);
    }
    output::raw(table.render().as_bytes())
}

/// The worst check, by name.
fn health(checks: &[Check]) -> String {
    for bad in ["critical", "warning"] {
        if let Some(check) = checks.iter().find(|check| check.status == bad) {
            return format!("{bad} ({})", check.name);
        }
    }
    "passing".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_speaks() {
        let check = |status: &str| Check {
            status: status.into(),
            name: format!("{status} one"),
        };
        assert_eq!(health(&[]), "passing");
        assert_eq!(
            health(&[check("warning"), check("passing")]),
            "warning (warning one)"
        );
        assert_eq!(
            health(&[check("warning"), check("critical")]),
            "critical (critical one)"
        );
    }
}
