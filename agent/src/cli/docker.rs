//! `swarmer docker`: the docker command line, on a cluster's engines.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::cluster_status::{self, ClusterStatus, MemberStatus};
use super::connect::Connect;
use super::failure::Failure;
use super::operator_files::OperatorFiles;
use super::output;
use crate::client::{Client, ClientError, Request, Target};

const DOCKER: &str = "docker";
/// How long an engine may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `swarmer docker` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// A cluster that you are logged in to
    #[arg(value_name = "STACK:DC")]
    of: String,
    /// This node's engine, instead of the first manager's that answers
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Run nothing: print the environment, as in eval "$(swarmer docker STACK:DC --env)"
    #[arg(long)]
    env: bool,
    /// What docker is told; -- before it is allowed
    #[arg(
        value_name = "ARGS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<OsString>,
}

/// An engine that may do.
#[derive(Debug, PartialEq, Eq)]
struct Engine {
    /// Its node, if that is known.
    node: Option<String>,
    at: SocketAddr,
}

pub(super) async fn run(arguments: &Arguments, connect: &Connect<'_>) -> Result<(), Failure> {
    let connect = connect.to(Some(&arguments.of));
    let files = OperatorFiles::find(&arguments.of)?;
    let prints = arguments.env || connect.json();
    let program = match prints {
        true => None,
        false => Some(program()?),
    };
    // Says so if the certificate has expired; without it no engine would answer.
    let target = files.target()?;
    let engines = engines(arguments, &connect, &files).await?;
    let engine = first_that_answers(&engines, &target, &arguments.of).await?;
    let host = format!("tcp://{}", engine.at);
    let folder = std::path::absolute(files.folder())
        .map_err(|error| Failure::file("find", files.folder().display(), error))?;
    let Some(program) = program else {
        return print(&host, engine, &folder, connect.json());
    };
    let mut command = Command::new(program);
    command
        .args(&arguments.words)
        .env("DOCKER_HOST", host)
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_CERT_PATH", folder)
        .env_remove("DOCKER_CONTEXT");
    // Becomes docker: signals, terminal and exit code are its own.
    Err(Failure::file("run", DOCKER, command.exec()))
}

/// Where the docker command is.
fn program() -> Result<PathBuf, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join(DOCKER));
    found.find(|file| file.is_file()).ok_or_else(|| {
        Failure::not(
            "there is no docker command on this machine",
            "install Docker's command line (Debian: apt install docker.io or docker-ce-cli); it needs no engine here",
        )
    })
}

async fn engines(
    arguments: &Arguments,
    connect: &Connect<'_>,
    files: &OperatorFiles,
) -> Result<Vec<Engine>, Failure> {
    let status = cluster_status::fetch(connect).await;
    match (&arguments.node, status) {
        (Some(name), Ok((_, status))) => named(&status, name, &arguments.of).map(|one| vec![one]),
        (Some(_), Err(failure)) => Err(failure),
        (None, Ok((_, status))) => Ok(by_use(&status)),
        // Engines may answer although no agent's API does.
        (None, Err(Failure::Client(_) | Failure::Refused { .. })) => {
            let known = files.cluster()?.docker().into_iter();
            Ok(known.map(|at| Engine { node: None, at }).collect())
        }
        (None, Err(failure)) => Err(failure),
    }
}

fn named(status: &ClusterStatus, name: &str, cluster: &str) -> Result<Engine, Failure> {
    let member = status.members.iter().find(|member| member.name == name);
    let Some(member) = member else {
        let names: Vec<&str> = status.members.iter().map(|m| m.name.as_str()).collect();
        return Err(Failure::not(
            format!("{cluster} has no node {name}"),
            format!("it has {}", names.join(", ")),
        ));
    };
    engine_of(member).ok_or_else(|| {
        Failure::not(
            format!("{name} has no Docker Engine: its file says docker: {{enabled: false}}"),
            "leave --node out to have one chosen",
        )
    })
}

/// Managers first, since only they answer `docker service` and `docker node`; then what else lives.
fn by_use(status: &ClusterStatus) -> Vec<Engine> {
    let mut members: Vec<&MemberStatus> = status.members.iter().collect();
    members.sort_by_key(|member| {
        (
            member.status != "alive",
            member.told("swarm") != "manager",
            member.role != "server",
        )
    });
    members.into_iter().filter_map(engine_of).collect()
}

