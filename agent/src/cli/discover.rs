//! `swarmer discover`.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::connect::Connect;
use super::failure::Failure;
use super::output;
use super::table::Table;
use crate::config::{AdminNetwork, Config, JoinSource};
use crate::discover::{self, ProviderError};

const CONFIG: &str = "/etc/swarmer/swarmer.yaml";

/// What `swarmer discover` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// As in the file's `join`: "provider=aws tag_key=… tag_value=…", "dns:NAME", an address; without it, all entries of the file
    source: Vec<String>,
    /// The node's one file
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
}

/// One machine, or one address.
struct Row {
    source: String,
    id: String,
    name: String,
    address: Result<SocketAddr, String>,
}

pub(super) async fn run(arguments: &Arguments, connect: &Connect<'_>) -> Result<(), Failure> {
    let (sources, network) = read(arguments)?;
    let mut rows = Vec::new();
    let mut troubles = Vec::new();
    for source in &sources {
        match look(source, &network).await {
            Ok(found) => rows.extend(found),
            Err(trouble) => troubles.push(trouble),
        }
    }
    show(&rows, connect)?;
    let last = troubles.pop();
    for trouble in troubles {
        eprintln!("swarmer: discovery: {trouble}");
    }
    match last {
        Some(wrong @ ProviderError::Argument { .. }) if !arguments.source.is_empty() => {
            Err(Failure::usage(wrong.to_string(), ""))
        }
        Some(trouble) => Err(Failure::not(format!("discovery: {trouble}"), "")),
        None if rows.iter().any(|row| row.address.is_ok()) => Ok(()),
        None if rows.is_empty() => Err(Failure::not(
            "nothing was found",
            "do the tags, the region (project, folder, resource group) and the account fit those of the machines?",
        )),
        None => Err(Failure::not(
            "none of these can be asked",
            "the last column says why",
        )),
    }
}

/// What is to be looked at, and the nodes' network.
fn read(arguments: &Arguments) -> Result<(Vec<JoinSource>, AdminNetwork), Failure> {
    let path = arguments.config.display().to_string();
    let text = std::fs::read_to_string(&arguments.config);
    if arguments.source.is_empty() {
        let text = text.map_err(|error| Failure::file("read", &path, error))?;
        let config = Config::parse(&path, &text).map_err(Failure::Config)?;
        if config.join.is_empty() {
            let next = "give one: swarmer discover \"provider=aws tag_key=… tag_value=…\"";
            return Err(Failure::usage(format!("{path} has no entry in join"), next));
        }
        return Ok((config.join, config.admin_network));
    }
    let source = JoinSource::parse(&arguments.source.join(" "))
        .map_err(|expected| Failure::usage(format!("that must be {expected}"), ""))?;
    let network = match text {
        Ok(text) => {
            Config::parse(&path, &text)
                .map_err(Failure::Config)?
                .admin_network
        }
        // A machine that is no node asks with the default name of the file.
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_default(&arguments.config) => {
            no_network()
        }
        Err(error) => return Err(Failure::file("read", &path, error)),
    };
    Ok((vec![source], network))
}

fn is_default(path: &Path) -> bool {
    path == Path::new(CONFIG)
}

/// An address is no network, so nothing is narrowed.
fn no_network() -> AdminNetwork {
    AdminNetwork::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

async fn look(source: &JoinSource, network: &AdminNetwork) -> Result<Vec<Row>, ProviderError> {
    let row = |address| Row {
        source: source.to_string(),
        id: String::new(),
        name: String::new(),
        address: Ok(address),
    };
    match source {
        JoinSource::Address(address) => Ok(vec![row(*address)]),
        JoinSource::Dns { host, port } => {
            let found = tokio::net::lookup_host((host.as_str(), *port)).await;
            let found = found.map_err(|error| ProviderError::Unreachable {
                call: "dns",
                at: host.clone(),
                why: error.to_string(),
            })?;
            Ok(found.map(row).collect())
        }
        JoinSource::Provider { kind, args, port } => ask(kind, args, *port, network).await,
    }
}

async fn ask(
    kind: &'static str,
    args: &BTreeMap<String, String>,
    port: u16,
    network: &AdminNetwork,
) -> Result<Vec<Row>, ProviderError> {
    let provider = discover::open(kind, args, network)?;
    let mut machines = provider.machines().await?;
    machines.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    let rows = machines.into_iter().map(|machine| Row {
        source: format!("provider={kind}"),
        id: machine.id,
        name: machine.name,
        address: match machine.address {
            Ok(address) => Ok(SocketAddr::new(address, port)),
            Err(why) => Err(why.to_string()),
        },
    });
    Ok(rows.collect())
}

fn show(rows: &[Row], connect: &Connect<'_>) -> Result<(), Failure> {
    if connect.json() {
        let rows: Vec<Value> = rows.iter().map(Row::as_json).collect();
        return output::json(&rows);
    }
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["SOURCE", "ID", "NAME", "ADDRESS", "USED"]);
    for row in rows {
        let (address, used) = match &row.address {
            Ok(address) => (address.to_string(), "yes".to_owned()),
            Err(why) => (String::new(), format!("no: {why}")),
        };
        table.row([
            row.source.clone(),
            row.id.clone(),
            row.name.clone(),
            address,
            used,
        ]);
    }
    output::raw(table.render().as_bytes())
}

impl Row {
    fn as_json(&self) -> Value {
        json!({
            "source": self.source,
            "id": self.id,
            "name": self.name,
            "address": self.address.as_ref().ok(),
            "left_out": self.address.as_ref().err(),
        })
    }
}
