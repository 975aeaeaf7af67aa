//! `swarmer config`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::connect::Connect;
use super::failure::Failure;
use super::output;
use crate::config::{Config, schema};

/// The node's one file.
#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Say what is wrong with a file (exit code 78), or that nothing is.
    Check {
        /// The file.
        #[arg(default_value = "/etc/swarmer/swarmer.yaml")]
        file: PathBuf,
    },
    /// Print the JSON Schema of the file.
    Schema,
}

pub(super) fn run(command: &ConfigCommand, connect: &Connect<'_>) -> Result<(), Failure> {
    let file = match command {
        ConfigCommand::Schema => return output::json(&schema()),
        ConfigCommand::Check { file } => file,
    };
    let path = file.display().to_string();
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::file("read", &path, error))?;
    let config = Config::parse(&path, &text).map_err(Failure::Config)?;
    for warning in &config.warnings {
        eprintln!("swarmer: {warning}");
    }
    match connect.json() {
        true => output::json(&json!({"file": path, "warnings": config.warnings.len()})),
        false => output::line(&format!(
            "{path} is fine: a {} of {}:{}",
            config.role, config.stack, config.dc
        )),
    }
}
