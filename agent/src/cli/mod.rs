//! Floor 7: the command line.
//!
//! Owns: what people type and read. Does not own: what is done, beyond asking the agent for it,
//! or starting it.
//!
//! Always true: results go to standard output and everything else to standard error; an error says
//! what to do next; 2 is a wrong command line, 78 a wrong configuration, 1 any other failure; no
//! secret is printed but by the commands that exist to print one.

mod agent;
mod ca;
mod cloud_init;
mod cluster_status;
mod cluster_token;
mod config;
mod connect;
mod console;
mod console_text;
mod discover;
mod dns;
mod dns_snippet;
mod docker;
mod failure;
mod kv;
mod kv_export;
mod leave;
mod log_level;
mod login;
mod members;
mod operator_files;
mod output;
mod reach;
mod registry;
mod services;
mod snapshot;
mod status;
mod status_text;
mod table;
mod token;
mod trust;
mod trust_plan;
mod version;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use connect::{Common, Connect};
use failure::Failure;

use crate::demo;

/// One agent a node: discovery, KV, DNS, certificates, a registry and Docker Swarm.
#[derive(Parser)]
#[command(name = "swarmer", version)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    program: Program,
}

/// What runs by itself.
#[derive(Subcommand)]
enum Program {
    /// Run this node's agent.
    Agent {
        /// The node's one file.
        #[arg(long, value_name = "FILE", default_value = "/etc/swarmer/swarmer.yaml")]
        config: PathBuf,
    },
    /// A child process's first moment: dies with the agent that started it.
    #[command(hide = true)]
    Supervise {
        /// The agent's process id.
        parent: u32,
        /// What to become.
        program: OsString,
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Try it: a whole cluster on this machine's loopback addresses; no root, no Docker.
    Demo(demo::Arguments),
    #[command(flatten)]
    Ask(Command),
    /// Print a shell's completions.
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

/// What is asked of an agent, or done with its files.
#[derive(Subcommand)]
enum Command {
    /// The cluster at a glance.
    Status(status::Arguments),
    /// The members of the cluster, and taking one out.
    Members(members::Arguments),
    /// Keys and values.
    #[command(subcommand)]
    Kv(kv::KvCommand),
    /// Services, or the instances of one.
    Services(services::Arguments),
    /// The image registry: which node serves it, and how it is.
    Registry,
    /// Run the docker command on a cluster, over TLS: swarmer docker STACK:DC service ls
    Docker(docker::Arguments),
    /// What a node finds where it looks for others, and why it leaves some out.
    Discover(discover::Arguments),
    /// A cluster's names on this machine.
    #[command(subcommand)]
    Dns(dns::DnsCommand),
    /// Join tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Become an operator of a cluster: fills ~/.swarmer/STACK/DC.
    Login(login::Arguments),
    /// Take this node out of its cluster for good (operators only).
    Leave,
    /// A machine's first boot: its user-data, or a seed CD with it.
    CloudInit(cloud_init::Arguments),
    /// The node's one file, and the list of a cluster's machines.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Save, restore and look into snapshots of the state.
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// The cluster's certificate authority.
    #[command(subcommand)]
    Ca(ca::CaCommand),
    /// Make this machine and its Docker believe a cluster's CA, or no longer.
    Trust(trust::Arguments),
    /// Show or change what the agent logs, without a restart (operators only).
    LogLevel(log_level::Arguments),
    /// What this node's screen shows, again whenever it changes.
    Console(console::Arguments),
    /// This program's version, and the agent's.
    Version,
}

/// Runs what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let Arguments { common, program } = Arguments::parse();
    match program {
        Program::Agent { config } => agent::main(&config),
        Program::Supervise {
            parent,
            program,
            arguments,
        } => {
            let error = crate::registry::supervise(parent, &program, &arguments);
            eprintln!("swarmer: {error}");
            ExitCode::FAILURE
        }
        Program::Demo(arguments) => demo::main(&arguments, common.json),
        Program::Ask(command) => exit(ask(command, &common)),
        Program::Completions { shell } => {
            let mut script = Vec::new();
            let mut words = Arguments::command();
            clap_complete::generate(shell, &mut words, "swarmer", &mut script);
            exit(output::raw(&script))
        }
    }
}

fn exit(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn ask(command: Command, common: &Common) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::file("start", "the runtime", error))?;
    runtime.block_on(run(command, &Connect::new(common)))
}

async fn run(command: Command, connect: &Connect<'_>) -> Result<(), Failure> {
    match command {
        Command::Status(arguments) => status::run(&arguments, connect).await,
        Command::Members(arguments) => members::run(&arguments, connect).await,
        Command::Kv(command) => kv::run(command, connect).await,
        Command::Services(arguments) => services::run(&arguments, connect).await,
        Command::Registry => registry::run(connect).await,
        Command::Discover(arguments) => discover::run(&arguments, connect).await,
        Command::Dns(command) => dns::run(&command, connect).await,
        Command::Docker(arguments) => docker::run(&arguments, connect).await,
        Command::Token(command) => token::run(&command, connect).await,
        Command::Login(arguments) => login::run(&arguments, connect).await,
        Command::Leave => leave::run(connect).await,
        Command::CloudInit(arguments) => cloud_init::run(&arguments, connect),
        Command::Config(command) => config::run(&command, connect),
        Command::Snapshot(command) => snapshot::run(&command, connect).await,
        Command::Ca(command) => ca::run(&command, connect).await,
        Command::Trust(arguments) => trust::run(&arguments, connect),
        Command::LogLevel(arguments) => log_level::run(&arguments, connect).await,
        Command::Console(arguments) => console::run(&arguments, connect).await,
        Command::Version => version::run(connect).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_agent_s_children_start_with_the_word_that_it_uses() {
        let words = ["swarmer", "supervise", "1", "/bin/x", "-c", "--json"];
        assert!(matches!(
            Arguments::try_parse_from(words).unwrap().program,
            Program::Supervise { parent: 1, arguments, .. } if arguments.len() == 2
        ));
    }

    #[test]
    fn wrong_words_are_refused() {
        for words in [
            &["swarmer"][..],
            &["swarmer", "fly"],
            &["swarmer", "demo", "--servers", "0"],
            &["swarmer", "demo", "--servers", "10"],
            &["swarmer", "demo", "--detach", "stop"],
            &["swarmer", "kv", "get"],
            &["swarmer", "kv", "delete", "a", "--recurse", "--cas", "1"],
            &["swarmer", "token", "derive", "king"],
            &["swarmer", "status", "--timeout", "3s"],
        ] {
            assert!(Arguments::try_parse_from(words).is_err(), "{words:?}");
        }
    }
}