fn engine_of(member: &MemberStatus) -> Option<Engine> {
    Some(Engine {
        node: Some(member.name.clone()),
        at: member.place(|ports| ports.docker)?,
    })
}

async fn first_that_answers<'e>(
    engines: &'e [Engine],
    target: &Target,
    cluster: &str,
) -> Result<&'e Engine, Failure> {
    let Target::Tls { config, .. } = target else {
        return Err(Failure::usage("an engine is reached over TLS only", ""));
    };
    let mut failed = Vec::new();
    for engine in engines {
        let client = Client::new(Target::Tls {
            servers: vec![engine.at.to_string()],
            config: config.clone(),
        });
        let ping = Request::get("/_ping");
        failed.push(match client.patient_for(PATIENCE).send(ping).await {
            Ok(answer) if answer.is_success() => return Ok(engine),
            Ok(answer) => format!("{}: {}", engine.at, message(&answer.text())),
            Err(ClientError::Unreachable(why)) => {
                let why: Vec<String> = why.iter().map(ToString::to_string).collect();
                why.join("; ")
            }
            Err(error) => error.to_string(),
        });
    }
    if failed.is_empty() {
        return Err(Failure::not(
            format!("no node of {cluster} has a Docker Engine"),
            "the agent looks after an engine unless its file says docker: {enabled: false}",
        ));
    }
    Err(Failure::not(
        format!(
            "no Docker Engine of {cluster} answers: {}",
            failed.join("; ")
        ),
        format!(
            "`swarmer status {cluster}` shows the nodes; their agents must be reached on port 2376"
        ),
    ))
}

/// The words in an error of the engine's API.
fn message(text: &str) -> String {
    let read: Result<serde_json::Value, _> = serde_json::from_str(text);
    let words = read.ok().and_then(|value| {
        let words = value.get("message")?.as_str()?;
        Some(words.to_owned())
    });
    words.unwrap_or_else(|| text.to_owned())
}

fn print(host: &str, engine: &Engine, folder: &Path, as_json: bool) -> Result<(), Failure> {
    let folder = folder.display().to_string();
    if as_json {
        return output::json(&json!({
            "node": engine.node, "host": host, "tls_verify": true, "cert_path": folder,
        }));
    }
    let quoted = folder.replace('\'', r"'\''");
    output::line(&format!(
        "export DOCKER_HOST='{host}'\nexport DOCKER_TLS_VERIFY='1'\nexport DOCKER_CERT_PATH='{quoted}'\nunset DOCKER_CONTEXT"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::cluster_status::Ports;
    use super::*;

    fn member(name: &str, role: &str, status: &str, swarm: &str, port: u16) -> MemberStatus {
        MemberStatus {
            name: name.into(),
            role: role.into(),
            status: status.into(),
            address: "10.0.0.1".into(),
            ports: Ports {
                docker: port,
                ..Ports::default()
            },
            report: [("swarm".to_owned(), swarm.to_owned())].into(),
            ..MemberStatus::default()
        }
    }

    #[test]
    fn a_living_manager_comes_first_and_who_has_no_engine_never() {
        let status = ClusterStatus {
            members: vec![
                member("w1", "worker", "alive", "worker", 1),
                member("s1", "server", "failed", "manager", 2),
                member("s2", "server", "alive", "worker", 3),
                member("s3", "server", "alive", "manager", 4),
                member("w2", "worker", "alive", "off", 0),
            ],
            ..ClusterStatus::default()
        };
        let ports: Vec<u16> = by_use(&status).iter().map(|one| one.at.port()).collect();
        assert_eq!(ports, [4, 3, 1, 2]);
        assert_eq!(named(&status, "w1", "a:b").unwrap().at.port(), 1);
        let said = named(&status, "w2", "a:b").unwrap_err().to_string();
        assert!(said.contains("no Docker Engine"), "{said}");
        let said = named(&status, "w9", "a:b").unwrap_err();
        assert!(said.to_string().contains("no node w9"), "{said}");
    }

    #[test]
    fn the_engine_s_words_are_taken_out_of_its_error() {
        assert_eq!(message("{\"message\":\"no\"}"), "no");
        assert_eq!(message("gateway timeout"), "gateway timeout");
    }
}
