//! Floor 6: a whole cluster on one machine, to try it: no root, no Docker, nothing left behind.
//!
//! Owns: the demo's folder, its loopback addresses and ports, its processes, what it prints. Does
//! not own anything of a node: each is this same program with a `swarmer.yaml` of its own, so
//! that people can kill one and start it again by hand.
//!
//! Always true: the folder is its user's alone; whatever happens before the cluster serves, no
//! process stays; a process is ended only if its command line names this demo's folder.

mod arguments;
mod dns_probe;
mod error;
mod files;
mod folder;
mod hold;
mod node;
mod ports;
mod processes;
mod programs;
mod ready;
mod record;
mod start;
mod stop;
mod words;

use std::process::ExitCode;

pub use arguments::Arguments;
pub use error::DemoError;

use crate::task::Chain;

/// `swarmer demo`.
#[must_use]
pub fn main(arguments: &Arguments, json: bool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments, json)),
        Err(error) => Err(DemoError::io("start", "the runtime", error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("swarmer demo: {}", Chain(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, json: bool) -> Result<(), DemoError> {
    if let Some(folder) = arguments.to_stop() {
        return stop::stop(&folder, json).await;
    }
    let (demo, processes) = start::start(arguments).await?;
    words::print(&demo, json, arguments.detach)?;
    if arguments.detach {
        return Ok(());
    }
    hold::hold(&demo, processes).await
}
