//! The `swarmer` program: which words start what.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use swarmer::{agent, cli, demo};

/// One agent a node: discovery, KV, DNS, certificates, a registry and Docker Swarm.
#[derive(Parser)]
#[command(name = "swarmer", version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    common: cli::Common,
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
enum Program {
    /// Run this node's agent.
    Agent {
        /// The node's one file.
        #[arg(long, value_name = "FILE", default_value = "/etc/swarmer/swarmer.yaml")]
        config: PathBuf,
    },
    /// Try it: a whole cluster on this machine's loopback addresses; no root, no Docker.
    Demo(demo::Arguments),
    #[command(flatten)]
    Ask(cli::Command),
    /// Print the shell's completions.
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let Arguments { common, program } = Arguments::parse();
    match program {
        Program::Agent { config } => agent::main(&config),
        Program::Demo(arguments) => demo::main(&arguments, common.json),
        Program::Ask(command) => cli::main(command, &common),
        Program::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "swarmer", &mut script);
            cli::print(&script)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_fit_together() {
        Arguments::command().debug_assert();
    }
}
