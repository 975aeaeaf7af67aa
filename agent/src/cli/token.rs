//! `swarmer token`.

use std::process::ExitCode;

use clap::Subcommand;

use crate::model::Role;
use crate::pki::Token;

/// Join tokens.
#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Make a server token, before there is a cluster.
    New,
    /// Make the worker or operator token that belongs to a server token (`SWARMER_TOKEN` or standard input).
    Derive {
        /// worker or operator
        role: Role,
    },
}

pub(super) fn run(command: &TokenCommand) -> ExitCode {
    match command {
        TokenCommand::New => println!("{}", Token::generate_server().expose()),
        TokenCommand::Derive { role } => return derive(*role),
    }
    ExitCode::SUCCESS
}

fn derive(role: Role) -> ExitCode {
    let text = match std::env::var("SWARMER_TOKEN") {
        Ok(text) => text,
        Err(_) => {
            let mut text = String::new();
            if std::io::stdin().read_line(&mut text).is_err() {
                eprintln!("swarmer: no server token in SWARMER_TOKEN nor on standard input");
                return ExitCode::FAILURE;
            }
            text
        }
    };
    let derived = text.parse::<Token>().map_err(|error| error.to_string());
    match derived.and_then(|token| token.derive(role).map_err(|error| error.to_string())) {
        Ok(token) => {
            println!("{}", token.expose());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("swarmer: {why}");
            ExitCode::FAILURE
        }
    }
}
