//! `swarmer config`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::cloud_init;
use super::connect::Connect;
use super::failure::Failure;
use super::output;
use crate::config::{Config, Servers, schema, servers_schema};

const CONFIG: &str = "/etc/swarmer/swarmer.yaml";
const SERVERS: &str = "servers.yml";

/// The node's one file, and the list of a cluster's machines.
#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Say what is wrong with a file (exit code 78), or that nothing is.
    Check {
        /// The file, instead of /etc/swarmer/swarmer.yaml or servers.yml.
        file: Option<PathBuf>,
        /// It is a servers.yml; with --json it is printed, with its defaults.
        #[arg(long)]
        servers: bool,
    },
    /// Print the JSON Schema of the file.
    Schema {
        /// That of servers.yml.
        #[arg(long)]
        servers: bool,
    },
}

pub(super) fn run(command: &ConfigCommand, connect: &Connect<'_>) -> Result<(), Failure> {
    match command {
        ConfigCommand::Schema { servers: false } => output::json(&schema()),
        ConfigCommand::Schema { servers: true } => output::json(&servers_schema()),
        ConfigCommand::Check { file, servers } => {
            let usual = if *servers { SERVERS } else { CONFIG };
            let file = file.as_deref().unwrap_or(Path::new(usual));
            match servers {
                true => check_servers(file, connect),
                false => check(file, connect),
            }
        }
    }
}

fn check(file: &Path, connect: &Connect<'_>) -> Result<(), Failure> {
    let path = file.display().to_string();
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::file("read", &path, error))?;
    let config = Config::parse(&path, &text).map_err(Failure::Config)?;
    for warning in &config.warnings {
        eprintln!("swarmer: {warning}");
    }
    match connect.json() {
        true => output::json(&json!({"file": path, "warnings": config.warnings.len()})),
        false => output::line(&format!(
            "{path} is fine: a {} of {}:{}",
            config.role, config.stack, config.dc
        )),
    }
}

fn check_servers(file: &Path, connect: &Connect<'_>) -> Result<(), Failure> {
    let servers = cloud_init::read(file)?;
    match connect.json() {
        true => output::json(&as_json(&servers)),
        false => output::line(&format!(
            "{} is fine: {} servers and {} others of {}:{}",
            file.display(),
            servers.voters().count(),
            servers.machines.len() - servers.voters().count(),
            servers.stack,
            servers.dc
        )),
    }
}

fn as_json(servers: &Servers) -> serde_json::Value {
    let machines = servers.machines.iter().map(|machine| {
        json!({
            "name": machine.name, "ip": machine.address, "role": machine.role,
            "memory": machine.memory, "cpus": machine.cpus, "disk": machine.disk,
        })
    });
    json!({
        "stack": servers.stack, "dc": servers.dc, "admin_network": servers.network,
        "servers": machines.collect::<Vec<_>>(),
    })
}
