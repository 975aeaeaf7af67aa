//! `swarmer console`: what a node's screen shows.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::cluster_status::{self, ClusterStatus};
use super::connect::Connect;
use super::console_text;
use super::failure::Failure;
use super::output;
use crate::client::{Client, ClientError, Target};
use crate::config::Config;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Longer than an agent without a leader takes to say so.
const PATIENCE: Duration = Duration::from_secs(5);
const SOCKET: &str = "swarmer.sock";
/// To the upper left corner, and everything away (ECMA-48).
const CLEAR: &str = "\x1b[H\x1b[2J";

/// What `swarmer console` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// The node's one file
    #[arg(long, value_name = "FILE", default_value = "/etc/swarmer/swarmer.yaml")]
    config: PathBuf,
    /// Print once, instead of again whenever something has changed
    #[arg(long)]
    once: bool,
}

/// How far the node has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// cloud-init has not written the file yet.
    NoFile,
    /// The file can't be used: what `swarmer config check` says.
    BadFile(String),
    /// The file is fine, but no agent answers.
    NoAgent(Box<Config>, String),
    /// The agent says.
    Agent(Box<Config>, Box<ClusterStatus>),
}

/// The host's addresses, by interface.
pub(super) type Addresses = Vec<(String, std::net::IpAddr)>;

pub(super) async fn run(arguments: &Arguments, connect: &Connect<'_>) -> Result<(), Failure> {
    let file = arguments.config.display().to_string();
    let mut painted = String::new();
    loop {
        let stage = look(&arguments.config, connect).await;
        let text = match connect.json() {
            true => format!("{:#}\n", describe(&stage, &addresses(), &file)),
            false => console_text::render(&stage, &addresses(), &file),
        };
        if text != painted {
            let clear = !arguments.once && !connect.json() && std::io::stdout().is_terminal();
            let clear = if clear { CLEAR } else { "" };
            output::raw(format!("{clear}{text}").as_bytes())?;
            painted = text;
        }
        if arguments.once {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(file: &Path, connect: &Connect<'_>) -> Stage {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Stage::NoFile,
        Err(error) => return Stage::BadFile(format!("can't read {}: {error}", file.display())),
    };
    let config = match Config::parse(&file.display().to_string(), &text) {
        Ok(config) => Box::new(config),
        Err(errors) => return Stage::BadFile(errors.to_string()),
    };
    let socket = connect
        .socket()
        .unwrap_or_else(|| config.data_dir.join(SOCKET));
    let client = Client::new(Target::Socket(socket)).patient_for(PATIENCE);
    match cluster_status::fetch_from(&client).await {
        Ok((_, status)) => Stage::Agent(config, Box::new(status)),
        Err(failure) => Stage::NoAgent(config, why(&failure)),
    }
}

fn why(failure: &Failure) -> String {
    match failure {
        Failure::Client(ClientError::Unreachable(failed))
            if failed.iter().any(|one| one.denied) =>
        {
            "only root may ask the agent: run this as root".to_owned()
        }
        Failure::Client(ClientError::Unreachable(_)) => {
            "the agent does not run: `systemctl status swarmer` and `journalctl -u swarmer` tell why"
                .to_owned()
        }
        other => format!("the agent does not answer as it should: {other}"),
    }
}

/// Without the loopback addresses, and those that only speak on one link.
fn addresses() -> Addresses {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let worth = interfaces.into_iter().filter(|interface| {
        let link_local = match interface.ip() {
            std::net::IpAddr::V4(ip) => ip.is_link_local(),
            std::net::IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        // Containers' ends come and go.
        !interface.is_loopback() && !link_local && !interface.name.starts_with("veth")
    });
    let mut addresses: Addresses = worth
        .map(|interface| (interface.name.clone(), interface.ip()))
        .collect();
    addresses.sort();
    addresses
}

fn describe(stage: &Stage, addresses: &Addresses, file: &str) -> Value {
    let addresses: Vec<Value> = addresses
        .iter()
        .map(|(interface, address)| json!({"interface": interface, "address": address}))
        .collect();
    let (name, said, config) = match stage {
        Stage::NoFile => ("no-file", Some(console_text::no_file(file)), None),
        Stage::BadFile(errors) => ("bad-file", Some(errors.clone()), None),
        Stage::NoAgent(config, why) => ("no-agent", Some(why.clone()), Some(config)),
        Stage::Agent(config, status) if status.cluster.is_none() => {
            ("waiting", status.trouble(), Some(config))
        }
        Stage::Agent(config, status) => ("member", status.trouble(), Some(config)),
    };
    let (node, leader) = match stage {
        Stage::Agent(_, status) => (Some(status.node.clone()), status.leader.clone()),
        _ => (None, None),
    };
    json!({
        "stage": name,
        "trouble": said,
        "node": node,
        "leader": leader,
        "role": config.map(|config| config.role),
        "stack": config.map(|config| config.stack.as_str()),
        "dc": config.map(|config| config.dc.as_str()),
        "addresses": addresses,
    })
}
