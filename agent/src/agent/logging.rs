//! Logs: to standard error, text on a terminal and JSON otherwise, with a level that can be
//! changed while the agent runs.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::{Log, LogFormat};

static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Why a filter was not taken.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// Not understood.
    #[error(
        "{0:?} is not a log filter: use error, warn, info, debug or trace, or swarmer::dns=debug,info"
    )]
    Filter(String),
    /// Logging was not set up by us.
    #[error("this process's log level can't be changed")]
    Fixed,
}

/// Sets logging up, once.
pub fn set_up(log: &Log) {
    let (filter, handle) = reload::Layer::new(filter_for(log.level.as_str()));
    let text = match log.format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let (plain, json) = if text {
        (
            Some(fmt::layer().with_writer(std::io::stderr).with_target(false)),
            None,
        )
    } else {
        (
            None,
            Some(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr),
            ),
        )
    };
    let done = tracing_subscriber::registry()
        .with(filter)
        .with(plain)
        .with(json)
        .try_init();
    if done.is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// Ours at the level; libraries only when they complain. Raft's own lines at `info` are many.
fn filter_for(level: &str) -> EnvFilter {
    let directives = match level {
        "debug" | "trace" => {
            format!("{level},openraft=info,hyper=info,rustls=info,bollard=info,h2=info")
        }
        _ => format!("{level},openraft=error"),
    };
    EnvFilter::new(directives)
}

/// Changes what is logged from now on; without a filter, only says what is in force.
pub fn change(filter: Option<&str>) -> Result<String, FilterError> {
    let handle = FILTER.get().ok_or(FilterError::Fixed)?;
    if let Some(text) = filter {
        let plain = ["error", "warn", "info", "debug", "trace"].contains(&text);
        let new = if plain {
            filter_for(text)
        } else {
            EnvFilter::try_new(text).map_err(|_| FilterError::Filter(text.to_owned()))?
        };
        handle.reload(new).map_err(|_| FilterError::Fixed)?;
    }
    handle
        .with_current(ToString::to_string)
        .map_err(|_| FilterError::Fixed)
}
