//! Floor 6: the command line of those who ask: people and scripts.
//!
//! Owns: what people type and read. Does not own: what is done, beyond asking the agent for it;
//! the agent itself and the demo, which `main.rs` starts.
//!
//! Always true: results go to standard output and everything else to standard error; an error says
//! what to do next; 2 is a wrong command line, 78 a wrong configuration, 1 any other failure; no
//! secret is printed but by the commands that exist to print one.

mod cluster_status;
mod config;
mod connect;
mod failure;
mod kv;
mod kv_export;
mod leave;
mod log_level;
mod login;
mod members;
mod operator_files;
mod output;
mod registry;
mod services;
mod status;
mod table;
mod token;
mod version;

use std::process::ExitCode;

use clap::Subcommand;

pub use connect::Common;
pub use output::print;

use connect::Connect;
use failure::Failure;

/// What people ask.
#[derive(Subcommand)]
pub enum Command {
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
    /// Join tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Become an operator of a cluster: fills ~/.swarmer/STACK/DC.
    Login(login::Arguments),
    /// Take this node out of its cluster for good.
    Leave(leave::Arguments),
    /// The node's one file.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Show or change what the agent logs, without a restart.
    LogLevel(log_level::Arguments),
    /// This program's version, and the agent's.
    Version,
}

/// Does what was asked.
#[must_use]
pub fn main(command: Command, common: &Common) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(command, &Connect::new(common))),
        Err(error) => Err(Failure::file("start", "the runtime", error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(command: Command, connect: &Connect<'_>) -> Result<(), Failure> {
    match command {
        Command::Status(arguments) => status::run(&arguments, connect).await,
        Command::Members(arguments) => members::run(&arguments, connect).await,
        Command::Kv(command) => kv::run(command, connect).await,
        Command::Services(arguments) => services::run(&arguments, connect).await,
        Command::Registry => registry::run(connect).await,
        Command::Token(command) => token::run(&command, connect).await,
        Command::Login(arguments) => login::run(&arguments, connect).await,
        Command::Leave(arguments) => leave::run(&arguments, connect).await,
        Command::Config(command) => config::run(&command, connect),
        Command::LogLevel(arguments) => log_level::run(&arguments, connect).await,
        Command::Version => version::run(connect).await,
    }
}
