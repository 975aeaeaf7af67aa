//! `swarmer agent`: from the file to the running agent, and its exit code.

use std::path::Path;
use std::process::ExitCode;

use crate::agent::{End, logging, run};
use crate::config::{Config, EX_CONFIG};
use crate::task::Chain;

/// It left for good: whatever starts it again would make it join as a new node.
const EX_LEFT: u8 = 10;

/// Runs the agent of the node whose file this is.
pub(super) fn main(path: &Path) -> ExitCode {
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
    logging::set_up(&config.log);
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
    let result = runtime.block_on(run(config));
    // What still runs ends here, so that the reason is the last line.
    drop(runtime);
    match result {
        Ok(End::Stopped) => ExitCode::SUCCESS,
        Ok(End::Left) => ExitCode::from(EX_LEFT),
        Err(error) => {
            tracing::error!("{}", Chain(&error));
            if error.is_configuration() {
                ExitCode::from(EX_CONFIG)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
