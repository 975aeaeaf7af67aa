//! What people type.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What `swarmer demo` takes.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// How many servers; best an odd number
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    pub servers: u8,
    /// How many workers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub workers: u8,
    /// Return once the cluster serves, and leave it running
    #[arg(long)]
    pub detach: bool,
    /// Where its files go, and stay until `demo stop`; by default a folder of its own for temporary files
    #[arg(long)]
    pub dir: Option<PathBuf>,
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Subcommand, Debug)]
enum Act {
    /// Stop a demo, and remove its files.
    Stop {
        /// The folder that it was started with, if it was
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

impl Arguments {
    /// The folder of the demo to stop, if that is what is asked.
    pub(super) fn to_stop(&self) -> Option<PathBuf> {
        let Act::Stop { dir } = self.act.as_ref()?;
        Some(dir.clone().unwrap_or_else(default_folder))
    }

    /// The folder of the demo to start.
    pub(super) fn folder(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(default_folder)
    }
}

/// One for each user, so that `demo stop` finds it.
fn default_folder() -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    std::env::temp_dir().join(format!("swarmer-demo-{user}"))
}
