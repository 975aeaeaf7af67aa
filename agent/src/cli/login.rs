//! `swarmer login`.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::connect::{Connect, TOKEN};
use super::failure::Failure;
use super::operator_files::OperatorFiles;
use super::output;
use crate::client::host_and_port;
use crate::cluster::join_client::JoinChannel;
use crate::config::DEFAULT_RPC_PORT;
use crate::model::{Name, Role};
use crate::pki::{Csr, NodeKey, Token};

/// The name in the certificate request; the server puts its own words into the certificate.
const NAME: &str = "operator";

/// What `swarmer login` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// A server of the cluster: HOST or HOST:PORT, the port being its RPC port (8300).
    address: String,
    /// The operator token; better in SWARMER_TOKEN or a file, where other users don't see it
    #[arg(long, conflicts_with = "token_file")]
    token: Option<String>,
    /// A file with the operator token; `-` is standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Where to put the files, instead of ~/.swarmer/STACK/DC
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(super) async fn run(arguments: &Arguments, connect: &Connect<'_>) -> Result<(), Failure> {
    let token = token(arguments)?;
    let key = NodeKey::generate()?;
    let csr = Csr::new(&key, NAME)?;
    let mut last = None;
    for address in addresses(&arguments.address).await? {
        match JoinChannel::open(address, &token, &csr, NAME).await {
            Ok(channel) => {
                let login = channel.login().await.map_err(Failure::Join)?;
                return keep(&login, &key, arguments, connect);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(
        || Failure::usage(format!("{:?} has no address", arguments.address), ""),
        Failure::Join,
    ))
}

fn keep(
    login: &crate::cluster::join_messages::Login,
    key: &NodeKey,
    arguments: &Arguments,
    connect: &Connect<'_>,
) -> Result<(), Failure> {
    let name = |text: &str| {
        Name::new(text).map_err(|error| Failure::not(format!("the server's place: {error}"), ""))
    };
    let (stack, dc) = (name(&login.stack)?, name(&login.dc)?);
    // Files that name no server would be of no use later.
    if login.servers.is_empty() {
        return Err(Failure::not(
            format!("{stack}:{dc} is still forming: it has no servers to name yet"),
            "try again in a moment",
        ));
    }
    let files = match &arguments.dir {
        Some(folder) => OperatorFiles::at(folder.clone()),
        None => OperatorFiles::of(&stack, &dc)?,
    };
    files.keep(login, key)?;
    let folder = files.folder().display().to_string();
    if connect.json() {
        return output::json(&json!({
            "stack": stack, "dc": dc, "dir": folder, "servers": login.servers,
        }));
    }
    let cluster = match arguments.dir {
        Some(_) if folder.contains('/') => folder.clone(),
        Some(_) => format!("./{folder}"),
        None => format!("{stack}:{dc}"),
    };
    output::line(&format!(
        "you are an operator of {stack}:{dc}; the files are in {folder}\ntry: swarmer status --cluster {cluster}"
    ))
}

/// An operator's token, from where it was said to be.
fn token(arguments: &Arguments) -> Result<Token, Failure> {
    let text = match (&arguments.token, &arguments.token_file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) if path.as_os_str() == "-" => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Failure::file("read", "standard input", error))?;
            text
        }
        (None, Some(path)) => std::fs::read_to_string(path)
            .map_err(|error| Failure::file("read", path.display(), error))?,
        (None, None) => std::env::var(TOKEN).map_err(|_| {
            Failure::usage(
                "no operator token was given",
                "put it into SWARMER_TOKEN, or into a file and use --token-file FILE; `swarmer token derive operator` makes it from the server token",
            )
        })?,
    };
    let token: Token = text.trim().parse()?;
    match token.role() {
        Role::Operator => Ok(token),
        // Who has the server token could make the operator's: do it for them.
        Role::Server => Ok(token.derive(Role::Operator)?),
        Role::Worker => Err(Failure::not(
            "this is a worker token, and login needs an operator token",
            "`swarmer token derive operator` makes it from the server token",
        )),
    }
}

async fn addresses(text: &str) -> Result<Vec<SocketAddr>, Failure> {
    let text = host_and_port(text, DEFAULT_RPC_PORT)?;
    let found = tokio::net::lookup_host(&text)
        .await
        .map_err(|error| Failure::file("find", &text, error))?;
    Ok(found.collect())
}
