//! Floor 6: the command line.
//!
//! Owns: what people type and read. Does not own: what is done, beyond asking the agent for it.

mod token;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::agent;
use crate::config::{Config, EX_CONFIG};

/// One agent a node: discovery, KV, DNS, certificates, a registry and Docker Swarm.
#[derive(Parser)]
#[command(name = "swarmer", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run this node's agent.
    Agent {
        /// The node's one file.
        #[arg(long, default_value = "/etc/swarmer/swarmer.yaml")]
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
    /// Join tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
}

/// Runs what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Agent { config } => run_agent(&config),
        Command::Supervise {
            parent,
            program,
            arguments,
        } => {
            eprintln!(
                "swarmer: {}",
                crate::registry::supervise(parent, &program, &arguments)
            );
            ExitCode::FAILURE
        }
        Command::Token(command) => token::run(&command),
    }
}

fn run_agent(path: &Path) -> ExitCode {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("swarmer: can't read {}: {error}", path.display());
            return ExitCode::from(EX_CONFIG);
        }
    };
    let config = match Config::parse(&path.display().to_string(), &text) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(EX_CONFIG);
        }
    };
    agent::logging::set_up(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("swarmer: can't start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(agent::run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", crate::task::Chain(&error));
            ExitCode::FAILURE
        }
    }
}
