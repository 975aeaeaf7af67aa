//! `swarmer cloud-init`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::cluster_token;
use super::connect::Connect;
use super::failure::Failure;
use super::output;
use crate::config::{Machine, Secret, Servers};
use crate::model::Name;
use crate::seed::Seed;

/// What `swarmer cloud-init` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// The machine's name in the list.
    node: String,
    /// The list of the cluster's machines.
    #[arg(long, value_name = "FILE", default_value = "servers.yml")]
    from: PathBuf,
    /// Write a seed CD there, with the machine's static address too, instead of printing its user-data
    #[arg(long, value_name = "FILE")]
    iso: Option<PathBuf>,
    /// The cluster's server token, or that of the machine's role, instead of ~/.swarmer/STACK/DC/token (which is made if it is missing)
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, connect: &Connect<'_>) -> Result<(), Failure> {
    let servers = read(&arguments.from)?;
    let machine = find(&servers, arguments)?;
    let token_file = arguments.token_file.as_deref();
    let token = cluster_token::of(&servers.stack, &servers.dc, machine.role, token_file)?;
    let seed = Seed::new(&servers, machine, &Secret::new(token.expose()));
    if let Some(path) = &arguments.iso {
        write(path, &seed.iso())?;
    }
    match &arguments.iso {
        Some(path) if connect.json() => output::json(&json!({"iso": path})),
        Some(path) => output::line(&format!(
            "{} is the seed of {}, a {} of {}:{}",
            path.display(),
            machine.name,
            machine.role,
            servers.stack,
            servers.dc
        )),
        None if connect.json() => output::json(&json!({
            "user_data": seed.user_data,
            "meta_data": seed.meta_data,
            "network_config": seed.network_config,
        })),
        None => output::raw(seed.user_data.as_bytes()),
    }
}

/// Reads a `servers.yml`.
pub(super) fn read(file: &Path) -> Result<Servers, Failure> {
    let path = file.display().to_string();
    let text = fs::read_to_string(file).map_err(|error| Failure::file("read", &path, error))?;
    Servers::parse(&path, &text).map_err(Failure::Config)
}

fn find<'s>(servers: &'s Servers, arguments: &Arguments) -> Result<&'s Machine, Failure> {
    let name = Name::new(&arguments.node).ok();
    let machine = name.and_then(|name| servers.machine(&name));
    machine.ok_or_else(|| {
        let names = servers.machines.iter().map(|one| one.name.as_str());
        Failure::usage(
            format!("{} has no {:?}", arguments.from.display(), arguments.node),
            format!("it has {}", names.collect::<Vec<_>>().join(", ")),
        )
    })
}

/// Whole or not at all, and for its owner only: there is a token in it. A hypervisor may have made the
/// one before its own, so that is not written into.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        Failure::file("write", path.display(), error)
    })
}
